"""Makes tests/data/<this version>: an export of a real box with every kind of conversion in it, and what its receipts say.

Run once for each release, with the release's own code, and commit the result: `python -m tests.data.make`. Later versions have to
read it (tests/ops/test_commands.py).
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from chalicelib.settings import VERSION
from ops.local.dynoxide import Dynoxide
from ops.local.process import ROOT
from ops.local.running import RunningBox
from tests.shopper import as_merchant, buy, final_receipt, follow_link

STABLE = (
    *("payload", "salt", "commitment", "agreementId", "publisher", "batch", "entries", "sequence"),
    *("transaction", "blockNumber", "blockHash", "logIndex", "currency", "amount", "commission"),
)
"""Of a receipt: what no later moment changes. Its status does, by the days that pass."""


def make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        dynamodb = Dynoxide(Path(scratch) / "dynamodb", usual_port=0)
        box = RunningBox(Path(scratch) / "box", "--port", "0", "--dynamodb", dynamodb.url)
        try:
            expected = story(box)
            export(Path(scratch), dynamodb.url, folder / "export.jsonl")
        finally:
            box.stop()
            dynamodb.stop()
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def story(box: RunningBox) -> dict[str, Any]:
    """Open, approved, rejected, amended, verified by the server, unattributed; the receipts of what is on the network."""
    ids = [buy(box, follow_link(box), f"order-{number}").json["conversionId"] for number in range(4)]
    buy(box, None, "order-unattributed")
    ids.append(as_merchant(box, "POST", "/v1/conversions", server_report(follow_link(box)))["conversionId"])
    for conversion_id in ids:
        final_receipt(box, conversion_id, 120)
    as_merchant(box, "PATCH", f"/v1/conversions/{ids[1]}", {"status": "approved"})
    as_merchant(box, "PATCH", f"/v1/conversions/{ids[2]}", {"status": "rejected", "reason": "returned"})
    as_merchant(box, "PATCH", f"/v1/conversions/{ids[3]}", {"amount": "40.00"})
    time.sleep(20)  # the decisions reach the network
    receipts = {one: final_receipt(box, one, 120) for one in ids}
    held = {one: as_merchant(box, "GET", f"/v1/conversions/{one}") for one in ids}
    return {
        "receipts": {one: {key: receipt[key] for key in STABLE} for one, receipt in receipts.items()},
        "conversions": {
            one: {
                "decision": {"sale": "approved"}.get(shown["status"], shown["status"]),
                "amount": int(shown["amount"].replace(".", "")),
                "orderId": shown["orderId"],
            }
            for one, shown in held.items()
        },
    }


def server_report(click_id: str) -> dict[str, Any]:
    return {"action": "sale", "orderId": "order-server", "values": ["99.99"], "clickId": click_id}


def export(scratch: Path, dynamodb_url: str, to: Path) -> None:
    file = scratch / "export.jsonl.gz"
    environment = {
        **os.environ,
        "DYNAMODB_URL": dynamodb_url,
        "CONFIG_FILE": str(scratch / "box" / "config.json"),
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    subprocess.run(
        [sys.executable, "-m", "ops.cli", "export", "demo", str(file)], cwd=ROOT, env=environment, check=True
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(gzip.decompress(file.read_bytes()))


if __name__ == "__main__":
    make(Path(__file__).parent / VERSION)
