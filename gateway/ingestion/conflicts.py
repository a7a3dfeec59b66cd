"""The refusal of trades whose keys came with another payload before."""

from __future__ import annotations

from telemetry.decode import Batch
from telemetry.errors import InvalidInput

SHOWN = 100  # errors in one answer


def conflict(batch: Batch, rows: list[int]) -> InvalidInput:
    """The refusal (409) of a batch in which these rows are conflicts."""
    same = {"field": "trade_id", "detail": "expected the payload that it came with first"}
    errors = [{"index": row, **same, "received": _trade_id(batch, row)} for row in rows[:SHOWN]]
    count = "1 trade_id was" if len(rows) == 1 else f"{len(rows)} trade_ids were"
    return InvalidInput(f"{count} used before with another payload", problem="conflict", errors=errors)


def _trade_id(batch: Batch, row: int) -> str:
    if batch.columns is None:
        return (batch.trades or [])[row].trade_id
    ids = batch.columns.text("trade_id")
    return "" if ids is None else ids[row]
