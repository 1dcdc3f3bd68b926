"""The box's way to an EVM network: JSON-RPC over several URLs, each answer checked for what it may mean.

Only the signer's and the confirmer's functions import this: web3 takes a second.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import requests
from eth_utils.address import to_checksum_address
from web3.providers.rpc import HTTPProvider
from web3.types import RPCEndpoint

T = TypeVar("T")

Outcome = Literal["accepted", "known", "nonce_too_low", "underpriced", "out_of_funds", "unknown", "refused"]
"""What sending came to. `unknown`: no usable answer, so the bytes may be on their way - never assume they are not."""

TIMEOUT_SECONDS = (2.0, 8.0)
MAX_RETRY_AFTER_SECONDS = 5.0
HEX = re.compile(r"0x([0-9a-fA-F]{2})*")
LOG_BLOCKS = 5_000
"""In one question for logs: public nodes allow 5,000 to 10,000 blocks."""


class NoAnswer(Exception):
    """None of the URLs gave a usable answer. Nothing is known; try again later."""


class Misunderstood(Exception):
    """A node answered something that is no answer."""


class Reverted(Exception):
    """The contract refuses the call. `data` is its error, ABI-encoded."""

    def __init__(self, data: bytes, message: str) -> None:
        super().__init__(message)
        self.data = data
        self.message = message


class RpcError(Exception):
    """The node understood and says no."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", "")))
        self.message = str(error.get("message", ""))
        self.data = error.get("data")


@dataclass(frozen=True)
class Block:
    """`base_fee` in wei, `time` in seconds since 1970."""

    number: int
    hash: str
    time: int
    base_fee: int


@dataclass(frozen=True)
class Receipt:
    hash: str
    succeeded: bool
    block_number: int
    block_hash: str
    logs: list[dict[str, Any]]


@dataclass(frozen=True)
class Sent:
    """A transaction as the network shows it: who sent it, under which nonce, with which input."""

    sender: str
    nonce: int
    input: bytes


class Network:
    """Asks each URL in turn; the one that answered last is asked first the next time.

    `chain_id`, where given, is asked of each URL before its first answer is believed: a URL of another chain would answer everything.
    """

    def __init__(self, urls: Sequence[str], chain_id: int | None = None) -> None:
        if not urls:
            raise NoAnswer("no RPC URL is configured for this box")
        self._providers = [
            HTTPProvider(url, request_kwargs={"timeout": TIMEOUT_SECONDS}, exception_retry_configuration=None)
            for url in urls
        ]
        self._chain_id = chain_id
        self._trusted: set[HTTPProvider] = set()

    def request(self, method: str, *params: Any, read: Callable[[Any], T], passing_refusals: bool = False) -> T:
        """What `read` makes of the result of one call. Raises RpcError when a node says no - with `passing_refusals` the next is asked
        instead, unless it was the contract that said no -, NoAnswer when none can be understood."""
        failures = []
        for provider in list(self._providers):
            try:
                answer = self._ask(provider, method, params)
                error = answer.get("error")
                if error and not isinstance(error, dict):
                    raise Misunderstood("an error that is a gateway's")
                result = None if error else read(answer["result"])
            except (requests.RequestException, Misunderstood, ValueError, TypeError, KeyError, AttributeError) as fault:
                failures.append(type(fault).__name__)
                continue
            if error and _is_overload(error):
                failures.append("overloaded")
                continue
            if error and passing_refusals and not _is_revert(error):
                failures.append("refused")
                continue
            self._prefer(provider)
            if error:
                raise RpcError(error)
            return cast(T, result)
        raise NoAnswer(f"{method}: {', '.join(failures)}")

    def _ask(self, provider: HTTPProvider, method: str, params: Sequence[Any]) -> Any:
        if self._chain_id is not None and provider not in self._trusted:
            if int(_once_more(provider, "eth_chainId", ())["result"], 16) != self._chain_id:
                raise Misunderstood("a node of another chain")
            self._trusted.add(provider)
        return _once_more(provider, method, params)

    def _prefer(self, provider: HTTPProvider) -> None:
        """A new list each time: keys that work side by side share this one, and whoever reads it meanwhile is to find every URL."""
        if self._providers[0] is not provider:
            self._providers = [provider, *(other for other in self._providers if other is not provider)]

    @property
    def size(self) -> int:
        """How many URLs there are to ask."""
        return len(self._providers)

    def ask_another_first(self) -> None:
        """The one that answered last is found not to know what it should: from now on it is asked last."""
        first, *others = self._providers
        self._providers = [*others, first]

    def block(self, which: int | Literal["latest", "finalized"]) -> Block | None:
        """None where the network has no such block (or no `finalized` tag). Every node has a latest one: one that refuses it - its key is
        over, say - is passed over."""
        name = hex(which) if isinstance(which, int) else which
        try:
            return self.request("eth_getBlockByNumber", name, False, read=_block, passing_refusals=which == "latest")
        except RpcError:
            return None

    def finalized(self) -> Block:
        """On a network that has a `finalized` tag. A node that names none - just started, or too old for it - is passed over.
        Raises NoAnswer where all are."""
        return self.request("eth_getBlockByNumber", "finalized", False, read=_present_block, passing_refusals=True)

    def nonce(self, address: str, at: int | Literal["latest", "pending"] = "latest") -> int:
        """Raises RpcError where a node keeps no state as old as `at`."""
        is_old = isinstance(at, int)
        name = hex(at) if isinstance(at, int) else at
        return self.request("eth_getTransactionCount", address, name, read=_number, passing_refusals=not is_old)

    def nonce_spent_for_good(self, address: str, final: int) -> int | None:
        """How many nonces are spent in blocks up to `final`; None where the node keeps no state as old as that."""
        try:
            return self.nonce(address, final)
        except RpcError:
            return None

    def balance(self, address: str) -> int:
        """In wei."""
        return self.request("eth_getBalance", address, "latest", read=_number, passing_refusals=True)

    def priority_fee(self) -> int:
        """Wei per gas that gets a transaction in now; 1 gwei where the node does not say."""
        try:
            return self.request("eth_maxPriorityFeePerGas", read=_number)
        except RpcError:
            return 10**9

    def receipt(self, transaction_hash: str) -> Receipt | None:
        """Raises NoAnswer, too, where nodes say no: that they are indexing still does not mean that there is none."""
        return self.request("eth_getTransactionReceipt", transaction_hash, read=_receipt, passing_refusals=True)

    def transaction(self, transaction_hash: str) -> Sent | None:
        return self.request("eth_getTransactionByHash", transaction_hash, read=_sent, passing_refusals=True)

    def logs(
        self, contract: str, topics: Sequence[str | None], since_block: int, to_block: int
    ) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Every log with these topics (None: any) in these blocks, by ranges that nodes allow, each with its last block."""
        for start in range(since_block, to_block + 1, LOG_BLOCKS):
            end = min(to_block, start + LOG_BLOCKS - 1)
            asked = {"address": contract, "topics": list(topics), "fromBlock": hex(start), "toBlock": hex(end)}
            yield end, self.request("eth_getLogs", asked, read=list, passing_refusals=True)

    def call(self, to: str, data: bytes, sender: str | None = None, at: int | Literal["latest"] = "latest") -> bytes:
        """A view, or a dry run of a call, on the state of a block. Raises Reverted with the contract's own error."""
        message = {"to": to, "data": "0x" + data.hex(), **({"from": sender} if sender else {})}
        try:
            block = hex(at) if isinstance(at, int) else at
            return self.request(
                "eth_call", message, block, read=lambda result: bytes.fromhex(result[2:]), passing_refusals=True
            )
        except RpcError as error:
            raise _as_reverted(error) from None

    def estimate_gas(self, to: str, data: bytes, sender: str) -> int:
        """Gas the call takes now. Raises Reverted with the contract's own error, RpcError for anything else."""
        message = {"from": sender, "to": to, "data": "0x" + data.hex()}
        try:
            return self.request("eth_estimateGas", message, read=_number)
        except RpcError as error:
            raise _as_reverted(error) from None

    def send(self, raw: str) -> Outcome:
        try:
            self.request("eth_sendRawTransaction", raw, read=str)
        except NoAnswer:
            return "unknown"
        except RpcError as error:
            outcome = _outcome(error.message.lower())
            if outcome == "refused":
                self.ask_another_first()  # it may be this node alone, which takes no transactions
            return outcome
        return "accepted"


def _once_more(provider: HTTPProvider, method: str, params: Sequence[Any]) -> Any:
    """One try, and a second where the node says 429 and how long to wait."""
    try:
        return provider.make_request(RPCEndpoint(method), list(params))
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != 429:
            raise
        time.sleep(min(float(error.response.headers.get("Retry-After", "1") or 1), MAX_RETRY_AFTER_SECONDS))
        return provider.make_request(RPCEndpoint(method), list(params))


def _is_overload(error: dict[str, Any]) -> bool:
    """-32005 is "limit exceeded"; some say it in words. Another URL may have room."""
    said = str(error.get("message", "")).lower()
    return error.get("code") == -32005 or "rate limit" in said or "too many requests" in said


def _number(result: Any) -> int:
    return int(result, 16)


def _block(found: Any) -> Block | None:
    if not found:
        return None
    return Block(
        number=int(found["number"], 16),
        hash=found["hash"],
        time=int(found["timestamp"], 16),
        base_fee=int(found.get("baseFeePerGas") or "0x0", 16),
    )


def _present_block(found: Any) -> Block:
    block = _block(found)
    if block is None:
        raise Misunderstood("no block")
    return block


def _receipt(found: Any) -> Receipt | None:
    if not found or found["blockNumber"] is None:
        return None
    return Receipt(
        hash=found["transactionHash"],
        succeeded=int(found["status"], 16) == 1,
        block_number=int(found["blockNumber"], 16),
        block_hash=found["blockHash"],
        logs=list(found["logs"]),
    )


def _sent(found: Any) -> Sent | None:
    if not found:
        return None
    return Sent(
        to_checksum_address(found["from"]), int(found["nonce"], 16), bytes.fromhex(found["input"].removeprefix("0x"))
    )


def _outcome(message: str) -> Outcome:
    """Nodes tell these apart by text alone; anything unknown is `refused` and its bytes are kept all the same."""
    if "already known" in message or "already imported" in message or "known transaction" in message:
        return "known"
    if "nonce too low" in message or "nonce is too low" in message or "invalid nonce" in message:
        return "nonce_too_low"
    if "underpriced" in message or "fee too low" in message or "less than block base fee" in message:
        return "underpriced"
    if "insufficient funds" in message or "insufficient balance" in message:
        return "out_of_funds"
    return "refused"


def _is_revert(error: dict[str, Any]) -> bool:
    return isinstance(_as_reverted(RpcError(error)), Reverted)


def _as_reverted(error: RpcError) -> Exception:
    data = error.data
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str) and HEX.fullmatch(data):
        return Reverted(bytes.fromhex(data[2:]), error.message)
    return Reverted(b"", error.message) if "revert" in error.message.lower() else error
