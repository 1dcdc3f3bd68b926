"""What a ledger is made of: agreements, conversions as they stand, and what should not be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from chalicelib.domain.batch import Entry
from chalicelib.domain.commission import commission
from chalicelib.domain.network_changes import UNVERIFIED
from chalicelib.domain.network_status import Status, effective_status
from chalicelib.domain.terms import Terms

Kind = Literal[
    "unknown-code",
    "forged-agreement",
    "both-sides",
    "gap",
    "reordered",
    "unreadable",
    "unreadable-batch",
    "unknown-agreement",
    "closed-agreement",
    "unknown-group",
    "wrong-commission",
    "wrong-silence",
    "wrong-totals",
    "back-dated",
    "late-change",
    "false-reason",
    "recorded-twice",
    "missing",
    "false-receipt",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be. `where` is the transaction, sequence or id it is about."""

    kind: Kind
    where: str
    detail: str


@dataclass
class Agreement:
    id: bytes
    terms: Terms
    registered_at: int
    ended_at: int | None = None
    closes_at: int | None = None


@dataclass
class Conversion:
    """One entry as it stands. `commission` is what it earns now, recomputed; `logged` what the log says it earns."""

    sequence: int
    batch: bytes
    entry: Entry
    agreement: Agreement
    transaction: str
    block: int
    recorded_at: int
    due: int
    lock: int
    amount: int
    logged: int
    verified: bool
    decisions: list[tuple[int, Status, int]] = field(default_factory=list)
    verified_at: int = 0

    @property
    def commission(self) -> int:
        terms = self.agreement.terms
        number = self.entry.group
        group = terms.groups[number] if number < len(terms.groups) else ""
        return commission(terms, self.entry.action, group, self.amount)

    def continues(self, before: "Sequence[Conversion]") -> bool:
        """Whether it is a further commission group of the same order, the entries of which so far are `before`."""
        last = before[-1]
        order = (self.batch, self.entry.agreement, self.entry.action, self.entry.verified)
        is_next = self.sequence == last.sequence + 1 and order == (
            last.batch,
            last.entry.agreement,
            last.entry.action,
            last.entry.verified,
        )
        return is_next and self.entry.group not in {each.entry.group for each in before}

    def status(self, at: int) -> Status:
        """The status at a moment, by the decisions made until then."""
        decision: Status = "open"
        for when, decided, _ in self.decisions:
            if when <= at and when < self.lock:
                decision = decided
        verified = self.verified and at >= self.verified_at
        return effective_status(decision, verified, self.agreement.terms.silence, self.due, self.lock, at)

    def reason(self, at: int) -> int:
        """The reason code of a rejection, 0 for anything else."""
        if self.status(at) != "rejected":
            return 0
        last = self.decisions[-1] if self.decisions else (0, "open", 0)
        return last[2] if last[1] == "rejected" else UNVERIFIED
