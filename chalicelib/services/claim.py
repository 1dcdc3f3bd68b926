"""Claims: an item names the transaction that carries it, and leaves the outbox by the same update. And the way back."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

from msgspec.structs import replace

from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion, happened
from chalicelib.domain.outbox import next_operation
from chalicelib.domain.transaction import Cargo, Member, Transaction
from chalicelib.services.crashpoint import reached

T = TypeVar("T")
MAX_RACES = 50
WRITERS = 8
"""Items are independent of each other, and each write waits for the table alone."""


def finish(
    box: Box, transaction: Transaction, cargo: Cargo | None = None, known: Mapping[str, Conversion] | None = None
) -> Transaction:
    """Make every member's item name the transaction. Safe to repeat; done once and for all when `claimed` is stored.

    `known` are conversions as just read: one that nobody has changed since is written without reading it again.
    """
    if transaction.claimed:
        return transaction
    cargo = cargo or box.transactions.cargo(transaction.signer, transaction.nonce)
    key = (transaction.signer, transaction.nonce)

    def claim(owned: tuple[str, list[Member]]) -> None:
        conversion_id, members = owned
        change(box, conversion_id, partial(_claimed, key, members), (known or {}).get(conversion_id))
        reached("amid-claims")

    def claim_click(numbered: tuple[int, str]) -> None:
        leaf, click_id = numbered
        box.clicks.claim(click_id, (*key, leaf))

    _each(claim, _by_conversion(cargo.members))
    _each(claim_click, list(enumerate(cargo.anchored)))
    return box.transactions.update(replace(transaction, claimed=True))


def stands(box: Box, transaction: Transaction, cargo: Cargo) -> bool | None:
    """Whether one of the members, the last that is there, says what finishing the claims made it say; None where none is there."""
    key = (transaction.signer, transaction.nonce)
    owned = dict(_by_conversion(cargo.members))
    last = next(reversed(owned))
    held = box.conversions.get(last) or next(iter(box.conversions.many(owned).values()), None)
    return None if held is None else _claimed(key, owned[held.conversion_id], held) is held


def give_back(box: Box, transaction: Transaction, why: str) -> None:
    """The transaction will never do its work: each member is as it was before, and in the outbox again."""
    cargo = box.transactions.cargo(transaction.signer, transaction.nonce)
    key = (transaction.signer, transaction.nonce)

    def give(owned: tuple[str, list[Member]]) -> None:
        conversion_id, members = owned
        change(box, conversion_id, partial(_given_back, box, key, members, why), at_once=True)
        reached("amid-give-back")

    _each(give, _by_conversion(cargo.members))
    _each(lambda click_id: box.clicks.give_back(click_id, *key), list(cargo.anchored))


def change(
    box: Box,
    conversion_id: str,
    changed_of: Callable[[Conversion], Conversion],
    known: Conversion | None = None,
    *,
    at_once: bool = False,
) -> None:
    """Store what becomes of the conversion as it is held now, and its marker with it; it may stay as it is.

    `at_once`: it has waited for its batch before and goes with the next one."""
    for _ in range(MAX_RACES):
        held = known or box.conversions.get(conversion_id)
        known = None
        if held is None:
            return
        changed = changed_of(held)
        if changed is held:
            return
        wanted = next_operation(changed, hold_unverified=box.config.tracking.hold_unverified) is not None
        try:
            since = held.created_at if at_once else box.now()
            box.conversions.update(changed, since if wanted else None)
            return
        except Stale:
            continue
    raise Stale(conversion_id)


def _claimed(key: tuple[str, int], members: list[Member], held: Conversion) -> Conversion:
    """What a transaction records is not set aside, whatever was said of it after the batch was cut."""
    signer, nonce = key
    if held.given_back.get(signer, -1) >= nonce:
        return held
    entries = list(held.entries)
    for member in members:
        if member.number == len(entries):
            entries.append(member.entry)
        elif member.number < len(entries) and entries[member.number] == member.before:
            entries[member.number] = member.entry
    if tuple(entries) == held.entries:
        return held
    claimed = replace(held, entries=tuple(entries), refused=None)
    return replace(claimed, set_aside=None) if len(entries) > len(held.entries) else claimed


def _given_back(box: Box, key: tuple[str, int], members: list[Member], why: str, held: Conversion) -> Conversion:
    """Nothing stands on top of what is taken away: a change is only sent once what it changes is final."""
    signer, nonce = key
    if held.given_back.get(signer, -1) >= nonce:
        return held
    entries = list(held.entries)
    for member in reversed(members):
        if member.number >= len(entries) or entries[member.number] != member.entry:
            continue
        if member.before is None:
            del entries[member.number]
        else:
            entries[member.number] = member.before
    returned = replace(held, entries=tuple(entries), given_back={**held.given_back, signer: nonce})
    return happened(returned, box.now(), "re-queued", "network", why)


def _by_conversion(members: Iterable[Member]) -> list[tuple[str, list[Member]]]:
    grouped: dict[str, list[Member]] = {}
    for member in members:
        grouped.setdefault(member.conversion_id, []).append(member)
    return list(grouped.items())


def _each(write: Callable[[T], None], items: list[T]) -> None:
    """Every item, some at a time. What a failure leaves undone, the next turn does."""
    if len(items) < WRITERS:
        for item in items:
            write(item)
        return
    for done in [_writers().submit(write, item) for item in items]:
        done.result()


@cache
def _writers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WRITERS, thread_name_prefix="claim")
