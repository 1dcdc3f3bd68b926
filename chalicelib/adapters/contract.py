"""The network contract's calls: calldata for every function, the meaning of every refusal, and the views.

Nothing here sends: `encode_*` gives the `data` of a transaction to the contract, decode_logs (contract_events) reads what
came of it, NetworkViews asks over any `call(data) -> answer`. Addresses are 0x hex, ids and digests 32 raw bytes, amounts
minor units, times Unix seconds.

    batch = pack(entries, silence_all)                    chalicelib.domain.batch
    data = encode_record(merchant, batch)                 sign and send it to the contract
    [event] = decode_logs(receipt["logs"])                Recorded(first, commissions, ...)
    sequence = event.first + batch.positions[i]           of the caller's i-th entry

Which entry is at fault: ask the node before sending (eth_call or eth_estimateGas with `from` = the signer). A refusal's data
goes through `decode_error`; `refusal.entry` is the first entry of the group that was refused - set aside
`batch.entries[refusal.entry]` (its agreement, when `refusal.agreement` is set) and pack again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from chalicelib.adapters.contract_abi import abi_type, errors, functions
from chalicelib.domain.agreement import ACTIONS, Action, Terms, message
from chalicelib.domain.batch import Batch, digest
from chalicelib.domain.network_changes import Amendment, Run, pack_amendments, pack_changes
from chalicelib.domain.network_status import STATUSES, Status


def _call(function: str, *arguments: Any) -> bytes:
    selector, types, _ = functions()[function]
    return selector + encode(types, arguments)


def encode_authorise(key: str, expiry: int) -> bytes:
    """Sent by the merchant's own account: `key` may record, decide and anchor until `expiry`."""
    return _call("authoriseKey", key, expiry)


def encode_revoke(key: str) -> bytes:
    """Sent by the merchant's own account."""
    return _call("revokeKey", key)


def encode_register(terms: Terms, merchant_signature: bytes, publisher_signature: bytes) -> bytes:
    """Sent by anyone. The signatures are over `agreement_id(terms, ...)`: 65 bytes r, s, v, or what a contract account takes."""
    return _call("registerAgreement", _tuple(terms), merchant_signature, publisher_signature)


def encode_withdraw(merchant: str, publisher: str) -> bytes:
    """Sent by either party: makes signatures for agreements not yet registered worthless."""
    return _call("withdrawSignatures", merchant, publisher)


def encode_end(merchant: str, agreement: bytes) -> bytes:
    """Sent by either party's own account, never by an operational key."""
    return _call("endAgreement", merchant, agreement)


def encode_record(merchant: str, batch: Batch) -> bytes:
    """Sent by the merchant or its operational key."""
    return _call("record", merchant, batch.body, batch.commitments)


def encode_supersede(merchant: str, changes: Mapping[bytes, Sequence[Run]], batch: Batch) -> bytes:
    """Rejects the entries of `changes` (each with reason SUPERSEDED) and records `batch`, or does neither."""
    return _call("supersede", merchant, pack_changes(changes), batch.body, batch.commitments)


def encode_decide(merchant: str, changes: Mapping[bytes, Sequence[Run]]) -> bytes:
    """`changes`: each batch's digest with its runs (`runs(...)` joins single decisions). One late entry refuses them all."""
    return _call("decide", merchant, pack_changes(changes))


def encode_amend(merchant: str, body: bytes, commitments_hash: bytes, amendments: Sequence[Amendment]) -> bytes:
    """`body` as recorded and keccak256 of the batch's commitments prove what the amounts were."""
    return _call("amend", merchant, body, commitments_hash, pack_amendments(amendments))


def encode_anchor(merchant: str, root: bytes, count: int, period_start: int, period_end: int) -> bytes:
    """Fixes `count` clicks under a Merkle root (chalicelib.domain.merkle)."""
    return _call("anchorClicks", merchant, root, count, period_start, period_end)


def _tuple(terms: Terms) -> tuple[Any, ...]:
    fields = message(terms)
    fields["rules"] = [tuple(rule.values()) for rule in fields["rules"]]
    return tuple(fields.values())


@dataclass(frozen=True, slots=True)
class RecordedBytes:
    """A batch as somebody sent it. `changes` is empty unless it superseded something."""

    merchant: str
    body: bytes
    commitments: bytes
    changes: bytes = b""


def find_batch(transaction_input: bytes, batch: bytes) -> RecordedBytes | None:
    """The bytes whose digest is `batch` in a transaction's input: the call itself, or one wrapped by a smart account, a
    multisig or a multicall. None when the transaction does not show them in plain."""
    for function in ("record", "supersede"):
        selector, types, _ = functions()[function]
        at = transaction_input.find(selector)
        while at >= 0:
            try:
                arguments = decode(types, transaction_input[at + 4 :], strict=False)
            except (DecodingError, OverflowError):
                arguments = None
            if arguments is not None and digest(arguments[-2], arguments[-1]) == batch:
                changes = arguments[1] if function == "supersede" else b""
                return RecordedBytes(arguments[0], arguments[-2], arguments[-1], changes)
            at = transaction_input.find(selector, at + 1)
    return None


@dataclass(frozen=True, slots=True)
class NetworkRefusal:
    """A named error of the contract. `entry`: position in the batch where it speaks of one; `agreement` likewise."""

    name: str
    arguments: tuple[Any, ...]
    entry: int | None = None
    agreement: bytes | None = None


_NAMES_ENTRY = {"BadHead": 0, "BadBody": 0, "BadTail": 0, "SilentFirst": 0, "BadAmendment": 0, "NotRecorded": 1}
_NAMES_AGREEMENT_AND_ENTRY = ("UnknownAgreement", "AgreementClosed", "DaysDiffer")


def decode_error(data: bytes) -> NetworkRefusal | None:
    """The refusal in a revert's data, None when it is not one of the contract's."""
    item = errors().get(data[:4])
    if item is None:
        return None
    name = item["name"]
    arguments = decode([abi_type(part) for part in item["inputs"]], data[4:])
    if name in _NAMES_AGREEMENT_AND_ENTRY:
        return NetworkRefusal(name, arguments, entry=arguments[1], agreement=arguments[0])
    if name == "TotalsExhausted":
        return NetworkRefusal(name, arguments, agreement=arguments[0])
    return NetworkRefusal(name, arguments, entry=arguments[_NAMES_ENTRY[name]] if name in _NAMES_ENTRY else None)


@dataclass(frozen=True, slots=True)
class StatusView:
    status: Status
    decision: Status
    due: int
    lock: int


def encode_status_of(merchant: str, batch: bytes, sequence: int) -> bytes:
    """The question behind NetworkViews.status, for who asks many at once."""
    return _call("statusOf", merchant, batch, sequence)


def decode_status(answer: bytes) -> StatusView:
    status, decision, due, lock = decode(functions()["statusOf"][2], answer)
    return StatusView(STATUSES[status], STATUSES[decision], due, lock)


@dataclass(frozen=True, slots=True)
class AgreementView:
    """`closes_at` 0 = not ended. An agreement nobody registered has `registered` False and zeros."""

    registered: bool
    closes_at: int
    validation_days: int
    lock_days: int
    silence_approves_all: bool
    rules: int


@dataclass(frozen=True, slots=True)
class PartiesView:
    publisher: str
    window_days: int
    hosted: bool
    version: int


@dataclass(frozen=True, slots=True)
class BatchView:
    """`first` 0 = no such batch. `silent`: how many of its entries, from the first, silence approves."""

    first: int
    count: int
    recorded_at: int
    due: int
    lock: int
    silent: int


@dataclass(frozen=True, slots=True)
class TotalsView:
    """Everything recorded under an agreement, rejected conversions included, amounts as amended."""

    conversions: int
    amount: int
    commission: int


class NetworkViews:
    """The contract's views over `call`, which sends data to the contract (eth_call) and gives the answer's bytes.

    Answers hold for the block the call is made at, its time included. What `call` raises passes through.
    """

    def __init__(self, call: Callable[[bytes], bytes]) -> None:
        self._ask_node = call

    def _ask(self, function: str, *arguments: Any) -> tuple[Any, ...]:
        answer: tuple[Any, ...] = decode(functions()[function][2], self._ask_node(_call(function, *arguments)))
        return answer

    def status(self, merchant: str, batch: bytes, sequence: int) -> StatusView:
        return decode_status(self._ask_node(encode_status_of(merchant, batch, sequence)))

    def commission(self, merchant: str, agreement: bytes, action: Action, group: int, amount: int) -> int:
        (paid,) = self._ask("commissionOf", merchant, agreement, ACTIONS.index(action), group, amount)
        return int(paid)

    def totals(self, merchant: str, agreement: bytes) -> TotalsView:
        return TotalsView(*self._ask("totalsOf", merchant, agreement))

    def agreement(self, merchant: str, agreement: bytes) -> AgreementView:
        return AgreementView(*self._ask("agreementOf", merchant, agreement))

    def parties(self, agreement: bytes) -> PartiesView:
        return PartiesView(*self._ask("partiesOf", agreement))

    def next_agreement(self, merchant: str, publisher: str) -> tuple[int, int]:
        """(nonce, version) that the pair's next agreement must have."""
        nonce, version = self._ask("nextAgreement", merchant, publisher)
        return int(nonce), int(version)

    def counts(self, merchant: str) -> tuple[int, int]:
        """(conversions recorded, clicks anchored) so far: where the merchant's two sequences end."""
        conversions, clicks = self._ask("countsOf", merchant)
        return int(conversions), int(clicks)

    def batch(self, merchant: str, batch: bytes) -> BatchView:
        return BatchView(*self._ask("batchOf", merchant, batch))

    def amendment(self, merchant: str, batch: bytes, entry: int) -> tuple[int | None, bool]:
        """(the amount it was amended to, or None; whether an amendment verified it)."""
        amended, amount, verified = self._ask("amendmentOf", merchant, batch, entry)
        return (int(amount) if amended else None), bool(verified)

    def anchor(self, merchant: str, root: bytes) -> tuple[int, int, int]:
        """(first click's sequence, or 0; clicks; anchored at)."""
        first, count, at = self._ask("anchorOf", merchant, root)
        return int(first), int(count), int(at)

    def key_expiry(self, merchant: str, key: str) -> int:
        """The block time from which an operational key may no longer act; 0 = never authorised, or revoked."""
        (expiry,) = self._ask("keyExpiry", merchant, key)
        return int(expiry)

    def agreement_id(self, terms: Terms) -> bytes:
        """What the contract itself makes of the terms: equals domain.agreement.agreement_id."""
        (found,) = self._ask("agreementId", _tuple(terms))
        return bytes(found)
