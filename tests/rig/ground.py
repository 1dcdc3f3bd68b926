"""The pipeline on real parts with clock and blocks in the test's hand: dynoxide, anvil that mines when told, the fault proxy between."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_utils.address import to_checksum_address

from chalicelib import bootstrap
from chalicelib.adapters import tables
from chalicelib.adapters.contract import (
    NetworkViews,
    encode_authorise,
    encode_end,
    encode_register,
    encode_revoke,
    find_batch,
)
from chalicelib.adapters.contract_abi import artifact, topic
from chalicelib.adapters.contract_events import Recorded, decode_logs
from chalicelib.adapters.network import Network
from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import Rule, Terms, agreement_id
from chalicelib.domain.click import Click
from chalicelib.domain.commitment import commit
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.party import Agreement, Link, Publisher
from chalicelib.domain.report import Body
from chalicelib.domain.transaction import Transaction
from chalicelib.services import lanes, track
from chalicelib.services.confirm import confirm
from chalicelib.services.cut import Waiting
from chalicelib.services.draft import Draft
from chalicelib.services.record import ready, record
from chalicelib.services.turn import LEASE_MS, Turn
from chalicelib.settings import settings
from ops.local import rpc
from ops.local.anvil import throwaway_node
from ops.local.process import ROOT, Part
from tests.rig.proxy import Proxy

ETHER = 10**18
DAY_MS = 86_400_000
CHAIN_ID = 31337
_numbers = itertools.count(1)


def node(directory: Path, *options: str) -> tuple[Part, str]:
    """anvil with prague rules that mines only when told; final is the block before the last but one."""
    return throwaway_node(directory, "--no-mining", "--order", "fifo", *options)


class Clocked(Box):
    """A box whose clock the test can put forward."""

    offset = 0

    def now(self) -> int:
        return super().now() + self.offset


@dataclass(frozen=True)
class OnChain:
    """One entry as the contract holds it."""

    sequence: int
    commitment: bytes
    agreement: str
    amount: int
    commission: int


class Ground:
    """A merchant with publishers `p0`, `p1`, … on a chain, and a box for it. `sell` reports, `turn` works, `mine` makes blocks."""

    def __init__(
        self,
        directory: Path,
        dynamodb_url: str,
        node_url: str,
        *,
        publishers: int = 2,
        keys: int = 1,
        batch_size: int = 10,
        prefix: str = "",
        rpc_urls: list[str] | None = None,
        **network: Any,
    ) -> None:
        self.directory, self.node_url, self.dynamodb_url = directory, node_url, dynamodb_url
        self.proxy = Proxy(node_url)
        self.rpc_urls = rpc_urls or [self.proxy.url]
        number = next(_numbers)
        self.prefix = f"{prefix or 'pipeline'}-{os.getpid()}-{number}"
        seed = f"{self.prefix}-{time.time_ns()}"
        self.owner, *self.partners = (Account.from_key(_hash(f"{seed} {i}")) for i in range(1 + publishers))
        self.keys = [Account.from_key(_hash(f"{seed} key {i}")) for i in range(keys)]
        self._used_keys = {key.address: key for key in self.keys}
        for account in (self.owner, *self.keys, *self.partners):
            rpc.call(node_url, "anvil_setBalance", account.address, hex(100 * ETHER))
        deployed = self._send(self.owner, None, bytes.fromhex(artifact()["bytecode"][2:]))
        self.contract = to_checksum_address(deployed["contractAddress"])
        self._views = NetworkViews(self._view)
        self._configure(batch_size, network)
        tables.bind(self.prefix, "eu-central-1", dynamodb_url)
        tables.create_all()
        self._end_stream()
        self.box = self.new_box()
        self.authorise()
        self.agreements = [self.agree(i) for i in range(publishers)]
        self.clicks = [self.click(i) for i in range(publishers)]
        self.sold: dict[str, int] = {}
        self.reported: dict[str, Body] = {}
        """What the merchant's server said of each."""
        self._orders = itertools.count(1)
        self.mine(3)  # what the parties agreed on is final

    def _end_stream(self) -> None:
        """Nobody reads it here, and the embedded DynamoDB goes through all of a stream's records at each write: 5 ms more after 18,000."""
        table = {"TableName": tables.Conversions.Meta.table_name, "StreamSpecification": {"StreamEnabled": False}}
        tables.connection().dispatch("UpdateTable", table)

    def _configure(self, batch_size: int, network: dict[str, Any]) -> None:
        config = json.loads((ROOT / "configs" / "demo.json").read_text())
        config["merchant"]["account"] = self.owner.address
        config["signer"] = {"kind": "local", "keys": len(self.keys)}
        config["network"] = {
            "chainId": CHAIN_ID,
            "contract": self.contract,
            "confirmations": 2,
            "batchSeconds": 1,
            "batchSize": batch_size,
            "anchorMinutes": 60,
            **network,
        }
        file = self.directory / f"{self.prefix}.json"
        file.write_text(json.dumps(config))
        self.environment = {
            "MERCHANT": "demo",
            "CONFIG_FILE": str(file),
            "TABLE_PREFIX": self.prefix,
            "DYNAMODB_URL": self.dynamodb_url,
            "RPC_URLS": ",".join(self.rpc_urls),
            "SIGNER_KEY_FILE": self._key_files(),
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    @property
    def key(self) -> Any:
        """The box's operational key, the first where it has several."""
        return self.keys[0]

    def new_box(self, offset: int = 0) -> Clocked:
        """The box as a process that has just started makes it."""
        os.environ.update(self.environment)
        settings.cache_clear()
        bootstrap.box.cache_clear()
        tables.bind(self.prefix, "eu-central-1", self.dynamodb_url)
        box = Clocked(settings())
        box.offset = offset
        return box

    def close(self) -> None:
        self.proxy.stop()

    # ------------------------------------------------------------------------------------------------ the parties

    def _key_files(self) -> str:
        files = [self.directory / f"{key.address}.key" for key in self.keys]
        for file, key in zip(files, self.keys, strict=True):
            file.write_text(f"0x{bytes(key.key).hex()}\n")
        return ",".join(map(str, files))

    def authorise(self, days: int = 3000) -> None:
        for key in self.keys:
            self._send(self.owner, self.contract, encode_authorise(key.address, self.chain_now() + days * 86_400))

    def replace_key(self) -> None:
        """Another operational key for the box; the earlier one may act still."""
        self.use_keys([self.another_key()])

    def another_key(self) -> Any:
        """With funds, and not known to anybody yet."""
        key = Account.from_key(_hash(f"{self.prefix} another key {next(_numbers)}"))
        rpc.call(self.node_url, "anvil_setBalance", key.address, hex(100 * ETHER))
        return key

    def use_keys(self, keys: list[Any], *, authorised: bool = True) -> None:
        """The box is deployed with these keys."""
        self.keys = keys
        self.environment["SIGNER_KEY_FILE"] = self._key_files()
        self._used_keys.update((key.address, key) for key in keys)
        file = Path(self.environment["CONFIG_FILE"])
        config = json.loads(file.read_text())
        file.write_text(json.dumps({**config, "signer": {"kind": "local", "keys": len(keys)}}))
        if authorised:
            self.authorise()
            self.mine()  # a reorganisation of the newest block must not take the right away again
        self.box = self.new_box(self.box.offset)

    def revoke(self, key: Any = None) -> None:
        self._send(self.owner, self.contract, encode_revoke((key or self.key).address))

    def agree(self, number: int, **terms: Any) -> str:
        partner = self.partners[number]
        nonce, version = self._views.next_agreement(self.owner.address, partner.address)
        full = Terms(
            **{
                "merchant": self.owner.address,
                "publisher": partner.address,
                "currency": "EUR",
                "rules": (Rule("sale", rate=100_000 + 7_001 * number), Rule("sale", rate=20_000, group="books")),
                "groups": ("default", "books"),
                "deadline": self.chain_now() + 3600,
                "silence": "all",
                "validation_days": 14,
                "lock_days": 30,
                "window_days": 30,
                "nonce": nonce,
                "version": version,
                **terms,
            }
        )
        digest = agreement_id(full, CHAIN_ID, self.contract)
        signatures = [bytes(Account.unsafe_sign_hash(digest, a.key).signature) for a in (self.owner, partner)]
        self._send(self.owner, self.contract, encode_register(full, *signatures))
        name = f"0x{digest.hex()}"
        self.box.agreements.put(
            Agreement(
                agreement_id=name,
                publisher_id=f"p{number}",
                terms=full,
                state="active",
                registered_at=self.box.now(),
            )
        )
        self.box.publishers.put(
            Publisher(
                publisher_id=f"p{number}",
                name=f"Publisher {number}",
                account=partner.address,
                hosted=False,
                link=Link(agreement_id=name, attribution_window_days=30),
            )
        )
        return name

    def end(self, number: int, *, after_days: int = 34) -> None:
        """Ends an agreement, on the chain alone, and lets its window and grace pass: 33 days where the window is 30."""
        self._send(
            self.owner, self.contract, encode_end(self.owner.address, bytes.fromhex(self.agreements[number][2:]))
        )
        self.pass_time(after_days * DAY_MS)

    def click(self, number: int, sub_id: str | None = None, attributable_days: int = 400) -> str:
        now = self.box.now()
        made = Click(
            click_id=f"click-{self.prefix}-{number}-{next(_numbers)}",
            publisher_id=f"p{number}",
            agreement_id=self.agreements[number],
            clicked_at=now,
            attributable_until=now + attributable_days * DAY_MS,
            sub_id=sub_id,
            salt="03" * 32,
            private_salt="04" * 32,
        )
        self.box.clicks.create(made, keep_until=made.attributable_until)
        return made.click_id

    def sell(self, count: int = 1, publisher: int | None = None, amount: int = 10_000, **fields: Any) -> list[str]:
        """Sales from the merchant's server; their conversion ids. `amount` in cents, one more each."""
        made = []
        for i in range(count):
            cents = amount + i
            body = Body(
                action="sale",
                values=[f"{cents // 100}.{cents % 100:02d}"],
                order_id=f"B-{next(self._orders)}",
                click_id=self.clicks[i % len(self.clicks) if publisher is None else publisher],
                **fields,
            )
            received = track.conversion(self.box, body, "server")
            made.append(received.conversion.conversion_id)
            self.sold[made[-1]] = cents
            self.reported[made[-1]] = body
        return made

    # ------------------------------------------------------------------------------------------- time and blocks

    def pass_time(self, milliseconds: int) -> None:
        """On the box's clock and on the chain's."""
        self.box.offset += milliseconds
        rpc.call(self.node_url, "evm_increaseTime", milliseconds // 1000)
        self.mine()

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            rpc.call(self.node_url, "evm_mine")

    @contextmanager
    def mining(self, every: float = 0.2) -> Iterator[None]:
        """Blocks come by themselves meanwhile, as on a network; one each so many seconds."""
        over = threading.Event()

        def mine_on() -> None:
            while not over.wait(every):
                self.mine()

        miner = threading.Thread(target=mine_on, name="miner")
        miner.start()
        try:
            yield
        finally:
            over.set()
            miner.join()

    def overtake(self, act: Callable[[], None]) -> None:
        """Something happens on the chain before what the box has sent is mined, and after it was sent."""
        waiting = [t for t in self.box.transactions.open(self.key.address) if t.waits and t.attempts]
        rpc.call(self.node_url, "anvil_dropAllTransactions")
        act()
        for transaction in waiting:
            rpc.call(self.node_url, "eth_sendRawTransaction", transaction.attempts[-1].raw)

    def chain_now(self) -> int:
        return int(rpc.call(self.node_url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def turn(self) -> int:
        """What came in is due; send it. How many transactions were sent."""
        self.box.offset += 2_000
        return record(self.box)

    def cut_and_freeze(self) -> tuple[Box, Turn, tuple[Draft, int]]:
        """A signer that took its turn, cut a batch of what came in, and gets no further: as which key, its turn, and the call."""
        self.box.offset += 2_000
        (lane,) = lanes.lanes(self.box)
        turn = Turn(lane)
        assert turn.take()
        ready(lane)
        call = Waiting(lane, 1).next_call()
        assert call is not None
        return lane, turn, call

    def settle(self, rounds: int = 40) -> int:
        """Work and mine until nothing is open and nothing waits; the number of rounds that took."""
        for done in range(rounds):
            if done and self.is_settled():
                return done
            self.turn()
            self.mine(3)
            self.box.offset += 11_000
            confirm(self.box)
        assert self.is_settled(), f"not settled after {rounds} rounds: {self.state()}"
        return rounds

    def is_settled(self) -> bool:
        return not self.open() and not self.box.conversions.outbox(limit=10)

    def open(self) -> list[Transaction]:
        """What is under way, of all keys that the box has or had."""
        return [found for address in self._used_keys for found in self.box.transactions.open(address)]

    def state(self) -> dict[str, Any]:
        open_ones = self.open()
        waiting = [c.conversion_id for _, c in self.box.conversions.outbox(limit=100)]
        return {"open": [(t.nonce, t.state, len(t.attempts)) for t in open_ones], "waiting": waiting}

    def outlive_lease(self) -> None:
        """What a dead holder's lease takes to end."""
        self.box.offset += LEASE_MS + 1_000

    @contextmanager
    def lagging_node(self) -> Iterator[Network]:
        """A second node of the same chain that follows it no further than now, and the box's network with it: asked where the first does
        not answer, and from then on before it."""
        directory = self.directory / "lagging"
        directory.mkdir()
        part, url = node(directory)
        try:
            rpc.call(url, "anvil_loadState", rpc.call(self.node_url, "anvil_dumpState"))
            yield Network([*self.rpc_urls, url], CHAIN_ID)
        finally:
            part.stop()

    # ------------------------------------------------------------------------------------------------ what is so

    def on_chain(self) -> list[OnChain]:
        """Every entry that the contract recorded, in sequence, read from the node itself."""
        asked = {"address": self.contract, "topics": ["0x" + topic("Recorded").hex()], "fromBlock": "0x0"}
        found = []
        for event in decode_logs(rpc.call(self.node_url, "eth_getLogs", asked)):
            assert isinstance(event, Recorded)
            sent = rpc.call(self.node_url, "eth_getTransactionByHash", event.where.transaction)
            shown = find_batch(bytes.fromhex(sent["input"][2:]), event.batch)
            assert shown is not None
            from chalicelib.domain.batch import unpack

            for i, entry in enumerate(unpack(shown.body, shown.commitments)):
                agreement = "0x" + entry.agreement.hex()
                found.append(OnChain(event.first + i, entry.commitment, agreement, entry.amount, event.commissions[i]))
        return sorted(found, key=lambda entry: entry.sequence)

    def conversions(self) -> list[Conversion]:
        return list(self.box.conversions.many(self.sold).values())

    def assert_recorded_once(self, but: int = 0) -> None:
        """Every sale stands on chain once with its amount, in a sequence without a gap, and the box knows where; `but` were set aside."""
        entries = self.on_chain()
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1)), "a gap in the sequence"
        by_commitment = {entry.commitment: entry for entry in entries}
        assert len(by_commitment) == len(entries), "something was recorded twice"
        found = self.conversions()
        assert len(found) == len(self.sold), "a sale that was answered is gone"
        assert sum(c.set_aside is not None for c in found) == but
        assert len(entries) == len(self.sold) - but
        recorded = [(c, entry) for c in found if c.set_aside is None for (entry,) in [c.entries]]
        carriers = self.box.transactions.many((entry.signer, entry.nonce) for _, entry in recorded)
        for conversion, entry in recorded:
            held = by_commitment[commit(entry.payload, bytes.fromhex(conversion.salt))]
            transaction = carriers[entry.signer, entry.nonce]
            assert transaction.mined is not None
            assert transaction.state == "confirmed"
            assert transaction.mined.first_sequence is not None
            assert held.sequence == transaction.mined.first_sequence + entry.index
            assert held.amount == self.sold[conversion.conversion_id]
            assert transaction.mined.commissions[entry.index] == held.commission

    def nonces_spent(self) -> int:
        return int(rpc.call(self.node_url, "eth_getTransactionCount", self.key.address, "latest"), 16)

    # ------------------------------------------------------------------------------------------------- the chain

    def _view(self, data: bytes) -> bytes:
        asked = {"to": self.contract, "data": f"0x{data.hex()}"}
        return bytes.fromhex(rpc.call(self.node_url, "eth_call", asked, "latest")[2:])

    def _send(self, account: Any, to: str | None, data: bytes, value: int = 0) -> Any:
        """From somebody else than the box, mined at once."""
        transaction = {
            "chainId": CHAIN_ID,
            "nonce": int(rpc.call(self.node_url, "eth_getTransactionCount", account.address, "pending"), 16),
            "gas": 8_000_000,
            "maxFeePerGas": 100 * 10**9,
            "maxPriorityFeePerGas": 10**9,
            "data": data,
            "value": value,
            **({"to": to} if to is not None else {}),
        }
        raw = "0x" + bytes(Account.sign_transaction(transaction, account.key).raw_transaction).hex()
        sent = rpc.call(self.node_url, "eth_sendRawTransaction", raw)
        self.mine()
        receipt = rpc.call(self.node_url, "eth_getTransactionReceipt", sent)
        assert receipt is not None and receipt["status"] == "0x1", "the rig's own transaction failed"
        return receipt

    def spend_nonce_outside(self) -> None:
        """Somebody uses the box's key elsewhere."""
        self._send(self.key, self.owner.address, b"")


def _hash(text: str) -> bytes:
    from chalicelib.domain.keccak import keccak256

    return keccak256(text.encode())
