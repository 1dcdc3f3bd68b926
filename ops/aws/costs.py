"""What an idle box costs a month: how often its functions run, what each run reads and writes.

Schedules are counted from app.py, alarms and dashboards from the template, metrics from what the functions emit. Reads, writes and
seconds per run are estimates made by reading the code, and PRICES are list prices of eu-west-1 without any free tier, from memory: check
both before you quote a figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from chalicelib.routes.observed import counted, seen
from ops.aws.functions import functions
from ops.aws.template import template

MINUTES = 30 * 24 * 60
PRICES = {
    "lambda request": Decimal("0.0000002"),
    "lambda GB-second (arm64)": Decimal("0.0000133334"),
    "dynamodb read unit": Decimal("0.00000014125"),
    "dynamodb write unit": Decimal("0.000000705"),
    "stream read": Decimal("0.0000002265"),
    "alarm": Decimal("0.10"),
    "metric": Decimal("0.30"),
    "dashboard": Decimal("3.00"),
    "log GB": Decimal("0.57"),
    "kms key": Decimal("1.00"),
    "kms sign (asymmetric)": Decimal("0.000015"),
    "api request": Decimal("0.0000035"),
}
"""US dollars a unit. The first three dashboards and ten alarms of an account are free; that is not counted here."""

IDLE_RUN_READS = 20
"""A schedule on an idle box: the outbox's and the anchor's 16 slots, the lease, the open transactions."""
IDLE_RUN_WRITES = 3
"""Lease taken and given back, the confirmer's report."""
IDLE_RUN_SECONDS = Decimal("0.4")
GIGABYTES = Decimal(1)
LOG_BYTES_A_RUN = 700
REPORT = {"oldestUnsent": None, "balance": "0", "inFlight": 0, "paused": None, "rpc": "ok"}
"""As the confirmer of an idle box writes it: its metrics are the only ones that are emitted where nobody comes."""


@dataclass(frozen=True)
class Line:
    what: str
    units: Decimal
    dollars: Decimal


def idle(signer: str) -> list[Line]:
    """A month of a box to which nobody comes."""
    made = template("idle", signer, 1)["Resources"].values()
    alarms = sum(1 for one in made if one["Type"] == "AWS::CloudWatch::Alarm")
    dashboards = sum(1 for one in made if one["Type"] == "AWS::CloudWatch::Dashboard")
    runs = Decimal(sum(1 for function in functions() if function.kind == "schedule") * MINUTES)
    found = [
        _line("lambda request", runs),
        _line("lambda GB-second (arm64)", runs * IDLE_RUN_SECONDS * GIGABYTES),
        _line("dynamodb read unit", runs * IDLE_RUN_READS / 2),
        _line("dynamodb write unit", runs * IDLE_RUN_WRITES),
        _line("log GB", runs * LOG_BYTES_A_RUN / 10**9),
        _line("metric", Decimal(len(seen(REPORT, 0)))),
        _line("alarm", Decimal(alarms)),
        _line("dashboard", Decimal(dashboards)),
    ]
    return [*found, _line("kms key", Decimal(1))] if signer == "kms" else found


def per_thousand_conversions(signer: str) -> list[Line]:
    """What a thousand conversions in batches of a hundred add, gas apart: request, put with its two index writes, the stream, the claim."""
    found = [
        _line("api request", Decimal(1_000)),
        _line("lambda request", Decimal(1_000 + 200)),
        _line("lambda GB-second (arm64)", Decimal(1_000) * Decimal("0.05") + 200),
        _line("dynamodb write unit", Decimal(1_000) * (3 + 3 + 3)),
        _line("dynamodb read unit", Decimal(1_000) * 4),
    ]
    return [*found, _line("kms sign (asymmetric)", Decimal(10))] if signer == "kms" else found


def visited() -> list[Line]:
    """What a month in which anybody comes adds once, however many they are: the metrics of requests."""
    clicked = counted("/click/{publisher_id}", "GET", 302)
    sold = counted("/v1/conversions", "POST", 202)
    failed = counted("/", "GET", 500) | counted("/", "GET", 400)
    return [_line("metric", Decimal(len({*clicked, *sold, *failed, "Milliseconds"})))]


def total(lines: list[Line]) -> Decimal:
    return sum((line.dollars for line in lines), Decimal(0))


def _line(what: str, units: Decimal) -> Line:
    return Line(what, units, (units * PRICES[what]).quantize(Decimal("0.0001")))
