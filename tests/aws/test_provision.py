"""`box provision` on a local AWS: what was chosen once stays, and a box that is not deployed yet can go again."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from ops.aws.names import Names
from ops.local.anvil import Anvil
from tests.aws.local_aws import REGION, LocalAws
from tests.aws.operating import Network, Operator, new_merchant

pytestmark = pytest.mark.timeout(600)
MERCHANT = "early"


def test_what_was_chosen_for_the_balance_alarm_stays_and_a_box_without_functions_goes_again(
    aws: LocalAws, chain: Anvil, tmp_path: Path
) -> None:
    operator = Operator(tmp_path / "project", aws.environment)
    new_merchant(operator, Network(chain.url, tmp_path / "accounts"), MERCHANT, "keystore")
    cloudwatch = boto3.client(
        "cloudwatch",
        endpoint_url=aws.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def threshold() -> float:
        name = f"{Names(MERCHANT).prefix}-signer-balance"
        return float(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["Threshold"])

    operator.box("provision", MERCHANT, "--rpc", chain.url)
    assert threshold() == 10_000_000
    operator.box("provision", MERCHANT, "--low-balance-gwei", "77")
    assert operator.box("provision", MERCHANT)["changes"] == []  # as each `box deploy` does it
    assert threshold() == 77

    operator.box("destroy", MERCHANT, "--confirm", MERCHANT, "--export", str(tmp_path / "last.jsonl.gz"))
    assert operator.box("provision", MERCHANT, "--dry-run", "--rpc", chain.url)["changes"] != []
