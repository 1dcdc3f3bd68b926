"""Health, from what the confirmer last wrote: no call to the network, no secret."""

import hashlib
from typing import Any

from chalicelib.bootstrap import Box
from chalicelib.domain.payload import rfc3339
from chalicelib.settings import VERSION

STALE_MS = 5 * 60_000
STUCK_MS = 15 * 60_000
"""A transaction that waits this long for a block, with higher fees each half minute, waits for something else."""


def health(box: Box) -> tuple[bool, dict[str, Any]]:
    """(whether the box can accept, what to show)."""
    shown: dict[str, Any] = {
        "version": VERSION,
        "merchant": box.config.merchant.id,
        "configHash": hashlib.sha256(box.settings.config_file.read_bytes()).hexdigest()[:16],
        "table": "ok",
    }
    try:
        report = box.state.read("network-report", dict[str, Any])
    except Exception as error:  # noqa: BLE001 - whatever the table's client raises means one thing here
        return False, {**shown, "status": "down", "table": type(error).__name__}
    if report is None:
        return True, {**shown, "status": "starting", "network": None}
    age = box.now() - int(report["at"])
    moves = box.now() - (report.get("oldestInFlight") or box.now()) < STUCK_MS
    healthy = (
        age < STALE_MS and report["rpc"] == "ok" and not report["paused"] and not report.get("differences") and moves
    )
    shown["network"] = {
        "rpc": report["rpc"],
        "head": report["head"],
        "final": report["final"],
        "signerBalance": report["balance"],
        "inFlight": report["inFlight"],
        "paused": report["paused"],
        "oldestUnsent": rfc3339(report["oldestUnsent"]),
        "oldestInFlight": rfc3339(report.get("oldestInFlight")),
        "commissionDifferences": report.get("differences", 0),
        "ageSeconds": age // 1000,
    }
    return True, {**shown, "status": "ok" if healthy else "degraded"}
