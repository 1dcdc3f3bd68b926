"""What the contract should do, in the plainest Python: fractions, lists and dictionaries, no packing.

Written from the design and not from the contract, and sharing nothing with the codec but the terms and entries, so that a
mistake has to be made twice to go unseen. A refusal is the name of the error.
"""

import math
import string
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from chalicelib.domain.agreement import Terms
from chalicelib.domain.batch import Entry
from chalicelib.domain.network_changes import Run

DAY = 86_400
GRACE = 3


class ModelRefuses(Exception):
    """With the name of the contract's error."""


@dataclass
class Recorded:
    """One entry: where it stands, what it holds now, what was said about it."""

    entry: Entry
    terms: Terms
    at: int
    amount: int
    verified: bool
    decision: str = "open"

    @property
    def lock(self) -> int:
        return self.at + self.terms.lock_days * DAY

    def status(self, now: int) -> str:
        status = self.decision
        approves = self.verified or self.terms.silence == "all"
        if status == "open" and approves and now >= self.at + self.terms.validation_days * DAY:
            status = "approved"
        if now >= self.lock:
            return "sale" if status == "approved" else "rejected"
        return status

    @property
    def commission(self) -> int:
        return pays(self.terms, self.entry, self.amount)


def pays(terms: Terms, entry: Entry, amount: int) -> int:
    for rule in terms.rules:
        if rule.action != entry.action or terms.groups.index(rule.group) != entry.group:
            continue
        if amount < rule.from_amount or (rule.to_amount is not None and amount >= rule.to_amount):
            continue
        if rule.fixed is not None:
            return rule.fixed
        return math.floor(Fraction(amount) * Fraction(rule.rate or 0, 1_000_000) + Fraction(1, 2))
    return 0


@dataclass
class Model:
    """One merchant's side of the network."""

    agreements: dict[bytes, Terms] = field(default_factory=dict)
    closes: dict[bytes, int] = field(default_factory=dict)
    batches: dict[bytes, list[Recorded]] = field(default_factory=dict)
    first: dict[bytes, int] = field(default_factory=dict)
    conversions: int = 0
    clicks: int = 0
    roots: set[bytes] = field(default_factory=set)

    def check_text(self, said: Mapping[str, Any]) -> None:
        """Of the message that was signed, its text: the rest is that of Terms."""
        if len(said["currency"]) != 3 or set(said["currency"]) - set(string.ascii_uppercase):
            raise ModelRefuses("BadCurrency")
        simple = string.ascii_letters + string.digits
        for name in said["groups"]:
            if not name or name[0] not in simple or set(name) - set(simple + "._-"):
                raise ModelRefuses("BadGroup")
        if said["groups"][0] != "default" or len(set(said["groups"])) < len(said["groups"]):
            raise ModelRefuses("BadGroup")

    def end(self, agreement: bytes, now: int) -> None:
        if agreement in self.closes:
            raise ModelRefuses("AlreadyEnded")
        self.closes[agreement] = now + (self.agreements[agreement].window_days + GRACE) * DAY

    def check(
        self, digest: bytes, entries: tuple[Entry, ...], now: int, heads: Container[int], names: Container[int]
    ) -> None:
        if digest in self.batches:
            raise ModelRefuses("AlreadyRecorded")
        days = None
        loud = False
        before = None
        for position, entry in enumerate(entries):
            last = entries[position - 1] if position else None
            if last and entry.agreement == last.agreement:
                alike = (entry.action, entry.group, entry.verified) == (last.action, last.group, last.verified)
                if position in names or (position in heads and alike):
                    raise ModelRefuses("BadHead")
            if entry.agreement != before:
                before = entry.agreement
                if entry.agreement not in self.agreements:
                    raise ModelRefuses("UnknownAgreement")
                if now >= self.closes.get(entry.agreement, now + 1):
                    raise ModelRefuses("AgreementClosed")
                terms = self.agreements[entry.agreement]
                if days not in (None, (terms.validation_days, terms.lock_days)):
                    raise ModelRefuses("DaysDiffer")
                days = terms.validation_days, terms.lock_days
            silent = entry.verified or self.agreements[entry.agreement].silence == "all"
            if silent and loud:
                raise ModelRefuses("SilentFirst")
            loud = not silent

    def record(
        self,
        digest: bytes,
        entries: tuple[Entry, ...],
        now: int,
        heads: Container[int] = (),
        names: Container[int] = (),
    ) -> list[int]:
        """The commissions, in order. `heads` are the positions that got a head, `names` those that named their
        agreement; those that need one may be left out."""
        self.check(digest, entries, now, heads, names)
        self.first[digest] = self.conversions + 1
        self.conversions += len(entries)
        self.batches[digest] = [
            Recorded(entry, self.agreements[entry.agreement], now, entry.amount, entry.verified) for entry in entries
        ]
        return [recorded.commission for recorded in self.batches[digest]]

    def unlocked(self, digest: bytes, now: int) -> list[Recorded]:
        if digest not in self.batches:
            raise ModelRefuses("NotRecorded")
        if now >= self.batches[digest][0].lock:
            raise ModelRefuses("Locked")
        return self.batches[digest]

    def decide(self, digest: bytes, runs: Sequence[Run], now: int, superseding: bool = False) -> None:
        batch = self.unlocked(digest, now)
        for run in runs:
            if run.start + run.count > len(batch):
                raise ModelRefuses("NotRecorded")
            if run.status != "rejected":
                allowed = run.reason == 0 and not superseding
            elif superseding:
                allowed = run.reason == 254
            else:
                allowed = 0 < run.reason < 254
            if not allowed:
                raise ModelRefuses("BadDecision")
        for run in runs:
            for recorded in batch[run.start : run.start + run.count]:
                recorded.decision = run.status

    def amend(self, digest: bytes, index: int, amount: int, verified: bool, now: int) -> tuple[int, int]:
        """Old and new commission."""
        batch = self.unlocked(digest, now)
        if index >= len(batch):
            raise ModelRefuses("NotRecorded")
        entry = batch[index]
        old = entry.commission
        entry.amount = amount
        entry.verified = entry.verified or verified
        return old, entry.commission

    def anchor(self, root: bytes, count: int) -> int:
        if root in self.roots:
            raise ModelRefuses("AlreadyAnchored")
        self.roots.add(root)
        self.clicks += count
        return self.clicks - count + 1

    def totals(self, agreement: bytes) -> tuple[int, int, int]:
        of_it = [r for batch in self.batches.values() for r in batch if r.entry.agreement == agreement]
        return len(of_it), sum(r.amount for r in of_it), sum(r.commission for r in of_it)
