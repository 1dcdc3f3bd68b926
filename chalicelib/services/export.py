"""Conversions as CSV, a page at a time."""

import csv
import io
from dataclasses import replace
from typing import Any

from chalicelib.bootstrap import Box
from chalicelib.services import present, report
from chalicelib.services.report import Filter

PAGE_ROWS = 2_000
MAX_BYTES = 5_000_000
"""An answer may have 6 MB with everything around it."""
PUBLIC = (
    "conversionId",
    "action",
    "status",
    "amount",
    "currency",
    "commission",
    "publisherId",
    "clickId",
    "subId",
    "source",
    "verified",
    "createdAt",
    "dueAt",
    "lockAt",
    "reason",
    "networkState",
    "sequence",
    "transaction",
    "blockNumber",
)
PRIVATE = ("orderId", "voucher", "customerStatus")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would run a cell that begins so."""


def page(box: Box, wanted: Filter, *, private: bool) -> tuple[str, str | None]:
    """(CSV with its header line, the next page's cursor or None). Tests are left out."""
    found = report.page(box, replace(wanted, limit=PAGE_ROWS))
    columns = (*PUBLIC, *PRIVATE) if private else PUBLIC
    rows = present.conversions(box, found.conversions, private=private)
    lines, size = [_line(columns)], 0
    for number, (held, row) in enumerate(zip(found.conversions, rows, strict=True)):
        line = "" if held.is_test else _line([_cell(_value(row, name)) for name in columns])
        size += len(line.encode())
        if size > MAX_BYTES:
            return "".join(lines), report.cursor_behind(found.conversions[number - 1])
        lines.append(line)
    return "".join(lines), found.cursor


def _value(row: dict[str, Any], name: str) -> Any:
    if name == "networkState":
        return row["network"]["state"]
    return row["network"][name] if name in ("sequence", "transaction", "blockNumber") else row[name]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()
