"""The checks of a receipt, in the order in which they rest on each other. The page chalicelib/web/verify/ makes the same ones.

What a receipt must hold: docs/network.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib.adapters.contract import find_batch
from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import (
    AgreementEnded,
    AgreementRegistered,
    Amended,
    Decided,
    Recorded,
    decode_logs,
)
from chalicelib.domain.agreement import Terms, agreement_id
from chalicelib.domain.batch import Entry, unpack
from chalicelib.domain.commission import commission
from chalicelib.domain.commitment import commit
from chalicelib.domain.money import parse_amount
from chalicelib.domain.network_status import DAY, Status, deadlines, effective_status
from ops.chain_reader import Chain, topic_of

CLOCKS_MAY_DIFFER = 900  # seconds between a box's clock and the chain's


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared. `name` is stable; `detail` says what was found."""

    name: str
    ok: bool
    detail: str


class Mismatch(Exception):
    """What does not match, in a sentence."""


class Receipt:
    """A receipt's checks. Each method is one of them: it returns what it found or raises Mismatch."""

    def __init__(self, receipt: dict[str, Any], chain: Chain) -> None:
        self.shown = receipt
        self.payload: dict[str, Any] = receipt["payload"]
        self.chain = chain
        self.merchant = str(receipt["merchant"]).lower()
        self.id = bytes.fromhex(str(receipt["agreementId"]).removeprefix("0x"))

    def contract(self) -> str:
        if self.chain.chain_id != self.shown["chainId"]:
            raise Mismatch(f"the node is on chain {self.chain.chain_id}, the receipt is of {self.shown['chainId']}")
        if not self.chain.is_known_code:
            raise Mismatch(f"{self.chain.contract} is not the published network contract")
        return f"{self.chain.contract} on chain {self.chain.chain_id} is the published contract"

    def commitment(self) -> str:
        made = "0x" + commit(self.payload, bytes.fromhex(self.shown["salt"])).hex()
        if made != self.shown["commitment"]:
            raise Mismatch(f"payload and salt give {made}, the receipt says {self.shown['commitment']}")
        return made

    def payload_agrees(self) -> str:
        for name in ("conversionId", "agreementId", "currency"):
            if name in self.shown and self.payload[name] != self.shown[name]:
                raise Mismatch(f"{name} is {self.payload[name]} in the payload and {self.shown[name]} beside it")
        if str(self.payload["merchant"]).lower() != self.merchant:
            raise Mismatch(f"the payload is of merchant {self.payload['merchant']}")
        return "the payload says what the receipt says"

    def block(self) -> str:
        mined = self.chain.receipt(self.shown["transaction"])
        if mined is None:
            raise Mismatch(f"the chain has no transaction {self.shown['transaction']}")
        for name, there in (("blockNumber", int(mined["blockNumber"], 16)), ("blockHash", mined["blockHash"])):
            if there != self.shown[name]:
                raise Mismatch(f"{name} is {there} on the chain, {self.shown[name]} in the receipt")
        if self.shown["final"] and there_is_later(self.chain.finalized, self.shown["blockNumber"]):
            raise Mismatch("the receipt says final, the chain does not yet")
        self.recorded_at = self.chain.time(self.shown["blockNumber"])
        self.logs = mined["logs"]
        return f"block {self.shown['blockNumber']} of {moment(self.recorded_at)}"

    def inclusion(self) -> str:
        events = [e for e in decode_logs(self.logs, self.chain.contract) if isinstance(e, Recorded)]
        ours = [e for e in events if e.where.log_index == self.shown["logIndex"] and e.merchant == self.merchant]
        if not ours:
            raise Mismatch(f"the transaction has no log {self.shown['logIndex']} that records for this merchant")
        self.recorded = ours[0]
        transaction = self.chain.transaction(self.shown["transaction"])
        sent = find_batch(bytes.fromhex(transaction["input"][2:]), self.recorded.batch) if transaction else None
        if sent is None:
            raise Mismatch("the transaction does not show the batch whose hash it logged")
        entries = unpack(sent.body, sent.commitments)
        self.index = self.shown["sequence"] - self.recorded.first
        self.entries = self._mine(entries)
        return f"sequences {self.shown['sequence']} to {self.shown['sequence'] + len(self.entries) - 1} hold the commitment"

    def _mine(self, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        lines = self.payload["lines"]
        mine = entries[self.index : self.index + len(lines)] if self.index >= 0 else ()
        expected = bytes.fromhex(self.shown["commitment"][2:])
        if len(mine) != len(lines) or any(entry.commitment != expected for entry in mine):
            raise Mismatch(f"sequence {self.shown['sequence']} is another conversion")
        for place, (entry, line, shown) in enumerate(zip(mine, lines, self.shown["entries"], strict=True)):
            if shown["sequence"] != self.shown["sequence"] + place or shown["group"] != line["group"]:
                raise Mismatch(f"entry {place} of the receipt is out of order")
            if entry.agreement != self.id or entry.action != self.payload["action"]:
                raise Mismatch(f"it was recorded as a {entry.action} under 0x{entry.agreement.hex()}")
            if entry.amount != line["amount"] or entry.amount != self._minor(shown["amount"]):
                raise Mismatch(f"the amount recorded is {entry.amount} minor units, the receipt says {shown['amount']}")
            if entry.verified != self.payload["verified"]:
                raise Mismatch(f"verified is {entry.verified} on the chain")
        return mine

    def _minor(self, text: str) -> int:
        return parse_amount(text, self.payload["currency"])

    def agreement(self) -> str:
        registered = self.chain.events("0x" + topic("AgreementRegistered").hex(), topic_of(self.id))
        found = [event for event in registered if isinstance(event, AgreementRegistered)]
        if not found:
            raise Mismatch("no such agreement was ever registered")
        self.terms: Terms = found[0].terms
        if agreement_id(self.terms, self.chain.chain_id, self.chain.contract) != self.id:
            raise Mismatch("the terms logged under this id are not those that were signed")
        for name, signed in (
            ("merchant", self.terms.merchant),
            ("publisher", self.terms.publisher),
            ("hosted", self.terms.hosted),
            ("currency", self.terms.currency),
        ):
            shown = self.shown.get(name, self.payload.get(name))
            if str(shown).lower() != str(signed).lower():
                raise Mismatch(f"{name} is {signed} in the agreement, {shown} in the receipt")
        for entry, line in zip(self.entries, self.payload["lines"], strict=True):
            if self.terms.group_number(line["group"]) != entry.group:
                raise Mismatch(f"{line['group']} was recorded as another commission group")
        box = "one box signed for both sides" if self.terms.hosted else "both sides signed"
        return f"version {self.terms.version}, {box}"

    def times(self) -> str:
        created, clicked = parse_time(self.payload["createdAt"]), self.payload["clickedAt"]
        if created > self.recorded_at + CLOCKS_MAY_DIFFER:
            raise Mismatch(f"made on {moment(created)}, after its block of {moment(self.recorded_at)}")
        if clicked is None:
            return f"made on {moment(created)}, no click"
        at = parse_time(clicked)
        if at > created:
            raise Mismatch(f"clicked on {moment(at)}, after the conversion of {moment(created)}")
        if created > at + self.terms.window_days * DAY:
            raise Mismatch(f"clicked on {moment(at)}, more than {self.terms.window_days} days before the conversion")
        ended = self.chain.events("0x" + topic("AgreementEnded").hex(), topic_of(self.id))
        for end in ended:
            if isinstance(end, AgreementEnded) and at > self.chain.time(end.where.block) + CLOCKS_MAY_DIFFER:
                raise Mismatch("clicked after the agreement had ended")
        return f"clicked on {moment(at)}, made on {moment(created)}"

    def commission(self) -> str:
        logged = self.recorded.commissions[self.index : self.index + len(self.entries)]
        due = [self._pays(entry, entry.amount) for entry in self.entries]
        if list(logged) != due:
            raise Mismatch(f"the agreement pays {due}, {list(logged)} was logged (minor units)")
        shown = [self._minor(entry["commission"]) for entry in self.shown["entries"]]
        if shown != due:
            raise Mismatch(f"the agreement pays {due}, the receipt says {shown} (minor units)")
        return f"{sum(due)} minor units of {self.terms.currency}"

    def _pays(self, entry: Entry, amount: int) -> int:
        return commission(self.terms, entry.action, self.terms.groups[entry.group], amount)

    def amendments(self) -> str:
        """What later transactions made of the amounts, against what the receipt says now."""
        changes = self.chain.events(
            "0x" + topic("Amended").hex(), topic_of(self.merchant), topic_of(self.recorded.batch)
        )
        amounts = [entry.amount for entry in self.entries]
        self.verified_at = [self.recorded_at if entry.verified else None for entry in self.entries]
        made = 0
        for change in changes:
            place = change.sequence - self.shown["sequence"] if isinstance(change, Amended) else -1
            if not isinstance(change, Amended) or not 0 <= place < len(amounts):
                continue
            if change.new_commission != self._pays(self.entries[place], change.new_amount):
                raise Mismatch(f"an amendment logged a commission of {change.new_commission} minor units")
            amounts[place] = change.new_amount
            if change.verified and self.verified_at[place] is None:
                self.verified_at[place] = self.chain.time(change.where.block)
            made += 1
        pays = sum(self._pays(entry, amount) for entry, amount in zip(self.entries, amounts, strict=True))
        for name, now in (("amount", sum(amounts)), ("commission", pays)):
            if self._minor(self.shown[name]) != now:
                raise Mismatch(f"{name} is {now} minor units on the chain now, the receipt says {self.shown[name]}")
        if self.shown["verified"] != all(at is not None for at in self.verified_at):
            raise Mismatch(f"the receipt says verified: {self.shown['verified']}, the chain does not")
        return f"{made} amendments, {pays} minor units earned"

    def status(self) -> str:
        """The receipt may be older than the chain: its status must be one the conversion has had."""
        due, lock = deadlines(self.recorded_at, self.terms.validation_days, self.terms.lock_days)
        had = list(self._history(due, lock))
        for place in range(len(self.entries)):
            view = self.chain.views.status(self.merchant, self.recorded.batch, self.shown["sequence"] + place)
            if view.status != had[-1][1]:
                raise Mismatch(f"the contract says {view.status}, its logs and dates make it {had[-1][1]}")
        if self.shown["status"] not in [status for _, status in had]:
            raise Mismatch(f"the receipt says {self.shown['status']}, it was {' then '.join(s for _, s in had)}")
        at, now = had[-1]
        moved = "" if now == self.shown["status"] else f" (the receipt is older and says {self.shown['status']})"
        return f"{now} since {moment(at)}, final from {moment(lock)}{moved}"

    def _history(self, due: int, lock: int) -> Iterator[tuple[int, Status]]:
        """(since, status), oldest first, without repetitions, up to the chain's head."""
        steps: list[tuple[int, Status | None]] = [(self.recorded_at, "open")]
        for event in self.chain.events("0x" + topic("Decided").hex(), topic_of(self.merchant)):
            if isinstance(event, Decided):
                when = self.chain.time(event.where.block)
                steps.extend(
                    (when, run.status)
                    for batch, batch_runs in event.changes
                    for run in batch_runs
                    if batch == self.recorded.batch and run.start <= self.index < run.start + run.count and when < lock
                )
        verified_at = self.verified_at[0]
        steps += [(at, None) for at in (verified_at, due, lock) if at is not None]
        decision: Status = "open"
        before: Status | None = None
        # Blocks may share a second: the sort keeps the chain's order among them.
        for at, decided in sorted(steps, key=lambda step: step[0]):
            decision = decided or decision
            verified = verified_at is not None and verified_at <= at
            status = effective_status(decision, verified, self.terms.silence, due, lock, at)
            if at <= self.chain.now and status != before:
                before = status
                yield at, status


CHECKS: tuple[tuple[str, Callable[[Receipt], str]], ...] = (
    ("contract", Receipt.contract),
    ("commitment", Receipt.commitment),
    ("payload", Receipt.payload_agrees),
    ("block", Receipt.block),
    ("inclusion", Receipt.inclusion),
    ("agreement", Receipt.agreement),
    ("times", Receipt.times),
    ("commission", Receipt.commission),
    ("amendments", Receipt.amendments),
    ("status", Receipt.status),
)


def there_is_later(finalized: int, block: int) -> bool:
    """Whether the block lies behind what is final; networks that know no finality (-1) are taken at their word."""
    return 0 <= finalized < block


def parse_time(text: str) -> int:
    """Unix seconds of an RFC 3339 time."""
    return int(datetime.fromisoformat(text).timestamp())


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
