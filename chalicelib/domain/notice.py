"""What there is to tell a publisher of a conversion: the difference between what was told and what the network holds now.

Level-triggered, like the outbox: looking twice tells nothing twice, and a moment that was missed is told at the next look.
"""

from dataclasses import dataclass

from msgspec import Struct

from chalicelib.domain.conversion import Decision
from chalicelib.domain.network_status import Status
from chalicelib.domain.postback import Event


class Told(Struct, rename="camel", frozen=True):
    """Of one entry. Amount in minor units."""

    decided: Decision
    amount: int
    locked: bool = False


class Notice(Struct, rename="camel", frozen=True):
    """By entry number."""

    told: dict[str, Told] = {}


@dataclass(frozen=True)
class Seen:
    """An entry as mined transactions show it; times in milliseconds, hashes as the network has them.

    `decision` is the last explicit one. `changed_at` and `changed_in` are of the newest decision or amendment, equal to the
    recording's while there is none.
    """

    status: Status
    decision: Decision
    amount: int
    locked: bool
    recorded_at: int
    recorded_in: str
    changed_at: int
    changed_in: str
    due_at: int
    lock_at: int


@dataclass(frozen=True)
class News:
    event: Event
    at: int
    status: Status
    changed_in: str | None
    """The transaction that carried the change; None where time alone did."""


def news(told: Told | None, seen: Seen) -> list[News]:
    """What to tell, in order."""
    found: list[News] = []
    if told is None:
        found.append(News("recorded", seen.recorded_at, "open", seen.recorded_in))
        told = Told("open", seen.amount)
    decided = _decided(seen)
    if seen.amount != told.amount:
        found.append(News("amended", seen.changed_at, decided, seen.changed_in))
    if decided != told.decided:
        event: Event = "amended" if decided == "open" else decided
        if decided != seen.decision:
            found.append(News(event, max(seen.due_at, seen.changed_at), decided, None))
        else:
            found.append(News(event, seen.changed_at, decided, seen.changed_in))
    if seen.locked and not told.locked:
        found.append(News("locked", seen.lock_at, seen.status, None))
    return found


def _decided(seen: Seen) -> Decision:
    """What stands before the lock: the decision, or after the due date what silence means."""
    if seen.decision == "open" and seen.status in ("approved", "sale"):
        return "approved"
    return seen.decision


def now_told(seen: Seen) -> Told:
    return Told(_decided(seen), seen.amount, seen.locked)
