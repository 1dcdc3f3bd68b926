"""Logs as one JSON object a line, and metrics in CloudWatch's embedded format: a log line that becomes a metric, without a client.

Neither library that is usual for this is used: they cost a cold start 55-75 ms, this module under one. Nobody's data goes in:
a line has the fields named here and the merchant's id, a conversion's id at most - never an order id, an address, a body or a key.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

NAMESPACE = "MerchantBox"
UNITS = {"Milliseconds": "Milliseconds", "OldestUnsentSeconds": "Seconds"}
"""Everything else is a count."""
FIELDS = ("requestId", "function", "route", "method", "status", "code", "conversionId", "error")
"""What a caller may add to a line; anything else is dropped, so that no careless `extra` leaks."""


class JsonLines(logging.Formatter):
    """One JSON object a record. Of an exception its kind and where it happened, never its text: that may quote somebody's data."""

    request_id: ClassVar[str | None] = None
    """Of the request that is being answered: a function answers one at a time."""

    def __init__(self, merchant: str) -> None:
        super().__init__()
        self._merchant = merchant

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "merchant": self._merchant,
        }
        # Where there is no request, Lambda's own handler says which run it is.
        if run := self.request_id or getattr(record, "aws_request_id", None):
            line["requestId"] = run
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["at"] = _where(record.exc_info[2])
        return json.dumps(line)


def _where(trace: Any) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno}"


def install(merchant: str) -> None:
    """Make all handlers write such lines: Lambda's own, which the root logger has, and the one that Chalice gives to the app's logger."""
    ours = logging.getLogger("merchant-box")
    for handler in (*logging.getLogger().handlers, *ours.handlers):
        handler.setFormatter(JsonLines(merchant))
    ours.setLevel(logging.INFO)


def emit(
    merchant: str,
    metrics: Mapping[str, float],
    fields: Mapping[str, Any] | None = None,
    write: Callable[[str], Any] | None = None,
) -> None:
    """One line of metrics for the merchant, with `fields` beside them to search by (not dimensions: each of those is paid for)."""
    told = {
        "CloudWatchMetrics": [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [["Merchant"]],
                "Metrics": [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in metrics],
            }
        ],
        "Timestamp": time.time_ns() // 1_000_000,
    }
    chosen = {name: value for name, value in (fields or {}).items() if name in FIELDS and value is not None}
    print_line = write or sys.stdout.write
    print_line(json.dumps({"_aws": told, "Merchant": merchant, **metrics, **chosen}) + "\n")
