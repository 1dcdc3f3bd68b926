"""The network contract's logs as typed events. Amounts are minor units, times Unix seconds of the chain, ids raw bytes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode

from chalicelib.adapters.contract_abi import abi_type, events
from chalicelib.domain.agreement import Terms, from_message
from chalicelib.domain.batch import unpack_words
from chalicelib.domain.network_changes import Run, unpack_changes


@dataclass(frozen=True, slots=True)
class Where:
    """Where a log stands on the chain. Hashes are 0x hex, lower case."""

    address: str
    block: int
    block_hash: str
    transaction: str
    log_index: int


@dataclass(frozen=True, slots=True)
class KeyAuthorised:
    where: Where
    merchant: str
    key: str
    expiry: int


@dataclass(frozen=True, slots=True)
class KeyRevoked:
    where: Where
    merchant: str
    key: str


@dataclass(frozen=True, slots=True)
class AgreementRegistered:
    where: Where
    agreement: bytes
    merchant: str
    publisher: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class SignaturesWithdrawn:
    where: Where
    merchant: str
    publisher: str
    by: str
    next_nonce: int


@dataclass(frozen=True, slots=True)
class AgreementEnded:
    """`closes_at`: from then on nothing more is recorded under it."""

    where: Where
    agreement: bytes
    merchant: str
    by: str
    closes_at: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """Entry i of the batch has sequence first + i and commission commissions[i]; silence approves the first `silent`."""

    where: Where
    merchant: str
    batch: bytes
    first: int
    count: int
    silent: int
    commissions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    where: Where
    merchant: str
    by: str
    changes: tuple[tuple[bytes, tuple[Run, ...]], ...]


@dataclass(frozen=True, slots=True)
class Amended:
    where: Where
    merchant: str
    batch: bytes
    sequence: int
    old_amount: int
    new_amount: int
    old_commission: int
    new_commission: int
    verified: bool
    reason: int


@dataclass(frozen=True, slots=True)
class Superseded:
    """What `changes` rejected was recorded anew in `batch` by the same call."""

    where: Where
    merchant: str
    batch: bytes
    changes: tuple[tuple[bytes, tuple[Run, ...]], ...]


@dataclass(frozen=True, slots=True)
class ClicksAnchored:
    where: Where
    merchant: str
    root: bytes
    first: int
    count: int
    period_start: int
    period_end: int


Event = (
    KeyAuthorised
    | KeyRevoked
    | AgreementRegistered
    | SignaturesWithdrawn
    | AgreementEnded
    | Recorded
    | Decided
    | Amended
    | Superseded
    | ClicksAnchored
)


def decode_logs(logs: Iterable[Mapping[str, Any]], contract: str | None = None) -> list[Event]:
    """Events of JSON-RPC logs (a receipt's `logs`, or eth_getLogs), in their order.

    Takes hex strings or bytes as web3 gives them. Logs of other contracts (when `contract` is given) and logs of events
    this contract does not have are left out.
    """
    found: list[Event] = []
    for log in logs:
        where = _where(log)
        topics = [_bytes(topic) for topic in log["topics"]]
        item = events().get(topics[0]) if topics else None
        if item is None or (contract is not None and where.address != contract.lower()):
            continue
        found.append(_MAKERS[item["name"]](where, _arguments(item, topics[1:], _bytes(log["data"]))))
    return found


def _where(log: Mapping[str, Any]) -> Where:
    return Where(
        address="0x" + _bytes(log["address"]).hex(),
        block=_int(log["blockNumber"]),
        block_hash="0x" + _bytes(log["blockHash"]).hex(),
        transaction="0x" + _bytes(log["transactionHash"]).hex(),
        log_index=_int(log["logIndex"]),
    )


def _bytes(value: str | bytes) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)


def _int(value: str | int) -> int:
    return int(value, 16) if isinstance(value, str) else value


def _arguments(item: dict[str, Any], topics: list[bytes], data: bytes) -> dict[str, Any]:
    plain = [part for part in item["inputs"] if not part["indexed"]]
    indexed = [part for part in item["inputs"] if part["indexed"]]
    values = dict(zip((p["name"] for p in plain), decode([abi_type(p) for p in plain], data), strict=True))
    for part, topic in zip(indexed, topics, strict=True):
        values[part["name"]] = decode([abi_type(part)], topic)[0]
    for part in plain:
        if part["type"] == "tuple":
            values[part["name"]] = _named(part["components"], values[part["name"]])
    return values


def _named(components: list[dict[str, Any]], values: tuple[Any, ...]) -> dict[str, Any]:
    named = dict(zip((part["name"] for part in components), values, strict=True))
    for part in components:
        if part["type"] == "tuple[]":
            named[part["name"]] = [_named(part["components"], value) for value in named[part["name"]]]
    return named


def _changes(data: bytes) -> tuple[tuple[bytes, tuple[Run, ...]], ...]:
    return tuple((batch, tuple(batch_runs)) for batch, batch_runs in unpack_changes(data))


_MAKERS: dict[str, Callable[[Where, dict[str, Any]], Event]] = {
    "KeyAuthorised": lambda w, a: KeyAuthorised(w, a["merchant"], a["key"], a["expiry"]),
    "KeyRevoked": lambda w, a: KeyRevoked(w, a["merchant"], a["key"]),
    "AgreementRegistered": lambda w, a: AgreementRegistered(
        w, a["agreementId"], a["merchant"], a["publisher"], from_message(a["terms"])
    ),
    "SignaturesWithdrawn": lambda w, a: SignaturesWithdrawn(w, a["merchant"], a["publisher"], a["by"], a["nextNonce"]),
    "AgreementEnded": lambda w, a: AgreementEnded(w, a["agreementId"], a["merchant"], a["by"], a["closesAt"]),
    "Recorded": lambda w, a: Recorded(
        w,
        a["merchant"],
        a["batch"],
        a["first"],
        a["count"],
        a["silent"],
        tuple(unpack_words(a["commissions"], a["count"])),
    ),
    "Decided": lambda w, a: Decided(w, a["merchant"], a["by"], _changes(a["changes"])),
    "Amended": lambda w, a: Amended(
        w,
        a["merchant"],
        a["batch"],
        a["sequence"],
        a["oldAmount"],
        a["newAmount"],
        a["oldCommission"],
        a["newCommission"],
        a["verified"],
        a["reason"],
    ),
    "Superseded": lambda w, a: Superseded(w, a["merchant"], a["batch"], _changes(a["changes"])),
    "ClicksAnchored": lambda w, a: ClicksAnchored(
        w, a["merchant"], a["root"], a["first"], a["count"], a["periodStart"], a["periodEnd"]
    ),
}
