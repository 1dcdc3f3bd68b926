"""The box's way to an EVM network: JSON-RPC over several URLs, each answer checked for what it may mean.

Only the signer's and the confirmer's functions import this: web3 takes a second.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import requests
from web3.providers.rpc import HTTPProvider

Outcome = Literal["accepted", "known", "nonce_too_low", "underpriced", "out_of_funds", "unknown", "refused"]
"""What sending came to. `unknown`: no usable answer, so the bytes may be on their way - never assume they are not."""

TIMEOUT_SECONDS = (2.0, 8.0)
MAX_RETRY_AFTER_SECONDS = 5.0


class NoAnswer(Exception):
    """None of the URLs gave a usable answer. Nothing is known; try again later."""


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


class Network:
    """Asks each URL in turn; the one that answered last is asked first the next time."""

    def __init__(self, urls: Sequence[str]) -> None:
        if not urls:
            raise NoAnswer("no RPC URL is configured for this box")
        self._providers = [
            HTTPProvider(url, request_kwargs={"timeout": TIMEOUT_SECONDS}, exception_retry_configuration=None)
            for url in urls
        ]

    def request(self, method: str, *params: Any) -> Any:
        """The result of one call. Raises RpcError when a node says no, NoAnswer when none can be understood."""
        failures = []
        for provider in list(self._providers):
            try:
                answer = self._ask(provider, method, params)
            except (requests.RequestException, ValueError) as error:
                failures.append(type(error).__name__)
                continue
            if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
                failures.append("garbage")
                continue
            self._prefer(provider)
            if answer.get("error"):
                raise RpcError(answer["error"])
            return answer["result"]
        raise NoAnswer(f"{method}: {', '.join(failures)}")

    def _ask(self, provider: HTTPProvider, method: str, params: Sequence[Any]) -> Any:
        """One try, and a second where the node says 429 and how long to wait."""
        try:
            return provider.make_request(method, list(params))
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code != 429:
                raise
            time.sleep(min(float(error.response.headers.get("Retry-After", "1") or 1), MAX_RETRY_AFTER_SECONDS))
            return provider.make_request(method, list(params))

    def _prefer(self, provider: HTTPProvider) -> None:
        if self._providers[0] is not provider:
            self._providers.remove(provider)
            self._providers.insert(0, provider)

    def chain_id(self) -> int:
        return int(self.request("eth_chainId"), 16)

    def block(self, which: int | Literal["latest", "finalized"]) -> Block | None:
        """None where the network has no such block (or no `finalized` tag)."""
        try:
            found = self.request("eth_getBlockByNumber", hex(which) if isinstance(which, int) else which, False)
        except RpcError:
            return None
        if not found:
            return None
        return Block(
            number=int(found["number"], 16),
            hash=found["hash"],
            time=int(found["timestamp"], 16),
            base_fee=int(found.get("baseFeePerGas") or "0x0", 16),
        )

    def nonce(self, address: str, at: int | Literal["latest", "pending"] = "latest") -> int:
        return int(self.request("eth_getTransactionCount", address, hex(at) if isinstance(at, int) else at), 16)

    def balance(self, address: str) -> int:
        """In wei."""
        return int(self.request("eth_getBalance", address, "latest"), 16)

    def priority_fee(self) -> int:
        """Wei per gas that gets a transaction in now; 1 gwei where the node does not say."""
        try:
            return int(self.request("eth_maxPriorityFeePerGas"), 16)
        except RpcError:
            return 10**9

    def receipt(self, transaction_hash: str) -> Receipt | None:
        found = self.request("eth_getTransactionReceipt", transaction_hash)
        if not found or found.get("blockNumber") is None:
            return None
        return Receipt(
            hash=transaction_hash,
            succeeded=int(found["status"], 16) == 1,
            block_number=int(found["blockNumber"], 16),
            block_hash=found["blockHash"],
            logs=found["logs"],
        )

    def call(self, to: str, data: bytes, sender: str | None = None) -> bytes:
        """A view, or a dry run of a call. Raises Reverted with the contract's own error."""
        message = {"to": to, "data": "0x" + data.hex(), **({"from": sender} if sender else {})}
        try:
            return bytes.fromhex(str(self.request("eth_call", message, "latest"))[2:])
        except RpcError as error:
            raise _as_reverted(error) from None

    def estimate_gas(self, to: str, data: bytes, sender: str) -> int:
        """Gas the call takes now. Raises Reverted with the contract's own error, RpcError for anything else."""
        try:
            return int(self.request("eth_estimateGas", {"from": sender, "to": to, "data": "0x" + data.hex()}), 16)
        except RpcError as error:
            raise _as_reverted(error) from None

    def send(self, raw: str) -> Outcome:
        try:
            self.request("eth_sendRawTransaction", raw)
        except NoAnswer:
            return "unknown"
        except RpcError as error:
            return _outcome(error.message.lower())
        return "accepted"


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


def _as_reverted(error: RpcError) -> Exception:
    data = error.data
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        return Reverted(bytes.fromhex(data[2:]), error.message)
    return Reverted(b"", error.message) if "revert" in error.message.lower() else error
