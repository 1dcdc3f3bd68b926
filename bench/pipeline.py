"""Conversions a second onto the network: `python -m bench.pipeline` measures and prints the table, all of it in one run.

plain        what one would write first: a web3 loop, one transaction a conversion, gas estimated by web3, receipts awaited at the end
batches      the box's own way from conversions in memory to receipts: commitments, packing, estimate, signature, sending - no table
end to end   the same from the outbox of the embedded table, every claim and every state stored; by one key, and by two keys in two
             processes
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chalicelib.domain.attribution import Attribution
from chalicelib.domain.conversion import Conversion, open_conversion
from chalicelib.domain.party import Agreement
from chalicelib.domain.report import Line, Report
from chalicelib.domain.transaction import Transaction
from chalicelib.services import send
from chalicelib.services.draft import draft
from chalicelib.services.record import record
from ops.local import rpc
from ops.local.dynoxide import Dynoxide
from tests.rig.ground import Clocked, Ground, node
from tests.rig.process import ended, start

BATCH = 100
PLAIN = 100
BATCHED = 10_000
STORED = 3_000


@dataclass(frozen=True)
class Rate:
    name: str
    conversions: int
    seconds: float
    gas: int
    busy: float
    """Seconds of a processor that this process took: what is left when others share the machine. The node's are not in it."""

    @property
    def per_second(self) -> float:
        return self.conversions / self.seconds


class InMemory:
    """The agreements' store, without the table behind it."""

    def __init__(self, found: list[Agreement]) -> None:
        self._found = {agreement.agreement_id: agreement for agreement in found}

    def get(self, agreement_id: str) -> Agreement | None:
        return self._found.get(agreement_id)


def conversions(ground: Ground, count: int, label: str) -> list[Conversion]:
    """Sales of two publishers, as `track` stores them."""
    made = []
    for i in range(count):
        report = Report(
            action="sale",
            source="server",
            order_id=f"{label}-{i}",
            event_id=None,
            amount=10_000 + i % 500,
            currency="EUR",
            lines=(Line("default", 10_000 + i % 500),),
            original=None,
            rate=None,
            click_id=ground.clicks[i % 2],
            voucher=None,
            metadata={},
            items=(),
            customer_status=None,
            is_test=False,
        )
        attribution = Attribution(
            rule="last_click",
            publisher_id=f"p{i % 2}",
            agreement_id=ground.agreements[i % 2],
            click_id=ground.clicks[i % 2],
            clicked_at=ground.box.now(),
        )
        salts = (os.urandom(32).hex(), os.urandom(32).hex())
        made.append(open_conversion(report, attribution, f"{label}{i:020d}", salts, ground.box.now()))
    return made


def plain(ground: Ground) -> Rate:
    from web3 import HTTPProvider, Web3

    w3 = Web3(HTTPProvider(ground.node_url))
    from chalicelib.adapters.contract_abi import artifact

    contract = w3.eth.contract(address=cast(Any, ground.contract), abi=artifact()["abi"])
    nonce = w3.eth.get_transaction_count(ground.key.address)
    made = conversions(ground, PLAIN, "plain")
    begun, busy = time.perf_counter(), time.process_time()
    hashes = []
    for conversion in made:
        work = draft(ground.box, "record", [conversion])
        call = contract.functions.record(ground.owner.address, work.body, work.commitments)
        transaction = call.build_transaction({"from": ground.key.address, "nonce": nonce})
        nonce = cast(Any, nonce + 1)
        signed = ground.key.sign_transaction(transaction)
        hashes.append(w3.eth.send_raw_transaction(signed.raw_transaction))
    gas = sum(w3.eth.wait_for_transaction_receipt(found, poll_latency=0.01)["gasUsed"] for found in hashes)
    return Rate(
        "plain web3 loop, one transaction each", PLAIN, time.perf_counter() - begun, gas, time.process_time() - busy
    )


def batches(ground: Ground) -> Rate:
    box = ground.box
    made = conversions(ground, BATCHED, "batch")
    begun, busy = time.perf_counter(), time.process_time()
    nonce = box.network.nonce(box.signer.address)
    latest = box.network.block("latest")
    assert latest is not None
    max_fee = 4 * latest.base_fee + 10**9
    hashes = []
    for first in range(0, BATCHED, BATCH):
        work = draft(box, "record", made[first : first + BATCH])
        gas = box.network.estimate_gas(ground.contract, work.calldata, box.signer.address) * 13 // 10
        transaction = Transaction(signer=box.signer.address, nonce=nonce, kind="record", gas=gas)
        attempt = send.sign(box, transaction, work.calldata.hex(), max_fee, 10**9)
        outcome = box.network.send(attempt.raw)
        assert outcome == "accepted", outcome
        hashes.append(attempt.hash)
        nonce += 1
    used = sum(receipt_of(ground, found) for found in hashes)
    return Rate(
        f"signer and node, batches of {BATCH}, no table",
        BATCHED,
        time.perf_counter() - begun,
        used,
        time.process_time() - busy,
    )


def receipt_of(ground: Ground, transaction: str) -> int:
    """Gas used, once it is mined with success."""
    for _ in range(2_000):
        receipt = rpc.call(ground.node_url, "eth_getTransactionReceipt", transaction)
        if receipt is not None:
            assert receipt["status"] == "0x1"
            return int(receipt["gasUsed"], 16)
        time.sleep(0.005)
    raise AssertionError(f"{transaction} was not mined")


def end_to_end(ground: Ground) -> Rate:
    stored(ground)
    begun, busy = time.perf_counter(), time.process_time()
    drain(ground.box)
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    return Rate(f"end to end on the embedded table, batches of {BATCH}", STORED, seconds, gas_of(ground), busy)


def end_to_end_by_two(ground: Ground) -> Rate:
    """A process for each key, and so the most of them that two processors can show."""
    stored(ground)
    begun, busy = time.perf_counter(), children_busy()
    pids = [start(ground, drain) for _ in ground.keys]
    assert [ended(pid) for pid in pids] == [0] * len(ground.keys)
    seconds, busy = time.perf_counter() - begun, children_busy() - busy
    return Rate("the same, 2 keys in 2 processes", STORED, seconds, gas_of(ground), busy)


def stored(ground: Ground) -> None:
    ground.sell(STORED)
    ground.box.offset += 2_000


def drain(box: Clocked) -> None:
    while box.conversions.outbox(limit=1):
        record(box)


def children_busy() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def gas_of(ground: Ground) -> int:
    """All that the batches took; every sale is in one of them."""
    assert len(ground.on_chain()) == STORED
    sent = [
        ground.box.transactions.get(key.address, nonce)
        for key in ground.keys
        for nonce in range(ground.box.state.next_nonce(key.address) or 0)
    ]
    return sum(receipt_of(ground, transaction.attempts[-1].hash) for transaction in sent if transaction is not None)


def on_a_ground(
    measure: Callable[[Ground], Rate], dynamodb: Dynoxide, directory: Path, *, stored: bool, keys: int = 1
) -> Rate:
    """Each on a chain of its own that mines each transaction at once, so that no block time is in the figure."""
    part, url = node(directory)
    try:
        ground = Ground(directory, dynamodb.url, url, batch_size=BATCH, keys=keys, rpc_urls=[url])
        if not stored:
            kept = [ground.box.agreements.get(name) for name in ground.agreements]
            ground.box.__dict__["agreements"] = InMemory([found for found in kept if found is not None])
        rpc.call(url, "evm_setAutomine", True)
        return measure(ground)
    finally:
        ground.close()
        part.stop()


def measured() -> Iterator[Rate]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        dynamodb = Dynoxide(directory / "dynamodb", usual_port=0)
        try:
            yield on_a_ground(plain, dynamodb, directory, stored=False)
            yield on_a_ground(batches, dynamodb, directory, stored=False)
            yield on_a_ground(end_to_end, dynamodb, directory, stored=True)
            yield on_a_ground(end_to_end_by_two, dynamodb, directory, stored=True, keys=2)
        finally:
            dynamodb.stop()


def main() -> None:
    os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local", AWS_DEFAULT_REGION="eu-central-1")
    print(f"| {'way':52} | conversions | seconds | conversions/s | times plain | per CPU s | gas each |")
    print(f"|{'-' * 54}|------------:|--------:|--------------:|------------:|----------:|---------:|")
    slowest = 0.0
    for rate in measured():
        slowest = slowest or rate.per_second
        gas = f"{rate.gas // rate.conversions:,}" if rate.gas else ""
        figures = f"{rate.conversions:11,} | {rate.seconds:7.2f} | {rate.per_second:13,.0f} | {rate.per_second / slowest:11.1f}"
        print(f"| {rate.name:52} | {figures} | {rate.conversions / rate.busy:9,.0f} | {gas:>8} |", flush=True)


if __name__ == "__main__":
    main()
