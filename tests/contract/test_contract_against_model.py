"""Random lives of a merchant, run on the contract and on the model at once; they may never disagree.

The whole is 5,000 sequences (`make test-long`); each `make test` takes a slice of them, another one each day.
"""

import datetime
import os
import random
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from eth_abi.abi import decode

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import Amended, ClicksAnchored, Event, Recorded, Superseded
from chalicelib.domain.agreement import MAX_AMOUNT, Rule, Terms, agreement_id, from_message, message
from chalicelib.domain.batch import MAX_BODY, Batch, Entry, pack
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import (
    SUPERSEDED,
    UNVERIFIED,
    Amendment,
    Change,
    Decision,
    Run,
    pack_changes,
    runs,
)
from chalicelib.domain.network_status import STATUSES
from tests.contract.network_model import DAY, Model, ModelRefuses
from tests.contract.network_on_anvil import CHAIN_ID, Merchant, Network, Refused, new_account

SEQUENCES = 5000
SLICE = int(os.environ.get("MODEL_SEQUENCES", "150"))
LIVES_A_CHAIN = 500
"""They follow one another on its clock, two to three weeks each, and the contract's clock ends in 2106."""
STEPS = 12
GROUPS = ("default", "books", "wine")
_KEYS = [new_account() for _ in range(6)]


@dataclass
class Life:
    """One merchant on both sides, and the chance that moves it."""

    network: Network
    merchant: Merchant
    chance: random.Random
    model: Model = field(default_factory=Model)
    packed: list[Batch] = field(default_factory=list)
    seen: dict[int, str] = field(default_factory=dict)
    logged: int = 0
    drawn: int = 0

    def moment(self, most: int = 3) -> int:
        """Sets the time of the next block and gives it. The chain never stands still for two blocks."""
        now = self.network.now() + 1 + self.chance.choice((0, 1, 3600, self.chance.randint(0, most * DAY)))
        self.network.rpc("evm_setNextBlockTimestamp", hex(now))
        return now

    def send(self, data: bytes, expected: Callable[[], None]) -> list[Event]:
        """Sends as the merchant's key and asks the model."""
        return self.both(lambda: self.merchant.send(data), expected)

    def both(self, act: Callable[[], list[Event]], expected: Callable[[], None]) -> list[Event]:
        """Acts and asks the model; both go through, or both refuse for the same reason (an empty answer)."""
        try:
            expected()
            refusal = ""
        except ModelRefuses as refused:
            refusal = str(refused)
        try:
            events = act()
        except Refused as refused:
            assert refused.name == refusal, f"contract: {refused}, model: {refusal or 'goes through'}"
            return []
        assert not refusal, f"the contract took what the model refuses: {refusal}"
        return events

    # -- steps -------------------------------------------------------------------------------------------------

    def agree(self) -> None:
        publisher = self.chance.choice(_KEYS)
        nonce, version = self.network.views.next_agreement(self.merchant.address, publisher.address)
        days = self.chance.choice(((0, 1), (3, 7), (3, 7), (3, 7), (7, 7)))
        terms = Terms(
            merchant=self.merchant.address,
            publisher=publisher.address.lower(),
            currency="EUR",
            rules=self.rules(),
            groups=GROUPS,
            window_days=self.chance.randint(0, 4),
            validation_days=days[0],
            lock_days=days[1],
            silence=self.chance.choice(("verified", "all")),
            nonce=nonce,
            version=version,
            deadline=2**40,
        )
        said = message(terms)
        if self.chance.random() < 0.2:
            said |= self.odd()
        events = self.both(
            lambda: self.network.register_message(said, self.merchant.account, publisher),
            lambda: self.model.check_text(said),
        )
        if events:
            agreed = from_message(said)
            self.model.agreements[agreement_id(agreed, CHAIN_ID, self.network.address)] = agreed

    def odd(self) -> dict[str, Any]:
        """Fields of an agreement that somebody signed without asking `Terms`, most of them unfit."""
        groups = list(GROUPS)
        groups[self.chance.randint(0, 2)] = self.chance.choice(("", "x", "wine", "a b", "-a", "default", "ä"))
        return self.chance.choice(({"currency": self.chance.choice(("eur", "E1R", "", "USD"))}, {"groups": groups}))

    def rules(self) -> tuple[Rule, ...]:
        drawn = []
        for action in ("sale", "lead"):
            for group in self.chance.sample(GROUPS, self.chance.randint(0, 3)):
                edges = sorted(self.chance.sample(range(1, 3000), self.chance.randint(0, 3) * 2))
                brackets: list[tuple[int, int | None]] = [(0, None)] if not edges else []
                brackets += list(zip(edges[::2], edges[1::2], strict=True))
                if edges and self.chance.random() < 0.3:
                    brackets[-1] = (brackets[-1][0], None)
                for low, high in brackets:
                    fixed = self.chance.random() < 0.4
                    rate = self.chance.choice((0, 1, 1_000_000, self.chance.randint(0, 1_000_000)))
                    flat = self.chance.choice((0, MAX_AMOUNT // 1000, self.chance.randint(0, 5000)))
                    drawn.append(Rule(action, None if fixed else rate, flat if fixed else None, group, low, high))
        return tuple(drawn[:16]) or (Rule("sale", rate=1),)

    def entries(self, most: int = 14) -> list[Entry]:
        known = list(self.model.agreements)
        if not known:
            return []
        days = self.model.agreements[self.chance.choice(known)]
        if self.chance.random() < 0.9:
            known = [a for a in known if self.model.agreements[a].lock_days == days.lock_days]
        if self.chance.random() < 0.05:
            known = [*known, b"\x07" * 32]
        drawn = []
        for _ in range(self.chance.choice((1, 2, self.chance.randint(1, most)))):
            self.drawn += 1
            commitment = keccak256(self.merchant.account.key + bytes([self.drawn % 256, self.drawn // 256]))[:20]
            for _ in range(self.chance.choice((1, 1, 1, 2))):
                drawn.append(
                    Entry(
                        agreement=known[self.drawn % len(known)],
                        action=self.chance.choice(("sale", "lead")),
                        amount=self.amount(),
                        commitment=commitment,
                        group=self.chance.randint(0, 2),
                        verified=self.drawn % 3 == 0,
                    )
                )
        return drawn

    def amount(self) -> int:
        return self.chance.choice((0, 1, self.chance.randint(0, 3000), self.chance.randint(0, 3000), MAX_AMOUNT >> 8))

    def pack(self, entries: list[Entry]) -> Batch:
        batch = pack(entries, {a for a, terms in self.model.agreements.items() if terms.silence == "all"})
        self.packed.append(batch)
        return batch

    def record(self, batch: Batch | None = None) -> None:
        if batch is None:
            entries = self.entries(self.chance.choice((14, 14, 100)))
            if not entries:
                return
            batch = self.pack(entries)
        heads: set[int] = set()
        names: set[int] = set()
        if self.chance.random() < 0.1 and len(batch.body) <= MAX_BODY - 3 * 32:  # room for what is put in
            heads, names = ({self.chance.randrange(len(batch.entries))} for _ in range(2))
            assert body_with(batch.entries, (), ()) == batch.body
            batch = replace(batch, body=body_with(batch.entries, heads, names))
        now = self.moment()
        expected: list[int] = []
        events = self.send(
            contract.encode_record(self.merchant.address, batch),
            lambda: expected.extend(self.model.record(batch.digest, batch.entries, now, heads, names)),
        )
        if events:
            (event,) = events
            assert isinstance(event, Recorded)
            assert (list(event.commissions), event.first) == (expected, self.model.first[batch.digest])
            self.logged += sum(event.commissions)

    def record_again(self) -> None:
        if self.packed:
            self.record(self.chance.choice(self.packed))

    def decide(self) -> None:
        if not self.packed:
            return
        batch = self.chance.choice(self.packed)
        bound = len(batch.entries) + (self.chance.random() < 0.1)
        picked = self.chance.sample(range(bound), self.chance.randint(1, bound))
        if self.chance.random() < 0.5:
            picked = list(range(min(picked), max(picked) + 1))
        decisions: dict[int, Decision] = {
            index: self.chance.choice(("open", "approved", "rejected")) for index in picked
        }
        decided = runs([Change(i, d, 5 if d == "rejected" else 0) for i, d in decisions.items()])
        changes = bytearray(pack_changes({batch.digest: decided}))
        if self.chance.random() < 0.2:
            decided[0] = replace(decided[0], reason=self.chance.choice((0, 1, 253, SUPERSEDED, UNVERIFIED)))
            changes[58] = decided[0].reason  # of the first run of the first word behind the digest
        now = self.moment()
        self.send(
            contract._call("decide", self.merchant.address, bytes(changes)),
            lambda: self.model.decide(batch.digest, decided, now),
        )

    def amend(self) -> None:
        if not self.packed:
            return
        batch = self.chance.choice(self.packed)
        index = self.chance.randint(0, min(303, len(batch.entries) - (self.chance.random() < 0.9)))
        amount, verified, now = self.amount(), self.chance.random() < 0.3, self.moment()
        paid: list[int] = []
        events = self.send(
            contract.encode_amend(
                self.merchant.address,
                batch.body,
                keccak256(batch.commitments),
                [Amendment(index, amount, verified, reason=8)],
            ),
            lambda: paid.extend(self.model.amend(batch.digest, index, amount, verified, now)),
        )
        for event in events:
            assert isinstance(event, Amended)
            assert [event.old_commission, event.new_commission] == paid
            assert event.sequence == self.model.first[batch.digest] + index
            assert event.verified == self.model.batches[batch.digest][index].verified
            self.logged += event.new_commission - event.old_commission

    def supersede(self) -> None:
        entries = self.entries(2)
        if not self.packed or not entries:
            return
        old = self.chance.choice(self.packed)
        new, now = self.pack(entries), self.moment()
        rejected = [Run(self.chance.randrange(len(old.entries)), 1, "rejected", SUPERSEDED)]
        expected: list[int] = []

        def model() -> None:
            self.model.unlocked(old.digest, now)
            expected.extend(self.model.record(new.digest, new.entries, now))
            self.model.decide(old.digest, rejected, now, superseding=True)

        events = self.send(
            contract.encode_supersede(self.merchant.address, {old.digest: rejected}, new),
            model,
        )
        if events:
            assert isinstance(events[1], Recorded) and isinstance(events[2], Superseded)
            assert list(events[1].commissions) == expected
            self.logged += sum(expected)

    def end(self) -> None:
        if not self.model.agreements:
            return
        agreement, now = self.chance.choice(list(self.model.agreements)), self.moment()
        call = contract.encode_end(self.merchant.address, agreement)
        try:
            self.model.end(agreement, now)
        except ModelRefuses as refusal:
            with pytest.raises(Refused, match=str(refusal)):
                self.network.send(self.merchant.address, call)
        else:
            self.network.send(self.merchant.address, call)

    def anchor(self) -> None:
        root, count = keccak256(bytes([self.chance.randint(0, 3)])), self.chance.randint(1, 9)
        self.moment()
        first: list[int] = []
        events = self.send(
            contract.encode_anchor(self.merchant.address, root, count, 1, 2),
            lambda: first.append(self.model.anchor(root, count)),
        )
        if events:
            assert isinstance(events[0], ClicksAnchored) and [events[0].first] == first

    def wait(self) -> None:
        self.network.wait(self.chance.randint(1, 5 * DAY))

    # -- what must hold whatever happened ------------------------------------------------------------------------

    def compare(self) -> None:
        now, address = self.network.now(), self.merchant.address
        entries = [
            (digest, self.model.first[digest] + i, recorded)
            for digest, batch in self.model.batches.items()
            for i, recorded in enumerate(batch)
        ]
        assert sorted(sequence for _, sequence, _ in entries) == list(range(1, len(entries) + 1))
        calls = [contract._call("statusOf", address, digest, sequence) for digest, sequence, _ in entries]
        calls += [contract._call("totalsOf", address, agreement) for agreement in self.model.agreements]
        calls.append(contract._call("countsOf", address))
        answers = self.network.call_many(calls)
        for (_, sequence, recorded), answer in zip(entries, answers, strict=False):
            status, decision, due, lock = decode(["uint256"] * 4, answer)
            assert STATUSES[status] == recorded.status(now)
            assert (STATUSES[decision], lock) == (recorded.decision, recorded.lock)
            assert due == recorded.at + recorded.terms.validation_days * DAY
            before = self.seen.get(sequence)
            if now >= lock and before in ("sale", "rejected-for-good"):
                assert STATUSES[status] == before.removesuffix("-for-good")
            self.seen[sequence] = STATUSES[status] + ("-for-good" if status == 3 and now >= lock else "")
        for agreement, answer in zip(self.model.agreements, answers[len(entries) :], strict=False):
            assert decode(["uint256"] * 3, answer) == self.model.totals(agreement)
        assert decode(["uint256"] * 2, answers[-1]) == (self.model.conversions, self.model.clicks)
        assert self.logged == sum(recorded.commission for _, _, recorded in entries)


def body_with(entries: Sequence[Entry], heads: Container[int], names: Container[int]) -> bytes:
    """A body with further heads, and agreements named again, at these positions."""
    kinds = [(entry.agreement, entry.key, entry.verified) for entry in entries]
    starts = [p for p in range(len(entries)) if p == 0 or p in heads or p in names or kinds[p] != kinds[p - 1]]
    words: list[int] = []
    for start, stop in pairwise([*starts, len(entries)]):
        agreement, key, verified = kinds[start]
        amounts = [entry.amount for entry in entries[start:stop]]
        same = start > 0 and start not in names and agreement == kinds[start - 1][0]
        words.append(same << 249 | verified << 248 | key << 240 | len(amounts) << 224 | in_forties(amounts[:5]))
        if not same:
            words.append(int.from_bytes(agreement, "big"))
        words += (in_forties(amounts[i : i + 6]) for i in range(5, len(amounts), 6))
    return b"".join(word.to_bytes(32, "big") for word in words)


def in_forties(amounts: Sequence[int]) -> int:
    return sum(amount << 40 * place for place, amount in enumerate(amounts))


STEPS_AND_WEIGHTS: list[tuple[Callable[[Life], None], int]] = [
    (Life.agree, 2),
    (Life.record, 8),
    (Life.record_again, 2),
    (Life.decide, 6),
    (Life.amend, 5),
    (Life.supersede, 2),
    (Life.end, 1),
    (Life.anchor, 1),
    (Life.wait, 3),
]


def live(network: Network, seed: int) -> Life:
    life = Life(network, Merchant(network), random.Random(seed))
    life.agree()
    steps, weights = zip(*STEPS_AND_WEIGHTS, strict=True)
    for number in range(STEPS):
        life.chance.choices(steps, weights)[0](life)
        if number % 4 == 3:
            life.compare()
    life.compare()
    network.wait(8 * DAY)
    life.compare()
    return life


def live_each(network: Network, seeds: range) -> int:
    """How many conversions they recorded."""
    recorded = 0
    for seed in seeds:
        try:
            recorded += live(network, seed).model.conversions
        except AssertionError as failure:
            raise AssertionError(f"sequence {seed}: {failure}") from failure
    return recorded


def test_a_slice_of_random_lives_goes_as_the_model_says(network: Network) -> None:
    start = datetime.datetime.now(tz=datetime.UTC).toordinal() * SLICE % SEQUENCES
    assert live_each(network, range(start, start + SLICE)) > SLICE  # the sequences do record something


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(0, SEQUENCES, LIVES_A_CHAIN))
def test_five_thousand_random_lives_go_as_the_model_says(network: Network, first: int) -> None:
    live_each(network, range(first, first + LIVES_A_CHAIN))
