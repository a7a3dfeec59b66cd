"""Reading trade files of the outside world: one module per format, one set of names.

with TradeFile(path, Options(symbol="XRP/ETH"), notice=print) as trades:
    for row in trades:      # Row(number, trade) or BadRow(number, reason, ...)
        ...
"""

from telemetry.formats.detect import FORMATS, detect
from telemetry.formats.row import BadRow, Row
from telemetry.formats.trades import Options, TradeFile

__all__ = ["FORMATS", "BadRow", "Options", "Row", "TradeFile", "detect"]
