"""The runbook's "Region gone", on a local AWS with two regions: a box is not moved by accident, and moves with its data on purpose.

Without the deployment, which is another region's like any first one (test_boxes_on_aws.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.local.anvil import Anvil
from tests.aws.local_aws import REGION, LocalAws
from tests.aws.operating import Network, Operator, new_merchant

pytestmark = pytest.mark.timeout(600)
ELSEWHERE = "eu-west-3"


def test_a_box_whose_region_is_gone_stands_in_another(aws: LocalAws, chain: Anvil, tmp_path: Path) -> None:
    merchant = "mover"
    operator = Operator(tmp_path / "project", aws.environment)
    new_merchant(operator, Network(chain.url, tmp_path / "accounts"), merchant, "kms")
    operator.box("provision", merchant, "--rpc", chain.url)
    operator.box("publisher", "add", merchant, "slow-table", "--name", "The Slow Table", "--account", "0x" + "1" * 40)
    file = str(tmp_path / "export.jsonl.gz")
    exported = operator.box("export", merchant, file)["items"]
    before = operator.box("signer", "show", merchant)["address"]

    def there(*arguments: str) -> Any:
        done = operator.run(*arguments, "--json", AWS_DEFAULT_REGION=ELSEWHERE)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    refused = operator.run("provision", merchant, AWS_DEFAULT_REGION=ELSEWHERE)
    assert (refused.returncode, f"stands in {REGION}" in refused.stderr) == (1, True), refused.stderr
    there("new", merchant, "--keep-config", "--elsewhere")
    made = there("provision", merchant, "--rpc", chain.url)
    assert f":{ELSEWHERE}:" in made["stream"]
    assert there("import", merchant, file)["items"] == exported
    assert [one["publisherId"] for one in there("publisher", "list", merchant)["publishers"]] == ["slow-table"]
    assert there("signer", "show", merchant)["address"] not in ("", before)
    assert there("config", "check", merchant)["mistakes"] == []
