"""The IAM policies against the calls that the running box makes: nothing it does is missing, and nothing is granted for nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from chalicelib.domain.config import Signer
from ops.asking import ask
from ops.aws.functions import Function, functions
from ops.aws.names import Names
from ops.aws.policies import ACCESS, ITEM_ACTIONS, NoAccessDeclared, Place, access_of, policy
from ops.local.running import RunningBox
from tests.shopper import as_merchant, buy, final_receipt, follow_link

Calls = dict[str, set[tuple[str, str]]]
"""By function: (action, table)."""

SIGNERS = ("sign_on_change", "sign_on_schedule", "confirm_on_schedule", "anchor_on_schedule")
SELDOM = {
    # A claim or a give-back that meets another writer reads the conversion alone; a key's first turn writes its state.
    *((name, "GetItem", "conversions") for name in SIGNERS),
    *((name, "PutItem", "state") for name in SIGNERS),
    # An agreement that was ended on the contract itself.
    *(
        ("confirm_on_schedule", *done)
        for done in (("PutItem", "agreements"), ("GetItem", "publishers"), ("PutItem", "publishers"))
    ),
    # Callers are counted together in memory and written down from time to time.
    *(("api_handler", action, "limits") for action in ("GetItem", "PutItem", "UpdateItem")),
    ("api_handler", "UpdateItem", "state"),
    # The proof of an anchored click, the replay of one message, the erasing of a click.
    ("api_handler", "GetItem", "transactions"),
    ("api_handler", "GetItem", "deliveries"),
    ("api_handler", "UpdateItem", "clicks"),
    # An order that moved to another publisher: what the one before is told names that one's own click.
    ("notify_on_schedule", "GetItem", "clicks"),
}
"""Grants for what this drive does not surely bring about, and why they are needed."""
SCHEDULES_SECONDS = 20
"""In which changes are sent and confirmed, clicks anchored, postbacks tried."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    """A real box, driven through everything its interfaces offer, and what each function of it then asked of DynamoDB."""
    folder = tmp_path_factory.mktemp("spied")
    log = folder / "calls.tsv"
    spy = str(Path(__file__).parent / "spy")
    box = RunningBox(folder / "data", "--port", "0", env={"BOX_CALLS": str(log), "PYTHONPATH": spy})
    try:
        started = log.stat().st_size
        drive(box)
        wait_for(log, "anchor_on_schedule\tUpdateItem\tmerchant-box-demo-clicks")
        yield read(log, started)
    finally:
        box.stop()


def wait_for(log: Path, line: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while line not in log.read_text():
        assert time.monotonic() < deadline, f"the box never did this: {line}"
        time.sleep(0.5)


def drive(box: RunningBox) -> None:
    told = {"url": "https://postbacks.invalid/{conversionId}", "events": ["recorded", "approved"]}
    postback = as_merchant(box, "POST", "/v1/postbacks", told, "publisher")["postbackId"]
    ids = [buy(box, follow_link(box), f"P-{number}").json["conversionId"] for number in range(3)]
    buy(box, None, "P-0")
    for conversion_id in ids:
        final_receipt(box, conversion_id)
    as_merchant(box, "PATCH", f"/v1/conversions/{ids[0]}", {"status": "approved"})
    as_merchant(box, "PATCH", f"/v1/conversions/{ids[1]}", {"status": "rejected", "reason": "returned"})
    as_merchant(box, "PATCH", f"/v1/conversions/{ids[2]}", {"amount": "40.00"})
    report = {"action": "sale", "orderId": "P-9", "values": ["10.00"], "voucher": "SPRING"}
    as_merchant(box, "POST", "/v1/conversions", report)
    as_merchant(box, "POST", "/v1/conversions/batch", {"conversions": [{**report, "orderId": "P-10"}]})
    as_merchant(box, "POST", "/v1/validations", {"validations": [{"conversionId": ids[0], "status": "approved"}]})
    for path in (
        "conversions",
        "stats?by=publisher",
        f"conversions/{ids[0]}",
        "status",
        f"clicks/{follow_link(box)}/proof",
        f"statements/{datetime.now(UTC):%Y-%m}",
    ):
        as_merchant(box, "GET", f"/v1/{path}", key="admin")
    as_merchant(box, "GET", f"/v1/postbacks/{postback}/deliveries", key="publisher")
    as_merchant(box, "POST", f"/v1/postbacks/{postback}/test", {}, key="publisher")
    time.sleep(SCHEDULES_SECONDS)
    as_merchant(box, "POST", "/v1/erasures", {"conversionId": ids[0]}, key="admin")
    key = {"Authorization": f"Bearer {box.keys['publisher']}"}
    assert ask("DELETE", f"{box.url}/v1/postbacks/{postback}", **key).status < 300


def read(log: Path, start: int) -> Calls:
    """What was done after the box was ready: before, it sets itself up with rights that no function has."""
    found: Calls = defaultdict(set)
    named = {function.name for function in functions()}
    for line in log.read_bytes()[start:].decode().splitlines():
        thread, action, table = line.split("\t")
        owner = thread.partition("|")[0]
        if owner != "MainThread":
            found[owner if owner in named else "api_handler"].add((action, table.removeprefix("merchant-box-demo-")))
    return found


def granted(name: str) -> set[tuple[str, str]]:
    tables = access_of(name).tables
    return {(action, table) for table, does in tables.items() for word in does.split() for action in ITEM_ACTIONS[word]}


@pytest.mark.parametrize("name", [function.name for function in functions()])
def test_a_function_may_do_all_that_it_does(calls: Calls, name: str) -> None:
    assert calls[name], "the drive did not reach this function"
    assert calls[name] - granted(name) == set()


@pytest.mark.parametrize("name", [function.name for function in functions()])
def test_a_function_may_do_no_more_than_it_does(calls: Calls, name: str) -> None:
    """The functions that hold the key take over each other's work, so for them it is enough that one of them does it."""
    done = set().union(*(calls[one] for one in SIGNERS)) if name in SIGNERS else calls[name]
    seldom = {(action, table) for function, action, table in SELDOM if function == name}
    assert granted(name) - done - seldom == set()


def test_a_function_nobody_granted_anything_is_refused() -> None:
    with pytest.raises(NoAccessDeclared, match="add 'mine_on_schedule' to ACCESS"):
        access_of("mine_on_schedule")
    assert set(ACCESS) == {function.name for function in functions()}


KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
SIGNER_KINDS: tuple[Literal["kms", "keystore"], ...] = ("kms", "keystore")
KNOWN = Place("eu-west-1", "123456789012", (KEY,))


def statements(name: str, kind: Literal["kms", "keystore"], place: Place, keys: int = 1) -> list[dict[str, Any]]:
    function = next(one for one in functions() if one.name == name)
    found: list[dict[str, Any]] = policy(Names("acme"), function, Signer(kind, keys), place)["Statement"]
    return found


@pytest.mark.parametrize("place", [Place(), KNOWN])
def test_only_the_signers_functions_may_use_a_key(place: Place) -> None:
    for function in functions():
        may_sign = any("kms:Sign" in one["Action"] for one in statements(function.name, "kms", place))
        assert may_sign == (function.name in SIGNERS), function.name
        assert not any(
            "kms:" in action for one in statements(function.name, "keystore", place) for action in one["Action"]
        )


def test_no_policy_names_another_merchants_resources_or_every_resource() -> None:
    for function in functions():
        for signer in SIGNER_KINDS:
            for one in statements(function.name, signer, KNOWN):
                assert not [action for action in one["Action"] if "*" in action]
                for resource in one["Resource"]:
                    assert "acme" in resource or resource.endswith("key/1"), resource
                    assert not resource.startswith("arn:aws:kms") or "kms:Sign" in one["Action"]


def test_before_the_key_is_known_the_grant_is_bound_to_its_alias() -> None:
    [key] = [one for one in statements("sign_on_change", "kms", Place()) if "kms:Sign" in one["Action"]]
    assert key["Condition"] == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/merchant-box-acme-signer"]}}


def test_with_several_keys_each_is_granted_and_no_other() -> None:
    both = (KEY, KEY.replace("key/1", "key/2"))
    [key] = [
        one
        for one in statements("sign_on_change", "kms", Place("eu-west-1", "123456789012", both), keys=2)
        if "kms:Sign" in one["Action"]
    ]
    assert key["Resource"] == [*both]
    [read] = [
        one for one in statements("sign_on_change", "keystore", KNOWN, keys=2) if "ssm:GetParameter" in one["Action"]
    ]
    names = [resource.rsplit("/", 1)[1] for resource in read["Resource"]]
    assert names == ["rpc-urls", "keystore", "keystore-password", "keystore-2", "keystore-password-2"]
    assert not any("ssm:GetParameter" in one["Action"] for one in statements("api_handler", "keystore", KNOWN, keys=2))


def test_the_streams_readers_alone_may_read_the_stream() -> None:
    for function in functions():
        reads = any("dynamodb:GetRecords" in one["Action"] for one in statements(function.name, "kms", Place()))
        assert reads == (function.kind == "stream")
    assert Function("sign_on_change", "stream") in functions()
