"""What a merchant's logs say, put together again from the first block on, and checked on the way.

Nothing here believes the contract: every commission, sequence, deadline and total is computed again. A contract that cheats, or
one that is not the published one, is found by its own logs.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib.adapters.contract import decode_status, encode_status_of, find_batch
from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import (
    AgreementEnded,
    AgreementRegistered,
    Amended,
    ClicksAnchored,
    Decided,
    Event,
    KeyAuthorised,
    Recorded,
    Superseded,
)
from chalicelib.domain.agreement import GRACE_DAYS, agreement_id
from chalicelib.domain.batch import BadBatch, Entry, unpack
from chalicelib.domain.network_changes import UNVERIFIED, Run
from chalicelib.domain.network_status import DAY, deadlines
from chalicelib.domain.terms import MAX_AMOUNT
from ops.chain_reader import ODD, Chain, Unreadable, topic_of
from ops.ledger_entries import Agreement, Conversion, Finding, Kind

T = TypeVar("T")
_REGISTERED = "0x" + topic("AgreementRegistered").hex()
_ENDED = "0x" + topic("AgreementEnded").hex()


class Ledger:
    """A merchant's side of the network. `findings` in the order of the chain."""

    def __init__(self, chain: Chain, merchant: str) -> None:
        self.chain = chain
        self.merchant = merchant.lower()
        self.findings: list[Finding] = []
        self.agreements: dict[bytes, Agreement] = {}
        self.conversions: dict[int, Conversion] = {}
        self.batches: dict[bytes, Recorded] = {}
        self.keys: set[str] = {self.merchant}
        self.clicks = 0
        self._next = 1
        self._superseded: dict[bytes, set[int]] = {}
        self._orders: dict[bytes, list[Conversion]] = {}
        self._unreadable_terms: set[bytes] = set()
        for event in self._events():
            try:
                self._take(event)
            except ODD as odd:
                # Who cheats chooses every byte of a log: one that makes no sense must not hide what the others show.
                self.find("unreadable", _where(event), f"a log that makes no sense: {odd!r}")
        self._compare_with_state()

    def counts(self, sequence: int) -> bool:
        """Whether a conversion stands there that is not rejected."""
        found = self.conversions.get(sequence)
        return found is not None and found.status(self.chain.now) != "rejected"

    def superseded_of(self, publisher: str, sequence: int) -> bool:
        """Whether entries of that publisher were rejected by the step that recorded this sequence."""
        found = self.conversions.get(sequence)
        before = self._superseded.get(found.batch, set()) if found else set()
        return any(self.conversions[each].agreement.terms.publisher.lower() == publisher for each in before)

    def find(self, kind: Kind, where: str, detail: str) -> None:
        self.findings.append(Finding(kind, where, detail))

    def _asked(self, where: str, question: Callable[[], T]) -> T | None:
        """The contract's answer; None, and a finding, where it does not answer as the published one would."""
        try:
            return question()
        except ODD as odd:
            self.find("unreadable", where, f"the contract does not answer as the published one would: {odd!r}")
            return None

    def _events(self) -> Iterable[Event | Unreadable]:
        who, read = topic_of(self.merchant), self.chain.events_one_by_one
        found = [*read(None, who), *read(_REGISTERED, None, who), *read(_ENDED, None, who)]
        ours = {_place(e): e for e in found if isinstance(e, Unreadable) or e.merchant == self.merchant}
        return [ours[at] for at in sorted(ours)]

    def _take(self, event: Event | Unreadable) -> None:
        match event:
            case Unreadable():
                self._unread(event)
            case KeyAuthorised():
                self.keys.add(event.key)
            case AgreementRegistered():
                self._registered(event)
            case AgreementEnded():
                self._ended(event)
            case Recorded():
                self._recorded(event)
            case Decided():
                for batch, batch_runs in event.changes:
                    self._decided(event, batch, batch_runs)
            case Amended():
                self._amended(event)
            case Superseded():
                self._superseded[event.batch] = {
                    sequence
                    for batch, batch_runs in event.changes
                    for sequence in self._sequences(batch, batch_runs)
                    if sequence in self.conversions
                }
            case ClicksAnchored():
                if event.first != self.clicks + 1:
                    self.find("gap", event.where.transaction, f"clicks go on at {event.first} after {self.clicks}")
                self.clicks = event.first + event.count - 1
            case _:
                pass

    def _unread(self, log: Unreadable) -> None:
        if log.topics[0] == _REGISTERED:
            self._unreadable_terms.add(bytes.fromhex(log.topics[1][2:]))
            self.find("unreadable", log.topics[1], f"terms that cannot be read: {log.problem}")
        else:
            self.find("unreadable", log.transaction, f"log {log.log_index} of its block cannot be read: {log.problem}")

    def _registered(self, event: AgreementRegistered) -> None:
        expected = agreement_id(event.terms, self.chain.chain_id, self.chain.contract)
        if expected != event.agreement:
            self.find("forged-agreement", _hex(event.agreement), "its id is not the hash of the terms logged with it")
        self.agreements[event.agreement] = Agreement(event.agreement, event.terms, self.chain.time(event.where.block))

    def _ended(self, event: AgreementEnded) -> None:
        agreement = self.agreements.get(event.agreement)
        if agreement is None:
            return
        agreement.ended_at = self.chain.time(event.where.block)
        agreement.closes_at = agreement.ended_at + (agreement.terms.window_days + GRACE_DAYS) * DAY

    def _recorded(self, event: Recorded) -> None:
        where = event.where.transaction
        if event.first > self._next:
            self.find("gap", where, f"sequences {self._next} to {event.first - 1} were never recorded")
        elif event.first < self._next:
            self.find("reordered", where, f"sequence {event.first} comes after {self._next - 1}")
        self._next = max(self._next, event.first + event.count)
        self.batches[event.batch] = event
        recorded_at = self.chain.time(event.where.block)
        self._check_batch_time(event, recorded_at)
        if len(event.commissions) != event.count:
            detail = f"its log shows {len(event.commissions)} commissions for {event.count} conversions"
            self.find("unreadable", where, detail)
        for index, entry in enumerate(self._entries(event)):
            self._conversion(event, index, entry, recorded_at)

    def _check_batch_time(self, event: Recorded, recorded_at: int) -> None:
        where = event.where.transaction
        stored = self._asked(where, lambda: self.chain.views.batch(self.merchant, event.batch).recorded_at)
        if stored not in (None, recorded_at):
            detail = f"the contract keeps {stored} as the time of a batch that a block of {recorded_at} recorded"
            self.find("back-dated", where, detail)

    def _entries(self, event: Recorded) -> tuple[Entry, ...]:
        bytes_sent = bytes.fromhex(self.chain.transaction(event.where.transaction)["input"][2:])
        found = find_batch(bytes_sent, event.batch)
        try:
            entries = unpack(found.body, found.commitments) if found else ()
        except BadBatch:
            entries = ()
        if len(entries) != event.count:
            self.find("unreadable-batch", event.where.transaction, "its transaction does not show the bytes recorded")
            return ()
        return entries

    def _conversion(self, event: Recorded, index: int, entry: Entry, recorded_at: int) -> None:
        sequence, where = event.first + index, event.where.transaction
        agreement = self.agreements.get(entry.agreement)
        if agreement is None:
            self._without_agreement(f"sequence {sequence}", entry.agreement)
            return
        if agreement.closes_at is not None and recorded_at >= agreement.closes_at:
            self.find("closed-agreement", f"sequence {sequence}", "recorded after its agreement had closed")
        due, lock = deadlines(recorded_at, agreement.terms.validation_days, agreement.terms.lock_days)
        conversion = Conversion(
            sequence=sequence,
            batch=event.batch,
            entry=entry,
            agreement=agreement,
            transaction=where,
            block=event.where.block,
            recorded_at=recorded_at,
            due=due,
            lock=lock,
            amount=entry.amount,
            logged=event.commissions[index] if index < len(event.commissions) else 0,
            verified=entry.verified,
        )
        self._check_commission(conversion, conversion.logged)
        silent = entry.verified or agreement.terms.silence == "all"
        if silent != (index < event.silent):
            self.find(
                "wrong-silence", f"sequence {sequence}", f"the contract {'ignores' if silent else 'counts'} silence"
            )
        if entry.group >= len(agreement.terms.groups):
            named = f"its agreement has {len(agreement.terms.groups)} commission groups, this is number {entry.group}"
            self.find("unknown-group", f"sequence {sequence}", f"{named}, which earns nothing")
        self._check_once(conversion)
        if sequence in self.conversions:
            self.find("reordered", f"sequence {sequence}", "given to two conversions")
        self.conversions[sequence] = conversion

    def _without_agreement(self, where: str, agreement: bytes) -> None:
        """The published contract records under nothing that was not registered: there it is the node that leaves a log out."""
        under = f"recorded under {_hex(agreement)}"
        if self.chain.is_known_code:
            self.find("gap", where, f"{under}, whose terms are kept from you")
        else:
            why = "cannot be read" if agreement in self._unreadable_terms else "nobody signed"
            self.find("unknown-agreement", where, f"{under}, whose terms {why}")

    def _check_once(self, conversion: Conversion) -> None:
        """The groups of one order stand side by side in one batch; the same commitment anywhere else is the order over again."""
        before = self._orders.setdefault(conversion.entry.commitment, [])
        if before and not conversion.continues(before):
            detail = f"the same commitment as sequence {before[-1].sequence}"
            self.find("recorded-twice", f"sequence {conversion.sequence}", detail)
        before.append(conversion)

    def _check_commission(self, conversion: Conversion, logged: int) -> None:
        if conversion.commission != logged:
            self.find(
                "wrong-commission",
                f"sequence {conversion.sequence}",
                f"{logged} logged, the agreement pays {conversion.commission} for {conversion.amount} (minor units)",
            )

    def _sequences(self, batch: bytes, batch_runs: Iterable[Run]) -> Iterable[int]:
        recorded = self.batches.get(batch)
        first = recorded.first if recorded else 0
        return [first + run.start + place for run in batch_runs for place in range(run.count)] if recorded else []

    def _decided(self, event: Decided, batch: bytes, batch_runs: Iterable[Run]) -> None:
        recorded = self.batches.get(batch)
        if recorded is None:
            self._differs("late-change", event.where.transaction, f"decides on {_hex(batch)}, which is not recorded")
            return
        when = self.chain.time(event.where.block)
        for run in batch_runs:
            if run.reason == UNVERIFIED:
                first, last = recorded.first + run.start, recorded.first + run.start + run.count - 1
                detail = f"rejected as unverified by {event.where.transaction}, which only the lock may say"
                self.find("false-reason", f"sequences {first} to {last}", detail)
            for sequence in range(recorded.first + run.start, recorded.first + run.start + run.count):
                conversion = self.conversions.get(sequence)
                if conversion is None:
                    continue
                self._check_on_time(conversion, when, event.where.transaction)
                conversion.decisions.append((when, run.status, run.reason))

    def _amended(self, event: Amended) -> None:
        conversion = self.conversions.get(event.sequence)
        if conversion is None:
            return
        when = self.chain.time(event.where.block)
        self._check_on_time(conversion, when, event.where.transaction)
        if event.old_amount != conversion.amount:
            self.find(
                "wrong-commission",
                f"sequence {event.sequence}",
                f"amended from {event.old_amount}, which it never had: it was {conversion.amount}",
            )
        if event.new_amount > MAX_AMOUNT:
            self.find(
                "unreadable", f"sequence {event.sequence}", f"amended to {event.new_amount}, more than an amount can be"
            )
            return
        conversion.amount = event.new_amount
        conversion.logged = event.new_commission
        if event.verified and not conversion.verified:
            conversion.verified, conversion.verified_at = True, when
        self._check_commission(conversion, event.new_commission)

    def _check_on_time(self, conversion: Conversion, when: int, where: str) -> None:
        if when >= conversion.lock:
            late = when - conversion.lock
            self.find("late-change", f"sequence {conversion.sequence}", f"changed {late} s after its lock, by {where}")

    def _compare_with_state(self) -> None:
        """The contract's own figures against the sums of its logs: a log that a node keeps back shows here."""
        views = self.chain.views
        recorded, clicks = self._asked("the end", lambda: views.counts(self.merchant)) or (self._next - 1, self.clicks)
        if recorded != self._next - 1:
            self.find("gap", "the end", f"the contract counts {recorded} conversions, the logs show {self._next - 1}")
        if clicks != self.clicks:
            self.find("gap", "the end", f"the contract counts {clicks} clicks, the logs show {self.clicks}")
        for agreement in self.agreements.values():
            self._compare_totals(agreement)
        conversions = list(self.conversions.values())
        calls = [encode_status_of(self.merchant, each.batch, each.sequence) for each in conversions]
        for conversion, answer in zip(conversions, self.chain.call_many(calls), strict=True):
            self._compare_status(conversion, answer)

    def _compare_totals(self, agreement: Agreement) -> None:
        of_it = [c for c in self.conversions.values() if c.agreement is agreement]
        sums = len(of_it), sum(c.amount for c in of_it), sum(c.commission for c in of_it)
        kept = self._asked(_hex(agreement.id), lambda: self.chain.views.totals(self.merchant, agreement.id))
        if kept is not None and sums != (kept.conversions, kept.amount, kept.commission):
            self._differs("wrong-totals", _hex(agreement.id), f"the contract says {kept}, its logs add up to {sums}")

    def _differs(self, kind: Kind, where: str, detail: str) -> None:
        """State and logs do not agree. The published contract writes both at once, so there a log is kept back."""
        self.find("gap" if self.chain.is_known_code else kind, where, detail)

    def _compare_status(self, conversion: Conversion, answer: bytes | None) -> None:
        where, expected = f"sequence {conversion.sequence}", conversion.status(self.chain.now)
        stored = self._asked(where, lambda: decode_status(answer or b"").status)
        if stored not in (None, expected):
            self._differs("late-change", where, f"the contract says {stored}, its logs and dates make it {expected}")


def _place(event: Event | Unreadable) -> tuple[int, int]:
    return (
        (event.block, event.log_index) if isinstance(event, Unreadable) else (event.where.block, event.where.log_index)
    )


def _where(event: Event | Unreadable) -> str:
    return event.transaction if isinstance(event, Unreadable) else event.where.transaction


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
