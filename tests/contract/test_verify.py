"""`box verify`: an honest receipt holds, and each thing a receipt may lie about is the one that is named."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib.adapters import contract
from chalicelib.domain.agreement import Rule
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import REASONS, Amendment, Run
from chalicelib.domain.network_status import DAY
from ops.receipt_checks import CHECKS, Check
from ops.verify import verify, verify_receipt
from ops.versions import Version, in_force_about
from tests.contract.forged_receipts import FORGERIES, LIES, Receipt
from tests.contract.network_on_anvil import Merchant, Network, new_account
from tests.contract.shown_receipts import SALT, Order, entries_of, record, rfc3339

RULES = (
    Rule("sale", rate=100_000, to_amount=50_000),
    Rule("sale", rate=80_000, from_amount=50_000),
    Rule("sale", group="wine", fixed=300),
    Rule("lead", fixed=250),
)


@pytest.fixture
def agreement(merchant: Merchant) -> bytes:
    return merchant.agree(*RULES, groups=("default", "wine"), validation_days=10, lock_days=20)


@pytest.fixture
def receipts(merchant: Merchant, agreement: bytes) -> list[Receipt]:
    orders = [Order(1, {"default": 1005}), Order(2, {"default": 60_000, "wine": 999}), Order(3, {"default": 0}, "lead")]
    return record(merchant, *(order.payload(merchant, agreement) for order in orders))


def failing(receipt: Receipt, network: Network) -> str:
    checks = verify_receipt(receipt, network.url)
    assert all(check.ok for check in checks[:-1])
    return "" if checks[-1].ok else checks[-1].name


def test_honest_receipts_hold_in_every_check(network: Network, receipts: list[Receipt]) -> None:
    for receipt in receipts:
        checks = verify_receipt(receipt, network.url)
        assert [(check.name, check.ok) for check in checks] == [(name, True) for name, _ in CHECKS], checks


def test_a_receipt_holds_through_the_conversions_whole_life(
    network: Network, merchant: Merchant, receipts: list[Receipt]
) -> None:
    old, fresh = copy.deepcopy(receipts[0]), receipts[0]
    for days, status in ((0, "open"), (10, "approved"), (10, "sale")):
        network.wait(days * DAY)
        fresh["status"] = status
        assert failing(fresh, network) == ""
        assert failing(old, network) == ""  # older than the chain, and was true
    assert "final" in verify_receipt(fresh, network.url)[-1].detail
    fresh["status"] = "rejected"
    assert failing(fresh, network) == "status"
    assert merchant.address


def test_a_decision_shows_and_cannot_be_left_out(network: Network, merchant: Merchant, receipts: list[Receipt]) -> None:
    batch = bytes.fromhex(receipts[0]["batch"][2:])
    index = receipts[0]["sequence"] - 1
    merchant.send(contract.encode_decide(merchant.address, {batch: [Run(index, 1, "rejected", REASONS["fraud"])]}))
    receipts[0]["status"] = "rejected"
    assert failing(receipts[0], network) == ""
    network.wait(20 * DAY)
    receipts[0]["status"] = "sale"
    assert failing(receipts[0], network) == "status"


def test_a_receipt_says_whether_its_block_is_final(network: Network, merchant: Merchant, agreement: bytes) -> None:
    (receipt,) = record(merchant, Order(1, {"default": 100}).payload(merchant, agreement))

    def block() -> str:
        return next(check.detail for check in verify_receipt(receipt, network.url) if check.name == "block")

    assert block().endswith(", not final yet")
    network.rpc("anvil_mine", "0x4")
    assert block().endswith("Z")


def test_an_amended_amount_holds_with_its_new_commission_alone(
    network: Network, merchant: Merchant, agreement: bytes
) -> None:
    payload = Order(7, {"default": 1000}, verified=False).payload(merchant, agreement)
    (receipt,) = record(merchant, payload)
    batch = merchant.pack(*entries_of(payload, merchant))
    change = [Amendment(0, 400, verified=True, reason=REASONS["refund"])]
    merchant.send(contract.encode_amend(merchant.address, batch.body, keccak256(batch.commitments), change))
    assert failing(receipt, network) == ""  # older than the chain, and was true
    receipt |= {"amount": "4.00", "commission": "0.40"}
    assert failing(receipt, network) == "amendments"  # verified by the amendment, which the receipt does not say
    receipt["verified"] = True
    assert failing(receipt, network) == ""
    network.wait(20 * DAY)
    receipt["status"] = "sale"
    assert failing(receipt, network) == ""


@pytest.mark.parametrize("number", range(len(LIES)))
def test_the_first_thing_that_does_not_match_is_named(network: Network, receipts: list[Receipt], number: int) -> None:
    name, lie = LIES[number]
    lie(receipts[0])
    assert failing(receipts[0], network) == name


@pytest.mark.parametrize(("name", "forge"), FORGERIES)
def test_what_a_cheating_merchant_recorded_is_named(
    network: Network, merchant: Merchant, name: str, forge: Callable[[Merchant], Receipt]
) -> None:
    assert failing(forge(merchant), network) == name


@pytest.mark.parametrize("document", [5, None, "text", [], {}, {"contract": 5, "payload": {}}])
def test_what_is_no_receipt_is_named_so(network: Network, document: Any) -> None:
    (check,) = verify_receipt(document, network.url)
    assert (check.name, check.ok) == ("receipt", False)
    run = CliRunner().invoke(verify, ["-", "--rpc", network.url], input=json.dumps(document))
    assert (run.exit_code, run.output.splitlines()[-1]) == (1, "the receipt does not hold: receipt")


def test_clicks_earn_under_the_version_of_their_day(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    first = merchant.agree(Rule("sale", rate=100_000), publisher=publisher)
    network.wait(DAY)
    before = network.now()
    network.wait(DAY)
    second = merchant.agree(Rule("sale", rate=50_000), publisher=publisher)
    at_once = network.now() - 600  # the box's clock is behind the chain's
    network.wait(DAY)
    orders = [
        Order(1, {"default": 100}).payload(merchant, first, clickedAt=rfc3339(before)),
        Order(2, {"default": 100}).payload(merchant, first, clickedAt=rfc3339(at_once)),
        Order(3, {"default": 100}).payload(merchant, second, clickedAt=rfc3339(at_once)),
        Order(4, {"default": 100}).payload(merchant, second),
        Order(5, {"default": 100}).payload(merchant, second, clickId=None, clickedAt=None),
    ]
    assert [failing(receipt, network) for receipt in record(merchant, *orders)] == [""] * len(orders)
    # What was ended is not in force, however new: the version before it is still open.
    network.send(merchant.address, contract.encode_end(merchant.address, second))
    network.wait(DAY)
    (receipt,) = record(merchant, Order(6, {"default": 100}).payload(merchant, first))
    assert failing(receipt, network) == ""


def test_of_two_versions_that_came_in_one_second_either_was_in_force() -> None:
    versions = [Version(number, f"0x{number}", at, None) for number, at in ((1, 1_000), (2, 5_000), (3, 5_000))]
    found = in_force_about(versions, 5_000, 900)
    assert {version.number for version in found if version} == {1, 2, 3}
    assert [version.number for version in in_force_about(versions, 9_000, 900) if version] == [3, 3]


def test_a_box_whose_clock_is_a_little_ahead_is_believed_at_due_and_lock(
    network: Network, receipts: list[Receipt]
) -> None:
    """No block has come since the date, so the chain's own time still lies before it."""
    for status in ("approved", "sale"):
        network.wait(10 * DAY - 60)
        receipts[0]["status"] = status
        assert failing(receipts[0], network) == ""
        network.wait(60)


def test_times_that_cannot_be_are_named(network: Network, merchant: Merchant, agreement: bytes) -> None:
    now = network.now()
    for number, (clicked, created) in enumerate(
        (
            (now - 31 * DAY, now),  # outside the attribution window
            (now + 960, now),  # clicked well after the conversion
            (now, now + DAY),  # made after its block
        )
    ):
        payload = Order(number, {"default": 100}).payload(
            merchant, agreement, clickedAt=rfc3339(clicked), createdAt=rfc3339(created)
        )
        (receipt,) = record(merchant, payload)
        assert failing(receipt, network) == "times"


def test_a_click_after_the_agreements_end_is_named(network: Network, merchant: Merchant, agreement: bytes) -> None:
    network.wait(2 * DAY)
    network.send(merchant.address, contract.encode_end(merchant.address, agreement))
    network.wait(DAY)
    payload = Order(1, {"default": 100}).payload(merchant, agreement)  # clicked an hour ago
    before = Order(2, {"default": 100}).payload(merchant, agreement, clickedAt=rfc3339(network.now() - 2 * DAY))
    late, in_flight = record(merchant, payload, before)
    assert failing(late, network) == "times"
    assert failing(in_flight, network) == ""


def test_the_contract_one_trusts_may_be_named(network: Network, receipts: list[Receipt]) -> None:
    assert verify_receipt(receipts[0], network.url, network.address)[-1].ok
    (check,) = verify_receipt(receipts[0], network.url, "0x" + "12" * 20)
    assert isinstance(check, Check) and (check.name, check.ok) == ("contract", False)


def test_the_command_says_what_it_found_by_its_exit_code(
    network: Network, receipts: list[Receipt], tmp_path: Path
) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipts[0]))
    run = CliRunner()
    good = run.invoke(verify, [str(file), "--rpc", network.url])
    assert (good.exit_code, good.output.splitlines()[-1]) == (0, "the receipt holds")
    as_json = run.invoke(verify, [str(file), "--rpc", network.url, "--json"])
    assert json.loads(as_json.output)["ok"] is True
    receipts[0]["salt"] = "00" * 16
    file.write_text(json.dumps(receipts[0]))
    bad = run.invoke(verify, [str(file), "--rpc", network.url])
    assert (bad.exit_code, bad.output.splitlines()[-1]) == (1, "the receipt does not hold: commitment")
    silent = run.invoke(verify, [str(file), "--rpc", "http://127.0.0.1:1"])
    assert silent.exit_code == 2
    file.write_text("{")
    assert run.invoke(verify, [str(file), "--rpc", network.url]).exit_code == 2
    assert SALT
