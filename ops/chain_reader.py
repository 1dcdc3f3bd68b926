"""Reads a chain for who checks it: plain JSON-RPC over any endpoint, nothing kept, nothing trusted but the node's answers."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from eth_abi.exceptions import DecodingError

from chalicelib.adapters.contract import NetworkViews
from chalicelib.adapters.contract_abi import artifact
from chalicelib.adapters.contract_events import Event, decode_logs
from chalicelib.domain.errors import Refusal

_LIST = 100  # calls in one round trip
_TRIES = 6
_MOST_PATIENCE = 60  # seconds, when a node says that it was asked too often
_REFUSES_RANGE = ("range", "limit", "too many", "too large", "too big", "exceed", "more than")
WHOLE_HISTORY = "ask one that keeps the whole history"


class ChainUnreadable(RuntimeError):
    """The node does not answer, or not with what it was asked for."""


class CallReverted(ChainUnreadable):
    """The node answers, and the contract refuses a question that the published one answers."""


ODD: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    DecodingError,
    Refusal,
    CallReverted,
    RecursionError,
)
"""What reading bytes that somebody else chose may raise. Never the node's silence: that says nothing about the bytes."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A log of one of the contract's events that says nothing one could understand. `problem` is the reader's."""

    block: int
    log_index: int
    transaction: str
    topics: tuple[str, ...]
    problem: str


class Chain:
    """One network contract behind an RPC URL. Answers that cannot change are remembered."""

    def __init__(self, url: str, contract: str, first_block: int = 0) -> None:
        self.url = url
        self.contract = contract.lower()
        self.first_block = first_block
        self.views = NetworkViews(self.call)
        self._transactions: dict[str, dict[str, Any]] = {}
        self._times: dict[int, int] = {}

    def rpc(self, method: str, *params: Any) -> Any:
        """Raises ChainUnreadable with what the node said."""
        answer = self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}, method)
        if not isinstance(answer, dict) or "result" not in answer:
            error = answer.get("error") if isinstance(answer, dict) else None
            text = error.get("message", error) if isinstance(error, dict) else answer
            is_contracts_answer = method == "eth_call" and "revert" in str(text).lower()
            raise (CallReverted if is_contracts_answer else ChainUnreadable)(f"the node refuses {method}: {text}")
        # Of transactions and blocks there may be none; everything else has an answer.
        if answer["result"] is None and not method.startswith(("eth_getTransaction", "eth_getBlock")):
            raise ChainUnreadable(f"the node answers {method} with nothing")
        return answer["result"]

    def _post(self, document: Any, what: str, tries: int = _TRIES) -> Any:
        request = urllib.request.Request(self.url, json.dumps(document).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as refusal:
            if refusal.code == HTTPStatus.TOO_MANY_REQUESTS and tries > 1:
                wanted = str(refusal.headers.get("Retry-After"))
                time.sleep(min(int(wanted) if wanted.isdecimal() else 1, _MOST_PATIENCE))
                return self._post(document, what, tries - 1)
            # Some nodes refuse with 400 and say why in the body, as JSON-RPC does with 200.
            try:
                return json.load(refusal)
            except ValueError:
                raise ChainUnreadable(f"the node does not answer {what}: {refusal}") from refusal
        except (urllib.error.URLError, OSError, ValueError) as failure:
            raise ChainUnreadable(f"the node does not answer {what}: {failure}") from failure

    def call_many(self, calls: Sequence[bytes]) -> list[bytes | None]:
        """The answers of many views, a hundred a round trip where the node takes lists, else one by one. None for a call
        that the contract refuses."""
        answers: list[bytes | None] = []
        for start in range(0, len(calls), _LIST):
            some = calls[start : start + _LIST]
            requests = [
                {
                    "jsonrpc": "2.0",
                    "id": number,
                    "method": "eth_call",
                    "params": [{"to": self.contract, "data": "0x" + data.hex()}, hex(self.head)],
                }
                for number, data in enumerate(some)
            ]
            listed = _in_order(self._post(requests, "a list of eth_call"), len(some))
            answers += listed or [self._call_or_none(data) for data in some]
        return answers

    def _call_or_none(self, data: bytes) -> bytes | None:
        try:
            return self.call(data)
        except CallReverted:
            return None

    def call(self, data: bytes) -> bytes:
        """A view's answer at the head of the chain."""
        request = {"to": self.contract, "data": "0x" + data.hex()}
        return bytes.fromhex(self.rpc("eth_call", request, hex(self.head))[2:])

    @cached_property
    def chain_id(self) -> int:
        return _quantity(self.rpc("eth_chainId"), "eth_chainId")

    @cached_property
    def head(self) -> int:
        """The block everything is read at, so that a block arriving meanwhile changes nothing."""
        return _quantity(self._head["number"], "eth_getBlockByNumber")

    @cached_property
    def _head(self) -> dict[str, Any]:
        return self._block("latest")

    def stands_still(self) -> None:
        """Raises ChainUnreadable where a reorganisation took the head away meanwhile: then the answers are of two chains, and what does not
        fit together says nothing about anybody."""
        if self.block(self.head)["hash"] != self._head["hash"]:
            raise ChainUnreadable(f"the chain was reorganised at block {self.head} while it was read: ask again")

    @cached_property
    def now(self) -> int:
        """The head's time: the moment statuses are derived for."""
        return self.time(self.head)

    @cached_property
    def finalized(self) -> int:
        """The last final block; -1 on a network that knows none."""
        try:
            block = self.rpc("eth_getBlockByNumber", "finalized", False)
        except ChainUnreadable:
            return -1
        return _quantity(block["number"], "eth_getBlockByNumber") if isinstance(block, dict) else -1

    @cached_property
    def is_known_code(self) -> bool:
        """Whether the contract is, byte for byte, the one whose source is published."""
        return bool(self._code == artifact()["runtime"])

    @property
    def has_code(self) -> bool:
        return bool(self._code not in ("0x", None))

    @cached_property
    def _code(self) -> Any:
        return self.rpc("eth_getCode", self.contract, hex(self.head))

    def time(self, block: int) -> int:
        if block not in self._times:
            self._times[block] = _quantity(self.block(block)["timestamp"], "eth_getBlockByNumber")
        return self._times[block]

    def block(self, number: int) -> dict[str, Any]:
        return self._block(hex(number))

    def _block(self, named: str) -> dict[str, Any]:
        found = self.rpc("eth_getBlockByNumber", named, False)
        if not isinstance(found, dict):
            raise ChainUnreadable(f"the node has no block {int(named, 16) if named.startswith('0x') else named}")
        return found

    def transaction(self, transaction: str) -> dict[str, Any]:
        """One that the node has shown a log or a receipt of."""
        if transaction not in self._transactions:
            found = self.rpc("eth_getTransactionByHash", transaction)
            if found is None:
                raise ChainUnreadable(
                    f"the node shows what transaction {transaction} did and not what it says: {WHOLE_HISTORY}"
                )
            self._transactions[transaction] = found
        return self._transactions[transaction]

    def receipt(self, transaction: str, block: int) -> dict[str, Any] | None:
        """None where there is no such transaction. A node that holds it in that block and has forgotten what came of it says nothing."""
        found: dict[str, Any] | None = self.rpc("eth_getTransactionReceipt", transaction)
        if found is None and block <= self.head and transaction in self.block(block)["transactions"]:
            raise ChainUnreadable(f"the node holds transaction {transaction} and not its receipt: {WHOLE_HISTORY}")
        return found

    def events(self, *topics: str | None) -> list[Event]:
        """The contract's events with these topics (None = any), oldest first. One that cannot be read raises one of ODD."""
        return decode_logs(self.logs(*topics), self.contract)

    def events_one_by_one(self, *topics: str | None) -> list[Event | Unreadable]:
        """The same where one log that cannot be read must not hide the others."""
        return [read for log in self.logs(*topics) for read in self._read(log)]

    def _read(self, log: dict[str, Any]) -> Sequence[Event | Unreadable]:
        try:
            return decode_logs([log], self.contract)
        except ODD as odd:
            place = int(log["blockNumber"], 16), int(log["logIndex"], 16)
            return [Unreadable(*place, str(log["transactionHash"]), tuple(log["topics"]), str(odd) or repr(odd))]

    def logs(self, *topics: str | None) -> list[dict[str, Any]]:
        """The logs with these topics as the node gives them, oldest first; of every contract where none is named."""
        return self._logs(topics, self.first_block, self.head)

    def _logs(self, topics: Sequence[str | None], first: int, last: int) -> list[dict[str, Any]]:
        if first > last:
            return []
        asked = {"fromBlock": hex(first), "toBlock": hex(last), "topics": list(topics)}
        try:
            logs: list[dict[str, Any]] = self.rpc(
                "eth_getLogs", {**asked, "address": self.contract} if self.contract else asked
            )
        except ChainUnreadable as refusal:
            # Public nodes bound what they search at once, each in words of its own: halve until it fits.
            if first == last or not any(word in str(refusal).lower() for word in _REFUSES_RANGE):
                raise
            middle = (first + last) // 2
            return self._logs(topics, first, middle) + self._logs(topics, middle + 1, last)
        return logs


def _in_order(listed: Any, count: int) -> list[bytes | None]:
    """The answers to so many calls in one list; [] where the node takes no lists, or leaves some of it out."""
    if not isinstance(listed, list) or not all(
        isinstance(a, dict) and isinstance(a.get("result"), str) for a in listed
    ):
        return []
    by_id = {str(answer.get("id")): bytes.fromhex(answer["result"][2:]) for answer in listed}
    return [by_id[str(n)] for n in range(count)] if by_id.keys() == {str(n) for n in range(count)} else []


def _quantity(value: Any, what: str) -> int:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise ChainUnreadable(f"what answers {what} is no node: {str(value)[:80]!r}") from None


def topic_of(value: str | bytes) -> str:
    """An address or a 32-byte id as an indexed topic."""
    raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else value
    return "0x" + raw.rjust(32, b"\x00").hex()
