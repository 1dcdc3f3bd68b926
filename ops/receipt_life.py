"""What a conversion has been since it was recorded: a state after each transaction that changed it and at each of its dates."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from chalicelib.adapters.contract_events import Amended, Decided
from chalicelib.domain.batch import Entry
from chalicelib.domain.network_status import Status, effective_status
from chalicelib.domain.terms import Terms

Pays = Callable[[Entry, int], int]


@dataclass(frozen=True, slots=True)
class State:
    """From `since` (Unix seconds) on; `amount` and `commission` of all its entries together, in minor units."""

    since: int
    status: Status
    amount: int
    commission: int
    verified: bool


@dataclass
class AsRecorded:
    """A conversion as it was recorded: its entries, the first one's place in the batch and its sequence, and the dates."""

    entries: Sequence[Entry]
    batch: bytes
    index: int
    sequence: int
    recorded_at: int
    due: int
    lock: int


def states_of(
    recorded: AsRecorded, terms: Terms, pays: Pays, changes: Sequence[Amended | Decided], time: Callable[[int], int]
) -> Iterator[State]:
    """Its states, oldest first, the last one from the lock. `changes`: its amendments, and the merchant's decisions, in any order;
    `time` gives a block's."""
    amounts = [entry.amount for entry in recorded.entries]
    verified = [entry.verified for entry in recorded.entries]
    decision: Status = "open"

    def state(at: int) -> State:
        status = effective_status(decision, verified[0], terms.silence, recorded.due, recorded.lock, at)
        paid = sum(pays(entry, amount) for entry, amount in zip(recorded.entries, amounts, strict=True))
        return State(at, status, sum(amounts), paid, all(verified))

    ours = [change for change in changes if isinstance(change, Amended) or _decided(change, recorded)]
    in_order = sorted(ours, key=lambda each: (each.where.block, each.where.log_index))
    transactions = [
        (time(block), list(made))
        for (block, _), made in groupby(in_order, lambda e: (e.where.block, e.where.transaction))
    ]
    # Blocks may share a second: the sort keeps the chain's order among them.
    steps = sorted([*transactions, (recorded.due, []), (recorded.lock, [])], key=lambda step: step[0])
    yield state(recorded.recorded_at)
    for at, made in steps:
        for change in made:
            if isinstance(change, Amended):
                place = change.sequence - recorded.sequence
                amounts[place] = change.new_amount
                verified[place] = verified[place] or change.verified
            elif at < recorded.lock:
                decision = _decided(change, recorded) or decision
        yield state(at)


def _decided(change: Decided, recorded: AsRecorded) -> Status | None:
    """The last decision in it on the conversion's first entry."""
    found = [
        run.status
        for batch, runs in change.changes
        for run in runs
        if batch == recorded.batch and run.start <= recorded.index < run.start + run.count
    ]
    return found[-1] if found else None
