"""The checks of a receipt, in the order in which they rest on each other. The page chalicelib/web/verify/ makes the same ones.

What a receipt must hold: docs/network.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NoReturn

from chalicelib.adapters.contract import find_batch
from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import AgreementRegistered, Amended, Decided, Recorded, decode_logs
from chalicelib.domain.agreement import Terms, agreement_id
from chalicelib.domain.batch import Entry, unpack
from chalicelib.domain.commission import commission
from chalicelib.domain.commitment import commit
from chalicelib.domain.money import parse_amount
from chalicelib.domain.network_status import DAY, Status, deadlines
from ops.chain_reader import WHOLE_HISTORY, Chain, ChainUnreadable, topic_of
from ops.receipt_life import AsRecorded, State, states_of
from ops.versions import in_force_about, versions_of

CLOCKS_MAY_DIFFER = 900  # seconds between a box's clock and the chain's
CLICK_MAY_BE_LATE = 900  # seconds after the order's first report: docs/decisions/0037


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared. `name` is stable; `detail` says what was found. `older`: it was so once, and the chain has moved on."""

    name: str
    ok: bool
    detail: str
    older: bool = False


class Mismatch(Exception):
    """What does not match, in a sentence."""


class Receipt:
    """A receipt's checks. Each method is one of them: it returns what it found or raises Mismatch."""

    def __init__(self, receipt: dict[str, Any], chain: Chain) -> None:
        """`receipt` as receipt_shape.check_receipt lets it pass."""
        self.shown = receipt
        self.payload: dict[str, Any] = receipt["payload"]
        self.chain = chain
        self.merchant: str = receipt["merchant"].lower()
        self.id = bytes.fromhex(receipt["agreementId"][2:])
        self.is_older = False
        """Known once amendments and status are looked at."""

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
            if self.payload[name] != self.shown[name]:
                raise Mismatch(f"{name} is {self.payload[name]} in the payload and {self.shown[name]} beside it")
        if str(self.payload["merchant"]).lower() != self.merchant:
            raise Mismatch(f"the payload is of merchant {self.payload['merchant']}")
        return "the payload says what the receipt says"

    def block(self) -> str:
        mined = self.chain.receipt(self.shown["transaction"], self.shown["blockNumber"])
        if mined is None:
            raise Mismatch(
                f"the chain has no transaction {self.shown['transaction']} up to the node's newest block, {self.chain.head}"
            )
        for name, there in (("blockNumber", int(mined["blockNumber"], 16)), ("blockHash", mined["blockHash"])):
            if there != self.shown[name]:
                raise Mismatch(f"{name} is {there} on the chain, {self.shown[name]} in the receipt")
        is_final = not there_is_later(self.chain.finalized, self.shown["blockNumber"])
        if self.shown["final"] and not is_final:
            raise Mismatch("the receipt says final, the chain does not yet")
        self.recorded_at = self.chain.time(self.shown["blockNumber"])
        self.logs = mined["logs"]
        return f"block {self.shown['blockNumber']} of {moment(self.recorded_at)}{'' if is_final else ', not final yet'}"

    def inclusion(self) -> str:
        there = [log for log in self.logs if int(log["logIndex"], 16) == self.shown["logIndex"]]
        events = [e for e in decode_logs(there, self.chain.contract) if isinstance(e, Recorded)]
        ours = [e for e in events if e.merchant == self.merchant]
        if not ours:
            raise Mismatch(f"the transaction has no log {self.shown['logIndex']} that records for this merchant")
        self.recorded = ours[0]
        transaction = self.chain.transaction(self.shown["transaction"])
        sent = find_batch(bytes.fromhex(transaction["input"][2:]), self.recorded.batch)
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
            if self.chain.views.agreement(self.merchant, self.id).registered:
                raise ChainUnreadable(f"the contract knows this agreement, the node has no log of it: {WHOLE_HISTORY}")
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
            if str(self.shown[name]).lower() != str(signed).lower():
                raise Mismatch(f"{name} is {signed} in the agreement, {self.shown[name]} in the receipt")
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
            self._check_version(created, "made", is_click=False)
            return f"made on {moment(created)}, no click"
        at = parse_time(clicked)
        if at > created + CLICK_MAY_BE_LATE:
            raise Mismatch(f"clicked on {moment(at)}, after the conversion of {moment(created)}")
        if created > at + self.terms.window_days * DAY:
            raise Mismatch(f"clicked on {moment(at)}, more than {self.terms.window_days} days before the conversion")
        self._check_version(at, "clicked", is_click=True)
        return f"clicked on {moment(at)}, made on {moment(created)}"

    def _check_version(self, at: int, what: str, *, is_click: bool) -> None:
        """The terms are those that were in force at the click; without one (a voucher), at the conversion."""
        versions = versions_of(self.chain, self.terms.merchant, self.terms.publisher)
        about = in_force_about(versions, at, CLOCKS_MAY_DIFFER)
        may_be = {version.agreement for version in about if version}
        if self.shown["agreementId"] in may_be or not (may_be or is_click):
            return
        named = f"what it was paid under is version {self.terms.version}"
        if not may_be:
            raise Mismatch(f"{what} on {moment(at)}, when no agreement was in force; {named}")
        newest = max(version.number for version in about if version)
        raise Mismatch(f"{what} on {moment(at)}, when version {newest} was in force; {named}")

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
        """What later transactions made of the amounts. The receipt may be older than the chain: it shows what the conversion once was."""
        amended = self._amended()
        self._compare_with_state(amended)
        due, lock = deadlines(self.recorded_at, self.terms.validation_days, self.terms.lock_days)
        self.as_recorded = AsRecorded(
            self.entries, self.recorded.batch, self.index, self.shown["sequence"], self.recorded_at, due, lock
        )
        decided = self.chain.events("0x" + topic("Decided").hex(), topic_of(self.merchant))
        self.changes: list[Amended | Decided] = [*amended, *(event for event in decided if isinstance(event, Decided))]
        self.lock = lock
        self.states = self._states(self.as_recorded, self.changes)
        now = self._had()[-1]
        if not any(self._shows(state) for state in self.states):
            self._name_figure(now)
        said = f"{len(amended)} amendments, commission {now.commission} minor units"
        self.is_older = not self._shows(now)
        return f"{said} (the receipt is older and says {self.shown['commission']})" if self.is_older else said

    def _amended(self) -> list[Amended]:
        topics = "0x" + topic("Amended").hex(), topic_of(self.merchant), topic_of(self.recorded.batch)
        amended = []
        for change in self.chain.events(*topics):
            place = change.sequence - self.shown["sequence"] if isinstance(change, Amended) else -1
            if not isinstance(change, Amended) or not 0 <= place < len(self.entries):
                continue
            if change.new_commission != self._pays(self.entries[place], change.new_amount):
                raise Mismatch(f"an amendment logged a commission of {change.new_commission} minor units")
            amended.append(change)
        return amended

    def _compare_with_state(self, amended: list[Amended]) -> None:
        """The published contract keeps what its logs say: where the two differ, the node left some out, and nobody cheated."""
        for place, entry in enumerate(self.entries):
            made = [change for change in amended if change.sequence == self.shown["sequence"] + place]
            logged = made[-1].new_amount if made else None
            kept, _ = self.chain.views.amendment(self.merchant, self.recorded.batch, self.index + place)
            if kept != logged:
                amount = entry.amount if kept is None else kept
                raise ChainUnreadable(
                    f"the contract keeps {amount} minor units, the node shows no log that says so: {WHOLE_HISTORY}"
                )

    def _states(self, recorded: AsRecorded, changes: Sequence[Amended | Decided]) -> list[State]:
        return list(states_of(recorded, self.terms, self._pays, changes, self.chain.time))

    def _had(self, states: list[State] | None = None) -> list[State]:
        """The states up to the chain's head."""
        return [state for state in states or self.states if state.since <= self.chain.now]

    def _status_of(self, place: int) -> Status:
        """What logs and dates make of one of its entries now. Raises ChainUnreadable where the contract says otherwise."""
        sequence = self.shown["sequence"] + place
        entry = replace(
            self.as_recorded, entries=self.entries[place : place + 1], index=self.index + place, sequence=sequence
        )
        of_it = [change for change in self.changes if isinstance(change, Decided) or change.sequence == sequence]
        status = self._had(self._states(entry, of_it))[-1].status
        kept = self.chain.views.status(self.merchant, self.recorded.batch, sequence).status
        if kept != status:
            raise ChainUnreadable(
                f"the contract says {kept}, the logs that the node shows make it {status}: {WHOLE_HISTORY}"
            )
        return status

    def _shows(self, state: State) -> bool:
        shown = self._minor(self.shown["amount"]), self._minor(self.shown["commission"]), self.shown["verified"]
        return shown == (state.amount, state.commission, state.verified)

    def _name_figure(self, now: State) -> NoReturn:
        for name, value in (("amount", now.amount), ("commission", now.commission)):
            if self._minor(self.shown[name]) != value:
                raise Mismatch(f"{name} is {value} minor units on the chain now, the receipt says {self.shown[name]}")
        raise Mismatch(f"the receipt says verified: {self.shown['verified']}, the chain does not")

    def status(self) -> str:
        """One that the conversion has had, with the figures it had then."""
        had = self._had()
        now = had[-1].status
        for place in range(len(self.entries)):
            status = self._status_of(place)
            if status != now:
                first = self.shown["sequence"]
                raise Mismatch(
                    f"decided apart: sequence {first} is {now}, sequence {first + place} of the same order {status}"
                )
        # At due and lock the box's clock may be ahead of the newest block.
        known = [state for state in self.states if state.since <= self.chain.now + CLOCKS_MAY_DIFFER]
        if not any(state.status == self.shown["status"] and self._shows(state) for state in known):
            was = [status for status, _ in groupby(state.status for state in had)]
            with_these = " with these figures" if self.shown["status"] in was else ""
            raise Mismatch(f"the receipt says {self.shown['status']}{with_these}, it was {' then '.join(was)}")
        since = next(list(run)[-1].since for _, run in groupby(reversed(had), lambda s: s.status))
        moved = "" if now == self.shown["status"] else f" (the receipt says {self.shown['status']})"
        # At a date the box's clock may also be ahead: that is no status it has had.
        self.is_older |= now != self.shown["status"] and self.shown["status"] in {state.status for state in had}
        nothing = ", earns nothing" if now == "rejected" else ""
        return f"{now} since {moment(since)}{nothing}, final from {moment(self.lock)}{moved}"


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
