"""What a conversion costs on the network: `python -m bench.gas` measures and prints the table, on a node with prague rules.

Everything the contract does is on: keys, agreements with brackets and deadlines, totals, commissions logged, batches that can
be amended. The naive form beside it is contracts/NaiveForm.vy: a transaction, a slot and an event for each conversion.
`tests/contract/test_gas.py` holds the limits on the same figures.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chalicelib.adapters import contract
from chalicelib.domain.agreement import Rule
from chalicelib.domain.batch import Batch, Entry
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import Amendment, Run
from ops.local.anvil import throwaway_node
from tests.contract.network_on_anvil import Merchant, Network, commitment

ONE_RULE = (Rule("sale", rate=100_000),)
THREE_RULES = (
    Rule("sale", rate=80_000, to_amount=5_000),
    Rule("sale", rate=100_000, from_amount=5_000),
    Rule("lead", fixed=250),
)
SIXTEEN_RULES = tuple(Rule("sale", rate=1000 * i, from_amount=i * 700, to_amount=i * 700 + 700) for i in range(16))
SIZES = (1, 10, 50, 100, 200, 300)


@dataclass(frozen=True, slots=True)
class Form:
    """A batch's make-up: how many agreements share it and what rules they have."""

    name: str
    agreements: int
    rules: tuple[Rule, ...]


FORMS = (
    Form("1 agreement, 1 rule", 1, ONE_RULE),
    Form("1 agreement, 3 rules", 1, THREE_RULES),
    Form("1 agreement, 16 rules", 1, SIXTEEN_RULES),
    Form("10 agreements, 1 rule", 10, ONE_RULE),
    Form("10 agreements, 3 rules", 10, THREE_RULES),
    Form("100 agreements, 1 rule", 100, ONE_RULE),
)


class Bench:
    """One deployed contract and figures taken from the receipts of real transactions."""

    def __init__(self, url: str) -> None:
        self.network = Network(url)
        self._number = 0

    def batch(self, form: Form, size: int) -> tuple[Merchant, Batch]:
        """A merchant whose agreements have all been used before, as in daily work, and a batch not yet sent."""
        merchant = Merchant(self.network)
        agreements = [merchant.agree(*form.rules) for _ in range(form.agreements)]
        for some in (agreements[:50], agreements[50:]):
            if some:
                merchant.record(merchant.pack(*(self._entry(agreement, 100) for agreement in some)))
        amounts = [1_000 + 37 * i % 9_000 for i in range(size)]
        entries = [self._entry(agreements[i % form.agreements], amount) for i, amount in enumerate(amounts)]
        return merchant, merchant.pack(*entries)

    def _entry(self, agreement: bytes, amount: int) -> Entry:
        self._number += 1
        return Entry(agreement, "sale", amount, commitment(self._number), verified=True)

    def spend(self, merchant: Merchant, data: bytes) -> int:
        return int(self.network.send(merchant.key.address, data)["gasUsed"], 16)

    def record(self, form: Form, size: int) -> int:
        """Gas of a batch."""
        merchant, batch = self.batch(form, size)
        return self.spend(merchant, contract.encode_record(merchant.address, batch))

    def recorded(self, form: Form, size: int) -> tuple[Merchant, Batch]:
        merchant, batch = self.batch(form, size)
        merchant.record(batch)
        return merchant, batch

    def decide(self, size: int, run: Run, times: int = 1) -> int:
        """Gas of the last of `times` decisions on a batch of that size."""
        merchant, batch = self.recorded(FORMS[0], size)
        call = contract.encode_decide(merchant.address, {batch.digest: [run]})
        back = contract.encode_decide(merchant.address, {batch.digest: [Run(run.start, run.count, "approved")]})
        spent = 0
        for number in range(times):
            spent = self.spend(merchant, call if number % 2 == 0 else back)
        return spent

    def half_verified(self, size: int) -> int:
        """Gas of a batch whose second half nobody verified."""
        merchant, batch = self.batch(FORMS[0], size)
        entries = [replace(entry, verified=i % 2 == 0) for i, entry in enumerate(batch.entries)]
        return self.spend(merchant, contract.encode_record(merchant.address, merchant.pack(*entries)))

    def scattered(self, size: int) -> int:
        """Gas of deciding on every other entry."""
        merchant, batch = self.recorded(FORMS[0], size)
        every_other = [Run(i, 1, "rejected", 1) for i in range(0, size, 2)]
        return self.spend(merchant, contract.encode_decide(merchant.address, {batch.digest: every_other}))

    def amend(self, form: Form, size: int, before: int = 0) -> int:
        """Gas of amending one entry of a batch of which `before` others were amended already."""
        merchant, batch = self.recorded(form, size)
        spent = 0
        for number in range(before + 1):
            proof = (merchant.address, batch.body, keccak256(batch.commitments))
            spent = self.spend(merchant, contract.encode_amend(*proof, [Amendment(size // 2 + number, 900, reason=8)]))
        return spent

    def supersede(self) -> int:
        merchant, batch = self.recorded(FORMS[0], 100)
        new = merchant.pack(self._entry(batch.entries[0].agreement, 5))
        changes = {batch.digest: [Run(50, 1, "rejected", 254)]}
        return self.spend(merchant, contract.encode_supersede(merchant.address, changes, new))

    def register(self, rules: tuple[Rule, ...]) -> int:
        merchant = Merchant(self.network)
        merchant.agree(*rules)
        block = self.network.rpc("eth_getBlockByNumber", "latest", True)
        return int(self.network.receipt(block["transactions"][0]["hash"])["gasUsed"], 16)

    def anchor(self) -> int:
        merchant = Merchant(self.network)
        self.spend(merchant, contract.encode_anchor(merchant.address, keccak256(b"a"), 100, 1, 2))
        return self.spend(merchant, contract.encode_anchor(merchant.address, keccak256(b"b"), 100, 1, 2))

    def naive(self) -> int:
        """Gas of one conversion in the naive form: the second one, when nothing is new but its own slot."""
        from ops.compile_contract import ROOT, bytecode

        source = (ROOT / "contracts" / "NaiveForm.vy").read_text()
        sent = self.network._send({"from": self.network.payer, "data": bytecode(source)})
        address = self.network.receipt(sent)["contractAddress"]
        merchant = Merchant(self.network)
        spent = 0
        for number in range(2):
            data = keccak256(b"record(address,bytes32,bytes32,uint256)")[:4] + b"".join(
                (
                    bytes(12) + bytes.fromhex(merchant.address[2:]),
                    keccak256(b"agreement"),
                    commitment(number) + bytes(12),
                )
            )
            receipt = self.network.send(merchant.key.address, data + (12_345).to_bytes(32, "big"), to=address)
            spent = int(receipt["gasUsed"], 16)
        return spent


@contextmanager
def node() -> Iterator[str]:
    """A throw-away node's URL."""
    with tempfile.TemporaryDirectory() as directory:
        part, url = throwaway_node(Path(directory))
        try:
            yield url
        finally:
            part.stop()


def rows(bench: Bench) -> Iterator[tuple[str, list[Any]]]:
    yield "conversions in the batch", list(SIZES)
    for form in FORMS:
        yield form.name, [bench.record(form, size) // size for size in SIZES]


def others(bench: Bench) -> Iterator[tuple[str, int]]:
    """What each feature costs beside recording, in gas of the transaction."""
    one, three = FORMS[0], FORMS[1]
    alone = bench.record(one, 100)
    yield "each further agreement in a batch", (bench.record(FORMS[3], 100) - alone) // 9
    yield "a second slot of rules, read by a batch of 100", bench.record(three, 100) - alone
    yield "an unverified half: a second group in the batch", bench.half_verified(100) - alone
    yield "decide: a run of 100, fresh (a conversion)", bench.decide(100, Run(0, 100, "rejected", 1)) // 100
    yield "decide: a run of 100, again (a conversion)", bench.decide(100, Run(0, 100, "rejected", 1), 2) // 100
    yield "decide: 100 scattered over 200 (a conversion)", bench.scattered(200) // 100
    yield "decide: one alone", bench.decide(100, Run(7, 1, "rejected", 1))
    yield "amend: batch of 100", bench.amend(one, 100)
    yield "amend: batch of 100, 3 rules", bench.amend(three, 100)
    yield "amend: batch of 100, 10 agreements, 3 rules", bench.amend(FORMS[4], 100)
    yield "amend: a second entry of a batch of 100", bench.amend(one, 100, before=1)
    yield "amend: a third entry of a batch of 100", bench.amend(one, 100, before=2)
    yield "supersede one of a batch of 100", bench.supersede()
    yield "register an agreement, 1 rule", bench.register(ONE_RULE)
    yield "register an agreement, 3 rules", bench.register(THREE_RULES)
    yield "register an agreement, 16 rules", bench.register(SIXTEEN_RULES)
    yield "anchor a period's clicks", bench.anchor()


def main() -> None:
    with node() as url:
        bench = Bench(url)
        naive = bench.naive()
        print(f"Gas a conversion (prague rules). Naive form, one transaction each: {naive}\n")
        for name, figures in rows(bench):
            print(f"{name:<26}" + "".join(f"{figure:>9,}" for figure in figures))
        best = bench.record(FORMS[0], 200) / 200
        print(f"\n{naive / best:.0f}x below naive at 200, {naive * 100 / bench.record(FORMS[0], 100):.0f}x at 100\n")
        for name, gas in others(bench):
            print(f"{name:<48}{gas:>9,}")


if __name__ == "__main__":
    main()
