"""What a box that cheats would show, for everybody who checks receipts: the command and the page must name the same fault.

LIES change an honest receipt of one line; FORGERIES are recorded by a merchant that means to cheat. Each with the check that finds it.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from chalicelib.adapters import contract
from chalicelib.domain.agreement import Rule
from chalicelib.domain.batch import Entry
from chalicelib.domain.commitment import canonical, commit
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import REASONS, Amendment, Run
from chalicelib.domain.network_status import DAY
from tests.contract.network_on_anvil import Merchant, new_account
from tests.contract.shown_receipts import Order, entries_of, receipt, record, rfc3339

Receipt = dict[str, Any]


def _recommit(shown: Receipt) -> None:
    shown["commitment"] = "0x" + commit(shown["payload"], bytes.fromhex(shown["salt"])).hex()


def _another_amount(shown: Receipt) -> None:
    shown["payload"]["lines"][0]["amount"] = 900
    shown["entries"][0]["amount"] = "9.00"


def _another_amount_recommitted(shown: Receipt) -> None:
    _another_amount(shown)
    _recommit(shown)


def _back_dated_click(shown: Receipt) -> None:
    shown["payload"]["clickedAt"] = "2020-01-01T00:00:00.000Z"
    _recommit(shown)


def _without(name: str) -> tuple[str, Callable[[Receipt], object]]:
    return "receipt", lambda shown: shown.pop(name)


def _as(name: str, value: Any) -> tuple[str, Callable[[Receipt], object]]:
    return "receipt", lambda shown: shown.update({name: value})


def _payload_as(name: str, value: Any) -> tuple[str, Callable[[Receipt], object]]:
    return "receipt", lambda shown: shown["payload"].update({name: value})


REQUIRED: Final = [
    "conversionId",
    "payload",
    "salt",
    "commitment",
    "agreementId",
    "merchant",
    "publisher",
    "hosted",
    "currency",
    "entries",
    "sequence",
    "transaction",
    "blockNumber",
    "blockHash",
    "logIndex",
    "amount",
    "commission",
    "verified",
    "status",
    "final",
    "chainId",
    "contract",
]

LIES: Final[list[tuple[str, Callable[[Receipt], object]]]] = [
    ("commitment", lambda r: r.update(salt="5a18" * 8)),
    ("commitment", _another_amount),
    ("inclusion", _another_amount_recommitted),
    ("inclusion", _back_dated_click),
    ("commitment", lambda r: r["payload"].update(clickId="another")),
    ("commitment", lambda r: r["payload"].update(publisherId="half \ud800")),
    ("commitment", lambda r: r["payload"].update({"schlüssel": 1})),
    ("payload", lambda r: r.update(conversionId="another")),
    ("payload", lambda r: r.update(merchant="0x" + "12" * 20)),
    ("payload", lambda r: r.update(agreementId="0x" + "12" * 32)),
    ("payload", lambda r: r.update(currency="USD")),
    ("contract", lambda r: r.update(chainId=1)),
    ("contract", lambda r: r.update(contract="0x" + "12" * 20)),
    ("block", lambda r: r.update(blockHash="0x" + "12" * 32)),
    ("block", lambda r: r.update(blockNumber=r["blockNumber"] - 1)),
    ("block", lambda r: r.update(transaction="0x" + "12" * 32)),
    # Never final at the head: the node's finality lags a block behind.
    ("block", lambda r: r.update(final=True)),
    ("inclusion", lambda r: r.update(logIndex=r["logIndex"] + 1)),
    ("inclusion", lambda r: r.update(sequence=r["sequence"] + 1)),
    ("inclusion", lambda r: r.update(sequence=r["sequence"] + 1000)),
    ("inclusion", lambda r: r["entries"][0].update(amount="10.04")),
    ("inclusion", lambda r: r["entries"][0].update(sequence=99)),
    ("agreement", lambda r: r.update(publisher="0x" + "12" * 20)),
    ("agreement", lambda r: r.update(hosted=True)),
    ("commission", lambda r: r["entries"][0].update(commission="1.00")),
    ("amendments", lambda r: r.update(commission="1.00")),
    ("amendments", lambda r: r.update(amount="10.00")),
    ("amendments", lambda r: r.update(verified=False)),
    ("status", lambda r: r.update(status="approved")),
    ("status", lambda r: r.update(status="sale")),
    *(_without(name) for name in REQUIRED),
    *(_as(name, None) for name in REQUIRED),
    ("receipt", lambda r: r["payload"].pop("clickedAt")),
    ("receipt", lambda r: r["entries"].clear()),
    ("receipt", lambda r: r["entries"].append(r["entries"][0])),
    ("receipt", lambda r: r["entries"][0].update(commission="1,00")),
    _as("contract", 5),
    _as("transaction", "zz"),
    _as("sequence", -1),
    _as("sequence", "1"),
    _as("blockNumber", True),
    _as("salt", ""),
    _as("salt", "zz" * 16),
    _as("status", ""),
    _as("final", "yes"),
    _as("hosted", "False"),
    _as("verified", 1),
    _as("amount", 10),
    _as("amount", "-10.05"),
    _as("agreementId", "0x12"),
    _payload_as("createdAt", "yesterday"),
    _payload_as("createdAt", "2026-02-30T10:00:00.000Z"),
    _payload_as("clickedAt", "2026-11-23"),
    _payload_as("action", "click"),
    _payload_as("lines", []),
]


def under_a_later_version(merchant: Merchant) -> Receipt:
    """Clicked under 10 %, paid by the 0.1 % that both signed two days later."""
    publisher = new_account()
    merchant.agree(Rule("sale", rate=100_000), publisher=publisher)
    clicked = merchant.network.now()
    merchant.network.wait(2 * DAY)
    later = merchant.agree(Rule("sale", rate=1_000), publisher=publisher)
    return record(merchant, Order(1, {"default": 1000}).payload(merchant, later, clickedAt=rfc3339(clicked)))[0]


def under_an_earlier_version(merchant: Merchant) -> Receipt:
    """Clicked when 10 % had been in force for two days, paid by the 0.1 % of before."""
    publisher = new_account()
    earlier = merchant.agree(Rule("sale", rate=1_000), publisher=publisher)
    merchant.agree(Rule("sale", rate=100_000), publisher=publisher)
    merchant.network.wait(2 * DAY)
    return record(merchant, Order(1, {"default": 1000}).payload(merchant, earlier))[0]


def voucher_under_a_later_version(merchant: Merchant) -> Receipt:
    publisher = new_account()
    merchant.agree(Rule("sale", rate=100_000), publisher=publisher)
    made = rfc3339(merchant.network.now())
    merchant.network.wait(2 * DAY)
    later = merchant.agree(Rule("sale", rate=1_000), publisher=publisher)
    order = Order(1, {"default": 1000}).payload(merchant, later, clickId=None, clickedAt=None, createdAt=made)
    return record(merchant, order)[0]


def clicked_before_any_agreement(merchant: Merchant) -> Receipt:
    agreement = merchant.agree()
    clicked = rfc3339(merchant.network.now() - DAY)
    return record(merchant, Order(1, {"default": 1000}).payload(merchant, agreement, clickedAt=clicked))[0]


def clicked_after_the_end(merchant: Merchant) -> Receipt:
    agreement = merchant.agree()
    merchant.network.send(merchant.address, contract.encode_end(merchant.address, agreement))
    merchant.network.wait(DAY)
    return record(merchant, Order(1, {"default": 1000}).payload(merchant, agreement))[0]


def in_a_group_that_is_none(merchant: Merchant) -> Receipt:
    """Commission group 5 of an agreement that has one: the contract pays nothing for it."""
    agreement = merchant.agree()
    payload = Order(1, {"default": 1000}).payload(merchant, agreement)
    (entry,) = entries_of(payload, merchant)
    batch = merchant.pack(Entry(agreement, "sale", 1000, entry.commitment, group=5, verified=True))
    return receipt(merchant, payload, batch, merchant.record(batch), 0)


def with_a_salt_of_nothing(merchant: Merchant) -> Receipt:
    """Anybody may guess what such a commitment hides."""
    agreement = merchant.agree()
    payload = Order(1, {"default": 1000}).payload(merchant, agreement)
    commitment = sha256(canonical(payload)).digest()[:20]
    batch = merchant.pack(Entry(agreement, "sale", 1000, commitment, verified=True))
    return receipt(merchant, payload, batch, merchant.record(batch), 0) | {"salt": ""}


def old_amount_with_a_new_status(merchant: Merchant) -> Receipt:
    """Both were so, but never at once: it was amended before it was rejected."""
    agreement = merchant.agree()
    payload = Order(1, {"default": 1000}).payload(merchant, agreement)
    batch = merchant.pack(*entries_of(payload, merchant))
    shown = receipt(merchant, payload, batch, merchant.record(batch), 0)
    proof = merchant.address, batch.body, keccak256(batch.commitments)
    merchant.send(contract.encode_amend(*proof, [Amendment(0, 400, reason=REASONS["refund"])]))
    merchant.send(contract.encode_decide(merchant.address, {batch.digest: [Run(0, 1, "rejected", REASONS["fraud"])]}))
    return shown | {"status": "rejected"}


FORGERIES: Final[list[tuple[str, Callable[[Merchant], Receipt]]]] = [
    ("times", under_a_later_version),
    ("times", under_an_earlier_version),
    ("times", voucher_under_a_later_version),
    ("times", clicked_before_any_agreement),
    ("times", clicked_after_the_end),
    ("agreement", in_a_group_that_is_none),
    ("receipt", with_a_salt_of_nothing),
    ("status", old_amount_with_a_new_status),
]
