"""Claims: an item names the transaction that carries it, and leaves the outbox by the same update. And the way back."""

from collections.abc import Callable, Iterable
from functools import partial

from msgspec.structs import replace

from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion, happened
from chalicelib.domain.outbox import Operation, next_operation
from chalicelib.domain.transaction import Member, Transaction

MAX_RACES = 50


def finish(box: Box, transaction: Transaction) -> Transaction:
    """Make every member's item name the transaction. Safe to repeat; done once and for all when `claimed` is stored."""
    if transaction.claimed:
        return transaction
    for conversion_id, members in _by_conversion(transaction.members):
        _change(box, conversion_id, partial(_claimed, members))
    for leaf, click_id in enumerate(transaction.anchored):
        box.clicks.claim(click_id, (transaction.signer, transaction.nonce, leaf))
    return box.transactions.update(replace(transaction, claimed=True))


def give_back(box: Box, transaction: Transaction, why: str) -> None:
    """The transaction will never do its work: each member is as it was before, and in the outbox again."""
    for conversion_id, members in _by_conversion(transaction.members):
        _change(box, conversion_id, partial(_given_back, box, members, why))
    for click_id in transaction.anchored:
        box.clicks.give_back(click_id)


def refuse(box: Box, operation: Operation, conversion: Conversion, reason: str) -> None:
    """The contract refuses this one: a conversion is set aside, a change of one is taken back - with the reason in its history."""

    def refused(held: Conversion) -> Conversion:
        if held.version != conversion.version:
            return held
        now = box.now()
        if operation in ("record", "supersede") or not held.entries:
            return happened(replace(held, set_aside=reason), now, "set aside", "network", reason)
        entry = held.entries[-1]
        as_recorded = replace(
            held,
            lines=entry.lines,
            amount=sum(line.amount for line in entry.lines),
            verified=entry.verified,
            decision=entry.decision,
            reason=entry.reason,
        )
        return happened(as_recorded, now, "change refused", "network", reason)

    _change(box, conversion.conversion_id, refused)


def _change(box: Box, conversion_id: str, change: Callable[[Conversion], Conversion]) -> None:
    for _ in range(MAX_RACES):
        held = box.conversions.get(conversion_id)
        if held is None:
            return
        changed = change(held)
        if changed is held:
            return
        wanted = next_operation(changed, hold_unverified=box.config.tracking.hold_unverified) is not None
        try:
            box.conversions.update(changed, box.now() if wanted else None)
            return
        except Stale:
            continue
    raise Stale(conversion_id)


def _claimed(members: list[Member], held: Conversion) -> Conversion:
    entries = list(held.entries)
    for member in members:
        if member.number == len(entries):
            entries.append(member.entry)
        elif member.before is not None and entries[member.number] == member.before:
            entries[member.number] = member.entry
    return held if tuple(entries) == held.entries else replace(held, entries=tuple(entries))


def _given_back(box: Box, members: list[Member], why: str, held: Conversion) -> Conversion:
    entries = list(held.entries)
    for member in reversed(members):
        if member.number >= len(entries) or entries[member.number] != member.entry:
            continue
        if member.before is None:
            del entries[member.number]
        else:
            entries[member.number] = member.before
    if tuple(entries) == held.entries:
        return held
    return happened(replace(held, entries=tuple(entries)), box.now(), "re-queued", "network", why)


def _by_conversion(members: Iterable[Member]) -> list[tuple[str, list[Member]]]:
    grouped: dict[str, list[Member]] = {}
    for member in members:
        grouped.setdefault(member.conversion_id, []).append(member)
    return list(grouped.items())
