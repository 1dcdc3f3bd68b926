"""Accounts of the local stack: keys in files under the data directory, and transactions sent and waited
for."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from ops.local import rpc
from ops.local.process import PartFailed

MINED_SECONDS = 30.0


class Wallet:
    """One account whose key lies in a file only its owner may read; made when it does not exist."""

    def __init__(self, key_file: Path) -> None:
        from eth_account import Account

        self.key_file = key_file
        if not key_file.exists():
            key_file.parent.mkdir(parents=True, exist_ok=True)
            write_private(key_file, f"0x{Account.create().key.hex().removeprefix('0x')}\n")
        self._account = Account.from_key(key_file.read_text().strip())
        self.address: str = self._account.address

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r, s, v over a 32-byte digest (an EIP-712 one: nothing is put in front of it)."""
        from eth_account import Account

        return bytes(Account.unsafe_sign_hash(digest, self._account.key).signature)

    def send(self, url: str, to: str | None, data: bytes = b"", value: int = 0) -> Any:
        """Sends a transaction (`to` None creates a contract) and gives its receipt. Raises PartFailed when
        it is refused."""
        call = {"from": self.address, "data": f"0x{data.hex()}", "value": hex(value)}
        if to is not None:
            call["to"] = to
        try:
            gas = int(rpc.call(url, "eth_estimateGas", call), 16)
            price = int(rpc.call(url, "eth_gasPrice"), 16)
            transaction = {
                "chainId": int(rpc.call(url, "eth_chainId"), 16),
                "nonce": int(rpc.call(url, "eth_getTransactionCount", self.address, "pending"), 16),
                "gas": gas + gas // 5,
                "maxFeePerGas": 2 * price,
                "maxPriorityFeePerGas": min(price, 10**9),
                "data": data,
                "value": value,
                **({"to": to} if to is not None else {}),
            }
            raw = self._account.sign_transaction(transaction).raw_transaction
            return mined(url, rpc.call(url, "eth_sendRawTransaction", f"0x{bytes(raw).hex()}"))
        except rpc.RpcRefused as error:
            raise PartFailed(f"the network refused a transaction of {self.address}: {_why(error)}") from error


def _why(refused: rpc.RpcRefused) -> str:
    """The contract's own error by its name, else what the node says."""
    from chalicelib.adapters.contract import decode_error

    named = decode_error(refused.data)
    if named is None:
        return str(refused)
    shown = (f"0x{part.hex()}" if isinstance(part, bytes) else str(part) for part in named.arguments)
    return f"{named.name}({', '.join(shown)})"


def fund(url: str, address: str, wei: int, faucet: Wallet | None) -> None:
    """Brings a balance that fell below half of `wei` up to it: from `faucet`, else from an account that the node
    itself holds unlocked."""
    balance = int(rpc.call(url, "eth_getBalance", address, "latest"), 16)
    if balance >= wei // 2:
        return  # not topped up at every start for the gas of a few transactions
    missing = wei - balance
    if faucet is not None:
        faucet.send(url, address, value=missing)
        return
    unlocked = rpc.call(url, "eth_accounts")
    if not unlocked:
        raise PartFailed(f"{address} has no funds on {url}: send it {missing} wei and start again")
    transfer = {"from": unlocked[0], "to": address, "value": hex(missing)}
    mined(url, rpc.call(url, "eth_sendTransaction", transfer))


def mined(url: str, transaction: str) -> Any:
    """The receipt, once there is one. Raises PartFailed when it reverted or took too long."""
    deadline = time.monotonic() + MINED_SECONDS
    with contextlib.suppress(rpc.RpcRefused):
        rpc.call(
            url, "evm_mine"
        )  # a development node need not wait for its next block; any other does not know the call
    while (receipt := rpc.call(url, "eth_getTransactionReceipt", transaction)) is None:
        if time.monotonic() > deadline:
            raise PartFailed(f"{transaction} was not mined within {MINED_SECONDS:.0f} s")
        time.sleep(0.05)
    if receipt["status"] != "0x1":
        raise PartFailed(f"{transaction} reverted")
    return receipt


def write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
