"""docs/network.md and the decision records say what the code does."""

import re
from pathlib import Path
from typing import get_args

from chalicelib.adapters.contract_abi import errors, events
from chalicelib.domain.batch import MAX_BODY, MAX_ENTRIES
from chalicelib.domain.network_changes import MAX_AMENDMENTS, MAX_CHANGES, REASONS
from ops.ledger_entries import Kind
from ops.receipt_checks import CHECKS
from ops.verify_click import CLICK_CHECKS

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "network.md").read_text()
LAYOUT = (ROOT / "docs" / "decisions" / "0001-batch-layout.md").read_text()


def test_every_check_finding_event_and_reason_is_explained() -> None:
    for name, _ in CHECKS:
        assert f"`{name}`: " in GUIDE and f"ok   {name} " in GUIDE, name
    for name in CLICK_CHECKS:
        assert f"`{name}`: " in GUIDE.split("## A click's proof")[1].split("\n## ")[0], name
    for kind in get_args(Kind):
        assert f"`{kind}`" in GUIDE, kind
    explained = set(re.findall(r"`([A-Z]\w+)`", GUIDE))
    assert {item["name"] for item in events().values()} - explained == {"SignaturesWithdrawn"}
    assert "`withdrawSignatures`" in (ROOT / "docs" / "decisions" / "0003-what-is-on-chain.md").read_text()
    for reason, code in REASONS.items():
        assert f"{code} {reason.replace('_', ' ')}" in " ".join(GUIDE.split()), reason


def test_the_bounds_written_down_are_the_ones_in_force() -> None:
    assert f"| entries of a batch | {MAX_ENTRIES} = 48 + 2 x 128 |" in LAYOUT
    assert f"| body | {MAX_BODY:,} bytes" in LAYOUT
    assert f"| decision call | {MAX_CHANGES:,} bytes" in LAYOUT
    assert f"| amendments of a call | {MAX_AMENDMENTS} |" in LAYOUT
    source = (ROOT / "contracts" / "AffiliateNetwork.vy").read_text()
    for name, bound in (
        ("MAX_ENTRIES", MAX_ENTRIES),
        ("MAX_BODY", MAX_BODY),
        ("MAX_CHANGES", MAX_CHANGES),
        ("MAX_AMENDS", MAX_AMENDMENTS),
    ):
        assert re.search(rf"^{name}: constant\(uint256\) = {bound}\b", source, re.MULTILINE), name


def test_errors_that_the_records_name_exist() -> None:
    names = {item["name"] for item in errors().values()}
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", LAYOUT))
    assert named <= names, named - names
