"""Exact decimals as two integers: value = mantissa x 10^-scale.

Canonical means no trailing zeros in the fraction: 1.50 is (15, 1), 1500 and 1.5e3 are (1500, 0), every zero is (0, 0).
A decimal from outside obeys LIMITS, so its mantissa fits an int64; totals are formatted from integers of any size.
"""

from __future__ import annotations

import re

MAX_SCALE = 18
MAX_DIGITS = 18
LIMITS = "a JSON number or its text, magnitude below 10^18, at most 18 decimals and 18 significant digits"

_GRAMMAR = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?").fullmatch
_EXPONENT_DIGITS = 9  # a longer exponent cannot belong to a number of any body that is accepted


def parse_decimal(text: str) -> tuple[int, int]:
    """Canonical (mantissa, scale) of a number in JSON's grammar. Raises ValueError with what was expected."""
    match = _GRAMMAR(text)
    if match is None:
        raise ValueError(f"expected {LIMITS}")
    sign, whole, fraction, exponent = match.groups()
    digits = (whole + fraction if fraction else whole).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return 0, 0
    scale = (len(fraction) if fraction else 0) - (len(digits) - len(significant))
    if exponent:
        scale -= _exponent(exponent)
    if len(significant) > MAX_DIGITS or scale > MAX_SCALE or len(significant) - scale > MAX_DIGITS:
        raise ValueError(f"expected {LIMITS}")
    mantissa = int(significant)
    if scale < 0:
        mantissa, scale = mantissa * 10**-scale, 0
    return (-mantissa if sign else mantissa), scale


def _exponent(text: str) -> int:
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > _EXPONENT_DIGITS:
        raise ValueError(f"expected {LIMITS}")
    size = int(digits or "0")
    return -size if text[0] == "-" else size


def format_decimal(mantissa: int, scale: int) -> str:
    """Plain notation: no exponent, no trailing zeros, never "-0". Integers of any size, also not canonical ones."""
    if scale == 0:
        return str(mantissa)
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    fraction = digits[-scale:].rstrip("0")
    sign = "-" if mantissa < 0 else ""
    return f"{sign}{digits[:-scale]}.{fraction}" if fraction else sign + digits[:-scale]
