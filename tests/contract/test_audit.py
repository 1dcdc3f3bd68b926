"""`box audit`: an honest merchant passes, and each way to cheat is found and named."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import Recorded
from chalicelib.domain.agreement import Rule
from chalicelib.domain.batch import Entry
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import REASONS, SUPERSEDED, Amendment, Run
from chalicelib.domain.network_status import DAY
from ops.audit import Report, audit, audit_publisher
from ops.chain_reader import Chain
from ops.kept_answers import Kept, NoReceipt, Saved, SavedClick, read_saved
from tests.contract.cheating_contract import (
    AMEND_LESS,
    ANY_DECISION,
    ANY_TERMS,
    BACK_DATE,
    DELETE,
    FEW_COMMISSIONS,
    LATE,
    MUTE,
    REORDER,
    UNDERPAY,
    cheating_bytecode,
)
from tests.contract.forged_receipts import under_a_later_version
from tests.contract.network_on_anvil import Merchant, Network, commitment, new_account
from tests.contract.other_nodes import MOST_BLOCKS, narrow_node
from tests.contract.shown_receipts import Order, entries_of, record, rfc3339, shown_proof
from tests.contract.shown_receipts import receipt as receipt_of


def audited(network: Network, merchant: Merchant, agreement: bytes, saved: Sequence[Kept] = ()) -> Report:
    publisher = merchant.publishers[agreement].address
    return audit_publisher(Chain(network.url, network.address), publisher, saved=saved)


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def kept(receipt: dict[str, Any], **changes: Any) -> Saved:
    plain = {"conversion_id": receipt["conversionId"], "attributed": True, "saved_at": None, "receipt": receipt}
    return Saved(**{**plain, **changes})


def busy_merchant(merchant: Merchant) -> bytes:
    """Two months of honest work under two agreements; gives the first one's id."""
    network = merchant.network
    mine = merchant.agree(Rule("sale", rate=100_000), Rule("lead", fixed=250), validation_days=10, lock_days=20)
    other = merchant.agree(silence="all", validation_days=10, lock_days=20)
    for week in range(4):
        payloads = [Order(week * 10 + i, {"default": 1000 * (i + 1)}).payload(merchant, mine) for i in range(4)]
        payloads.append(Order(week * 10 + 8, {"default": 0}, "lead", verified=False).payload(merchant, mine))
        payloads.append(Order(week * 10 + 9, {"default": 777}, verified=False).payload(merchant, other))
        batch = merchant.pack(*(entry for payload in payloads for entry in entries_of(payload, merchant)))
        merchant.record(batch)
        merchant.send(
            contract.encode_decide(
                merchant.address, {batch.digest: [Run(batch.positions[0], 1, "rejected", REASONS["fraud"])]}
            )
        )
        proof = (merchant.address, batch.body, keccak256(batch.commitments))
        merchant.send(contract.encode_amend(*proof, [Amendment(batch.positions[1], 100, reason=REASONS["refund"])]))
        merchant.send(contract.encode_anchor(merchant.address, batch.digest, 5, 1, 2))
        network.wait(7 * DAY)
    return mine


def test_an_honest_merchant_passes_and_the_totals_are_those_of_the_chain(network: Network, merchant: Merchant) -> None:
    agreement = busy_merchant(merchant)
    report = audited(network, merchant, agreement)
    assert report.findings == []
    assert report.walked == {"merchants": 1, "agreements": 2, "batches": 4, "conversions": 24, "saved": 0}
    # Each week one sale was rejected by the merchant, and the lock has rejected the unverified lead of two of them.
    assert report.rejections == {"fraud": 4, "unverified": 2}
    views = network.views.totals(merchant.address, agreement)
    assert sum(total.conversions for total in report.totals) == views.conversions == 20
    assert sum(total.amount for total in report.totals) == views.amount
    found = {total.status: total.conversions for total in report.totals}
    # 28 days on: two weeks' batches are past their lock, one past its due date, one neither.
    assert set(found) == {"open", "approved", "sale", "rejected"}
    sale = next(total for total in report.totals if total.status == "sale")
    assert sale.commission > 0
    assert next(total for total in report.totals if total.status == "rejected").commission == 0


@pytest.fixture(scope="module")
def crooked() -> str:
    return cheating_bytecode()


@pytest.fixture
def crooked_network(network: Network, node: str, crooked: str) -> Iterator[Network]:
    """The same node with a contract that will cheat; `network` undoes it afterwards."""
    assert network.url == node
    yield Network(node, crooked)


def cheat(network: Network, how: int) -> None:
    network.send(network.payer, keccak256(b"cheat(uint256)")[:4] + how.to_bytes(32, "big"))


def one_batch(merchant: Merchant, agreement: bytes, number: int) -> Any:
    batch = merchant.pack(*(Entry(agreement, "sale", 1000, commitment(number + i), verified=True) for i in range(3)))
    merchant.record(batch)
    return batch


@pytest.mark.parametrize(
    ("how", "found"),
    [
        (0, set()),
        (DELETE, {"gap"}),
        (REORDER, {"reordered"}),
        (BACK_DATE, {"back-dated"}),
        (UNDERPAY, {"wrong-commission", "wrong-totals"}),
        (FEW_COMMISSIONS, {"unreadable", "wrong-commission"}),
        (MUTE, {"unreadable"}),
    ],
)
def test_a_contract_that_cheats_while_recording_is_found_and_named(
    crooked_network: Network, how: int, found: set[str]
) -> None:
    merchant = Merchant(crooked_network)
    agreement = merchant.agree(validation_days=10, lock_days=20)
    one_batch(merchant, agreement, 0)
    cheat(crooked_network, how)
    one_batch(merchant, agreement, 10)
    report = audited(crooked_network, merchant, agreement)
    assert found | {"unknown-code"} <= kinds(report)
    if not how:
        assert kinds(report) == {"unknown-code"}


def test_a_contract_that_lets_the_merchant_decide_late_is_found(crooked_network: Network) -> None:
    merchant = Merchant(crooked_network)
    agreement = merchant.agree(validation_days=10, lock_days=20)
    batch = one_batch(merchant, agreement, 0)
    cheat(crooked_network, LATE)
    crooked_network.wait(21 * DAY)
    assert kinds(audited(crooked_network, merchant, agreement)) == {"unknown-code"}
    merchant.send(contract.encode_decide(merchant.address, {batch.digest: [Run(1, 1, "rejected", 1)]}))
    report = audited(crooked_network, merchant, agreement)
    assert [f.where for f in report.findings if f.kind == "late-change"] == ["sequence 2", "sequence 2"]


def test_a_contract_that_underpays_an_amendment_is_found(crooked_network: Network) -> None:
    merchant = Merchant(crooked_network)
    agreement = merchant.agree()
    batch = one_batch(merchant, agreement, 0)
    cheat(crooked_network, AMEND_LESS)
    proof = (merchant.address, batch.body, keccak256(batch.commitments))
    merchant.send(contract.encode_amend(*proof, [Amendment(1, 500)]))
    assert "wrong-commission" in kinds(audited(crooked_network, merchant, agreement))


def decision(merchant: Merchant, batch: Any, word: int) -> None:
    """One word of decisions as it is, whatever a box would make of it."""
    merchant.network.send(
        merchant.key.address, contract._call("decide", merchant.address, batch.digest + word.to_bytes(32, "big"))
    )


def test_a_decision_that_makes_no_sense_hides_nothing_else(crooked_network: Network) -> None:
    """A sale before its lock: only the lock makes one, so there is no way to read it."""
    merchant = Merchant(crooked_network)
    agreement = merchant.agree()
    batch = one_batch(merchant, agreement, 0)
    cheat(crooked_network, ANY_DECISION)
    decision(merchant, batch, 1 << 16 | 2 << 32)
    one_batch(merchant, agreement, 2)  # its first order was recorded before
    found = [(f.kind, f.where) for f in audited(crooked_network, merchant, agreement).findings]
    assert ("late-change", "sequence 1") in found and ("recorded-twice", "sequence 4") in found
    assert "unreadable" in dict(found)


def test_a_merchant_that_rejects_in_the_locks_name_is_found(crooked_network: Network) -> None:
    """Reason 255 says that nobody verified it by the lock; no merchant may say so, least of all of a verified sale."""
    merchant = Merchant(crooked_network)
    agreement = merchant.agree()
    batch = one_batch(merchant, agreement, 0)
    cheat(crooked_network, ANY_DECISION)
    decision(merchant, batch, 1 | 2 << 16 | 3 << 32 | REASONS["unverified"] << 40)
    found = [(f.kind, f.where) for f in audited(crooked_network, merchant, agreement).findings]
    assert ("false-reason", "sequences 2 to 3") in found


@pytest.mark.parametrize(
    "odd", [{"groups": ["default", "default"]}, {"groups": ["a b"]}, {"groups": [""]}, {"currency": "eur"}]
)
def test_terms_that_cannot_be_read_hide_nothing_else(crooked_network: Network, odd: dict[str, Any]) -> None:
    merchant = Merchant(crooked_network)
    mine = merchant.agree()
    one_batch(merchant, mine, 0)
    cheat(crooked_network, ANY_TERMS)
    other = merchant.agree_on_anything(**odd)
    merchant.record(merchant.pack(Entry(other, "sale", 100, commitment(9), verified=True)))
    one_batch(merchant, mine, 2)
    found = [(f.kind, f.where) for f in audited(crooked_network, merchant, mine).findings[1:]]
    expected = [
        ("unreadable", "0x" + other.hex()),
        ("unknown-agreement", "sequence 4"),
        ("recorded-twice", "sequence 5"),
    ]
    assert found == expected


def test_ones_own_terms_that_cannot_be_read_are_found(crooked_network: Network) -> None:
    merchant = Merchant(crooked_network)
    cheat(crooked_network, ANY_TERMS)
    publisher = new_account()
    merchant.agree_on_anything(publisher, groups=["default", "default"])
    report = audit_publisher(Chain(crooked_network.url, crooked_network.address), publisher.address)
    assert kinds(report) == {"unknown-code", "unreadable"}


def test_an_account_that_is_no_contract_is_named_so(network: Network, merchant: Merchant) -> None:
    options = ["--publisher", merchant.address, "--rpc", network.url]
    found = CliRunner().invoke(audit, [*options, "--contract", merchant.address, "--merchant", merchant.address])
    assert (found.exit_code, found.output.splitlines()[0].split(":")[0]) == (1, "unknown-code"), found.output
    for wrong in (["--contract", "0x12"], ["--contract", network.address, "--merchant", "demo"]):
        assert CliRunner().invoke(audit, [*options, *wrong]).exit_code == 2


def test_a_commission_group_that_is_none_is_found(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    merchant.record(merchant.pack(Entry(agreement, "sale", 100_000, commitment(1), group=5, verified=True)))
    report = audited(network, merchant, agreement)
    assert [(f.kind, f.where) for f in report.findings] == [("unknown-group", "sequence 1")]


def test_the_groups_of_an_order_are_no_second_recording(network: Network, merchant: Merchant) -> None:
    rules = Rule("sale", rate=100_000), Rule("sale", group="wine", rate=50_000)
    agreement = merchant.agree(*rules, groups=("default", "wine"))
    record(merchant, *(Order(i, {"default": 100, "wine": 300}).payload(merchant, agreement) for i in range(3)))
    assert audited(network, merchant, agreement).findings == []


@pytest.mark.parametrize(
    "how", ["in one batch", "at the seam of two batches", "under two agreements", "in three groups"]
)
def test_an_order_recorded_twice_side_by_side_is_found(network: Network, merchant: Merchant, how: str) -> None:
    rules = Rule("sale", rate=100_000), Rule("sale", group="wine", rate=50_000)
    agreement, other = merchant.agree(*rules, groups=("default", "wine")), merchant.agree()

    def entry(number: int, amount: int = 200, under: bytes = agreement, group: int = 0) -> Entry:
        return Entry(under, "sale", amount, commitment(number), group, verified=True)

    if how == "in one batch":
        merchant.record(merchant.pack(entry(1), entry(1)))
    elif how == "at the seam of two batches":
        merchant.record(merchant.pack(entry(0, 100), entry(1)))
        merchant.record(merchant.pack(entry(1, group=1)))
    elif how == "under two agreements":
        merchant.record(merchant.pack(entry(1), entry(1, under=other, group=1)))
    else:
        merchant.record(merchant.pack(entry(1), entry(1, group=1), entry(1)))
    found = {f.kind: f.where for f in audited(network, merchant, agreement).findings}
    assert found["recorded-twice"] == f"sequence {network.views.counts(merchant.address)[0]}"


def test_a_click_paid_under_a_later_version_is_found_by_its_receipt(network: Network, merchant: Merchant) -> None:
    receipt = under_a_later_version(merchant)
    agreement = bytes.fromhex(receipt["agreementId"][2:])
    report = audited(network, merchant, agreement, [kept(receipt)])
    assert [f.kind for f in report.findings] == ["false-receipt"]
    assert report.findings[0].detail.startswith("times: ")
    # What the logs alone can show is that it may be so.
    alone = audited(network, merchant, agreement)
    assert alone.findings == []
    assert [note for note in alone.notes if note.startswith("1 conversions under version 2 ")]


def test_an_order_recorded_twice_is_found_by_its_commitment(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    merchant.record(merchant.pack(*(Entry(agreement, "sale", 100 + i, commitment(i)) for i in range(3))))
    merchant.record(merchant.pack(*(Entry(agreement, "sale", 200 + i, commitment(i)) for i in (5, 1))))
    report = audited(network, merchant, agreement)
    assert [(f.kind, f.where) for f in report.findings] == [("recorded-twice", "sequence 4")]


def test_an_order_recorded_twice_with_other_salts_is_found_by_its_receipts(
    network: Network, merchant: Merchant
) -> None:
    agreement = merchant.agree()
    payload = Order(1, {"default": 1000}).payload(merchant, agreement)
    (first,) = record(merchant, payload)
    (second,) = record(merchant, {**payload, "private": "cd" * 32})
    report = audited(network, merchant, agreement, [kept(first), kept(second)])
    assert kinds(report) == {"recorded-twice"}
    # What was superseded is rejected, so the conversion counts once.
    (third,) = record(merchant, {**payload, "private": "ef" * 32})
    batches = {bytes.fromhex(r["batch"][2:]): [Run(0, 1, "rejected", 4)] for r in (first, second)}
    merchant.send(contract.encode_decide(merchant.address, batches))
    assert audited(network, merchant, agreement, [kept(first), kept(second), kept(third)]).findings == []


def test_a_superseded_conversion_counts_once(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    payload = Order(1, {"default": 1000}, verified=False).payload(merchant, agreement)
    (first,) = record(merchant, payload)
    new = merchant.pack(*entries_of({**payload, "verified": True}, merchant))
    old = {bytes.fromhex(first["batch"][2:]): [Run(0, 1, "rejected", SUPERSEDED)]}
    merchant.send(contract.encode_supersede(merchant.address, old, new))
    assert audited(network, merchant, agreement, [kept(first)]).findings == []


def test_a_box_that_signs_both_sides_is_found(network: Network, merchant: Merchant) -> None:
    hidden = merchant.agree(publisher=merchant.key)
    report = audited(network, merchant, hidden)
    assert kinds(report) == {"both-sides"}


def test_a_hosted_agreement_is_said_to_prove_less(network: Network, merchant: Merchant) -> None:
    hosted = merchant.agree(hosted=True)
    report = audited(network, merchant, hosted)
    assert report.findings == []
    assert [note for note in report.notes if "hosted" in note and hosted.hex() in note]


def test_a_conversion_given_to_another_account_is_found(network: Network, merchant: Merchant) -> None:
    mine, boxs_own = merchant.agree(), merchant.agree()
    (receipt,) = record(merchant, Order(1, {"default": 1000}).payload(merchant, boxs_own))
    assert kinds(audited(network, merchant, mine, [kept(receipt)])) == {"both-sides"}


def test_a_kept_answer_without_a_receipt_is_a_deleted_conversion(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    (receipt,) = record(merchant, Order(1, {"default": 1000}).payload(merchant, agreement))
    answers = [
        kept(receipt),
        Saved("deleted", attributed=True, saved_at=None, receipt=None),
        Saved("never-mine", attributed=False, saved_at=None, receipt=None),
        Saved("swapped", attributed=True, saved_at=None, receipt=receipt),
    ]
    report = audited(network, merchant, agreement, answers)
    assert [(f.kind, f.where) for f in report.findings] == [("missing", "deleted"), ("missing", "swapped")]


def rows(*answers: Any) -> list[Kept]:
    return read_saved(json.dumps(answers))


def waiting(name: str, state: str, reason: str | None = None, **row: Any) -> dict[str, Any]:
    """A kept answer with what a box says in the place of the receipt."""
    answer = {"conversionId": name, "status": "open", "attributed": True, "duplicate": False}
    return {"answer": answer, "receipt": {"conversionId": name, "state": state, "reason": reason}, **row}


def test_a_sale_that_is_on_its_way_is_no_finding_unless_it_is_for_ever(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    now, yesterday = rfc3339(network.now() - 60), rfc3339(network.now() - 2 * DAY)
    answers = rows(
        waiting("fresh", "pending", "pending"),
        waiting("sent", "sent", savedAt=now),
        waiting("held", "held", savedAt=yesterday),
        waiting("erased", "confirmed", "erased", savedAt=yesterday),
        waiting("deleted", "pending", savedAt=yesterday),
        waiting("refused", "setAside", "AgreementClosed"),
        waiting("never", "none", "unknown_click"),
        waiting("called-a-test", "none", "test"),
        {"conversionId": "gone", "attributed": True},
    )
    report = audited(network, merchant, agreement, answers)
    missing = ["deleted", "refused", "never", "called-a-test", "gone"]
    assert [(f.kind, f.where) for f in report.findings] == [("missing", name) for name in missing]
    assert "AgreementClosed" in report.findings[1].detail
    for name in ("fresh", "sent", "held", "erased"):
        assert [note for note in report.notes if name in note], name


def test_a_test_orders_answer_is_none_to_look_for(network: Network, merchant: Merchant) -> None:
    kept_row = waiting("t", "none", "test")
    kept_row["answer"]["isTest"] = True
    assert audited(network, merchant, merchant.agree(), rows(kept_row)).findings == []


def test_a_receipt_kept_from_before_a_refund_was_true(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    payload = Order(1, {"default": 1000}).payload(merchant, agreement)
    (receipt,) = record(merchant, payload)
    batch = merchant.pack(*entries_of(payload, merchant))
    proof = merchant.address, batch.body, keccak256(batch.commitments)
    for amount in (500, 200):
        merchant.send(contract.encode_amend(*proof, [Amendment(0, amount, reason=REASONS["refund"])]))
    halved = {**receipt, "amount": "5.00", "commission": "0.50"}
    assert audited(network, merchant, agreement, [kept(receipt), kept(halved)]).findings == []
    (note,) = audited(network, merchant, agreement, [kept(receipt, asked_now=True)]).notes
    assert "as they were" in note and "conversion1" in note
    never = {**receipt, "amount": "9.00", "commission": "0.90"}
    assert kinds(audited(network, merchant, agreement, [kept(never)])) == {"false-receipt"}


def test_kept_clicks_are_checked_by_their_proofs_or_said_to_be_beyond_it(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    name = "0x" + agreement.hex()
    proof = shown_proof(merchant, 3, agreement=name)
    good = {"answer": {"clickId": "click3"}, "savedAt": proof["payload"]["clickedAt"], "proof": proof}
    report = audited(network, merchant, agreement, rows(good, {"clickId": "unproved"}, {"attributed": True}))
    assert report.findings == []
    assert [note for note in report.notes if "unproved" in note] and [n for n in report.notes if "name no conv" in n]
    strangers = shown_proof(merchant, 2, agreement="0x" + merchant.agree().hex())
    answers = rows(
        {**good, "answer": {"clickId": "another"}},
        {**good, "savedAt": rfc3339(network.now() - DAY)},
        {**good, "proof": {**proof, "sequence": 1}},
        {"answer": {"clickId": "click2"}, "proof": strangers},
    )
    report = audited(network, merchant, agreement, answers)
    assert [(f.kind, f.where) for f in report.findings] == [
        ("missing", "another"),
        ("back-dated", "click3"),
        ("false-receipt", "click3"),
        ("both-sides", "click2"),
    ]


def test_a_repeat_is_answered_any_time_after_the_order(network: Network, merchant: Merchant) -> None:
    """A thank-you page opened again the day after: the same id, `duplicate`, and another savedAt."""
    agreement = merchant.agree()
    (receipt,) = record(merchant, Order(1, {"default": 1000}).payload(merchant, agreement))
    created = receipt["payload"]["createdAt"]
    network.wait(2 * DAY)
    answer = {"conversionId": receipt["conversionId"], "status": "open", "attributed": True, "duplicate": True}
    row = {"answer": answer, "receipt": receipt}
    again = rows({**row, "savedAt": created}, {**row, "savedAt": rfc3339(network.now())})
    assert audited(network, merchant, agreement, again).findings == []
    first = rows({**row, "answer": {**answer, "duplicate": False}, "savedAt": rfc3339(network.now())})
    assert kinds(audited(network, merchant, agreement, first)) == {"back-dated"}
    before = rows({**row, "savedAt": rfc3339(network.now() - 5 * DAY)})
    assert kinds(audited(network, merchant, agreement, before)) == {"back-dated"}


def test_an_order_that_was_moved_in_the_open_is_noted_and_one_that_was_not_is_found(
    network: Network, merchant: Merchant
) -> None:
    mine, theirs = merchant.agree(), merchant.agree()
    payload = Order(1, {"default": 1000}, verified=False).payload(merchant, mine)
    (first,) = record(merchant, payload)
    moved = Order(1, {"default": 1000}).payload(merchant, theirs)
    new = merchant.pack(*entries_of(moved, merchant))
    old = {bytes.fromhex(first["batch"][2:]): [Run(0, 1, "rejected", SUPERSEDED)]}
    (event, *_) = (
        one for one in merchant.send(contract.encode_supersede(merchant.address, old, new)) if isinstance(one, Recorded)
    )
    shown = receipt_of(merchant, moved, new, event, 0)
    report = audited(network, merchant, mine, [kept(shown)])
    assert report.findings == []
    assert [note for note in report.notes if "superseded" in note and "conversion1" in note]
    assert report.rejections == {"superseded": 1}
    (stolen,) = record(merchant, Order(2, {"default": 1000}).payload(merchant, theirs))
    assert kinds(audited(network, merchant, mine, [kept(stolen)])) == {"both-sides"}


@pytest.mark.parametrize("proved", [True, False])
def test_a_receipt_that_dates_its_click_otherwise_than_the_click_s_own_answer_is_found(
    network: Network, merchant: Merchant, proved: bool
) -> None:
    """Clicked under 10 %, anchored so, and paid by the 0.1 % of two days later, under which the receipt says it was."""
    publisher = new_account()
    promised = merchant.agree(publisher=publisher)
    clicked = network.now()
    proof = shown_proof(merchant, 3, clicked=0, agreement="0x" + promised.hex())
    network.wait(2 * DAY)
    later = merchant.agree(Rule("sale", rate=1_000), publisher=publisher)
    network.wait(DAY)
    order = {"clickId": "click3", "publisherId": proof["payload"]["publisherId"]}
    told = rfc3339(network.now() - 3600)
    (false,) = record(merchant, Order(1, {"default": 1000}).payload(merchant, later, **order, clickedAt=told))
    true_one = Order(2, {"default": 1000}).payload(merchant, promised, **order, clickedAt=proof["payload"]["clickedAt"])
    (true,) = record(merchant, true_one)
    shown = {"answer": {"clickId": "click3"}, "savedAt": rfc3339(clicked), **({"proof": proof} if proved else {})}
    click = rows(shown)
    assert audited(network, merchant, promised, [*click, kept(true)]).findings == []
    report = audited(network, merchant, promised, [*click, kept(false)])
    assert kinds(report) == ({"false-receipt"} if proved else {"back-dated"})
    assert {finding.where for finding in report.findings} == {"conversion1"}


@pytest.mark.parametrize("junk", [{"merchant": 5}, {"x": 1}, {"payload": {}, "conversionId": None}])
def test_a_kept_receipt_that_is_none_is_a_false_one(network: Network, merchant: Merchant, junk: dict[str, Any]) -> None:
    agreement = merchant.agree()
    (receipt,) = record(merchant, Order(1, {"default": 1000}).payload(merchant, agreement))
    receipt.pop("conversionId")
    answers = [Saved("conversion1", attributed=True, saved_at=None, receipt=shown) for shown in (receipt, junk)]
    report = audited(network, merchant, agreement, answers)
    assert [(f.kind, f.where) for f in report.findings] == [("false-receipt", "conversion1")] * 2


def test_receipts_that_tell_another_order_or_pay_are_found(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    payloads = [Order(i, {"default": 1000 + i}).payload(merchant, agreement) for i in range(2)]
    one, two = record(merchant, *payloads)
    one["sequence"], two["sequence"] = two["sequence"], one["sequence"]
    report = audited(network, merchant, agreement, [kept(one), kept(two)])
    assert [f.kind for f in report.findings] == ["false-receipt"] * 2
    assert report.findings[0].detail.startswith("inclusion")


def test_a_back_dated_conversion_is_found_by_when_the_answer_was_kept(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    network.wait(4 * DAY)
    now = network.now()
    payload = Order(1, {"default": 1000}).payload(
        merchant, agreement, createdAt=rfc3339(now - 2 * DAY), clickedAt=rfc3339(now - 3 * DAY)
    )
    (receipt,) = record(merchant, payload)
    assert audited(network, merchant, agreement, [kept(receipt, saved_at=now - 2 * DAY)]).findings == []
    assert kinds(audited(network, merchant, agreement, [kept(receipt, saved_at=now)])) == {"back-dated"}


def test_bytes_that_a_transaction_does_not_show_are_reported(network: Network, merchant: Merchant) -> None:
    """A batch built and sent by another contract's code: recorded, but nobody can read what."""
    agreement = merchant.agree()
    batch = merchant.pack(Entry(agreement, "sale", 100, commitment(1)))
    call = contract.encode_record(merchant.address, batch)
    # A contract whose code holds the call; poking it with no input sends the call on.
    head = bytes.fromhex(f"61{len(call):04x}602f5f395f5f61{len(call):04x}5f5f73{network.address[2:]}5af1005b")
    forwarder = head.ljust(0x2F, b"\x00") + call
    creation = bytes.fromhex(f"61{len(forwarder):04x}600d5f3961{len(forwarder):04x}5ff300") + forwarder
    sent = network._send({"from": network.payer, "data": "0x" + creation.hex()})
    wallet = network.receipt(sent)["contractAddress"]
    network.send(merchant.address, contract.encode_authorise(wallet, network.now() + 1000))
    receipt = network.send(network.payer, b"", to=wallet)
    assert len(receipt["logs"]) == 1
    assert "unreadable-batch" in kinds(audited(network, merchant, agreement))


def test_kept_answers_are_read_as_an_array_or_as_lines() -> None:
    answer = {"conversionId": "a", "status": "open", "attributed": True, "duplicate": False}
    wrapped = {"answer": answer, "savedAt": "2026-11-01T00:00:00Z", "receipt": {"x": 1}}
    as_lines = read_saved(json.dumps(answer) + "\n\n" + json.dumps(wrapped) + "\n")
    assert as_lines == read_saved(json.dumps([answer, wrapped]))
    assert as_lines == [Saved("a", True, None, None), Saved("a", True, 1793491200, {"x": 1})]


@pytest.fixture
def busy_box() -> Iterator[str]:
    """A box's URL that says "asked too often" to each first question, and then what it knows."""
    known: dict[str, tuple[int, dict[str, Any]]] = {
        "/v1/receipts/mined": (200, {"conversionId": "mined", "payload": {}}),
        "/v1/receipts/fresh": (202, {"conversionId": "fresh", "state": "pending", "reason": "pending"}),
        "/v1/clicks/anchored/proof": (200, {"clickId": "anchored", "root": "00"}),
        "/v1/clicks/new/proof": (202, {"clickId": "new", "state": "pending"}),
    }
    asked: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, shown = known.get(self.path, (404, {})) if self.path in asked else (429, {})
            asked.add(self.path)
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(json.dumps(shown).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_box_that_is_asked_too_often_is_asked_again(busy_box: str) -> None:
    names = [{"conversionId": name, "attributed": True} for name in ("mined", "fresh", "gone")]
    clicks = [{"clickId": name} for name in ("anchored", "new", "forgotten")]
    assert read_saved(json.dumps([*names, *clicks]), busy_box) == [
        Saved("mined", True, None, {"conversionId": "mined", "payload": {}}, asked_now=True),
        Saved("fresh", True, None, None, no_receipt=NoReceipt("pending", "pending")),
        Saved("gone", True, None, None),
        SavedClick("anchored", None, {"clickId": "anchored", "root": "00"}),
        SavedClick("new", None, None),
        SavedClick("forgotten", None, None),
    ]


def test_the_command_says_what_it_found_by_its_exit_code(network: Network, merchant: Merchant, tmp_path: Path) -> None:
    agreement = busy_merchant(merchant)
    options = [
        "--publisher",
        merchant.publishers[agreement].address,
        "--contract",
        network.address,
        "--rpc",
        network.url,
    ]
    run = CliRunner()
    good = run.invoke(audit, options)
    assert good.exit_code == 0, good.output
    assert "0 findings" in good.output
    saved = tmp_path / "saved.jsonl"
    saved.write_text('{"conversionId": "gone", "attributed": true}\n')
    bad = run.invoke(audit, [*options, "--saved", str(saved), "--json"])
    document = json.loads(bad.output)
    assert (bad.exit_code, document["findings"][0]["kind"]) == (1, "missing")
    assert {total["currency"] for total in document["totals"]} == {"EUR"}
    assert run.invoke(audit, [*options[:-1], "http://127.0.0.1:1"]).exit_code == 2
    saved.write_text("{")
    assert run.invoke(audit, [*options, "--saved", str(saved)]).exit_code == 2


def test_the_contract_is_found_by_the_publishers_agreements(network: Network, merchant: Merchant) -> None:
    account = merchant.publishers[busy_merchant(merchant)].address
    found = CliRunner().invoke(audit, ["--publisher", account, "--rpc", network.url])
    assert found.exit_code == 0 and "0 findings" in found.output, found.output
    network.rpc("anvil_mine", hex(3 * MOST_BLOCKS))
    for status in (200, 400):
        with narrow_node(network.url, status) as narrow:
            found = CliRunner().invoke(audit, ["--publisher", account, "--rpc", narrow])
            assert found.exit_code == 0 and "0 findings" in found.output, found.output
    nobody = CliRunner().invoke(audit, ["--publisher", "0x" + "12" * 20, "--rpc", network.url])
    assert nobody.exit_code == 2 and "--contract" in nobody.output
    no_account = CliRunner().invoke(audit, ["--publisher", "demo-publisher", "--rpc", network.url])
    assert no_account.exit_code == 2 and "account" in no_account.output
