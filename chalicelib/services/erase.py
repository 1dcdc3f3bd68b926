"""Erasure on request. Final, and therefore only once the network will ask nothing more: what is in flight still needs its salt."""

from dataclasses import dataclass

from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import ACTIONS
from chalicelib.domain.conversion import Conversion, id_of_order
from chalicelib.domain.erasure import click_without_person, without_person
from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.outbox import last_transaction, next_operation

MAX_RACES = 50


@dataclass(frozen=True)
class Erased:
    conversions: list[str]
    clicks: int


def erase_order(box: Box, order_id: str) -> Erased:
    """The order as a sale and as a lead, and its tests. Raises NotFound, or Conflict while any of it is in flight."""
    ids = [id_of_order(box.id_secret, a, order_id, is_test=t) for a in ACTIONS for t in (False, True)]
    held = list(box.conversions.many(ids).values())
    return _erase(box, held)


def erase_conversion(box: Box, conversion_id: str) -> Erased:
    """Raises NotFound, or Conflict while it is in flight. Erasing again changes nothing."""
    held = box.conversions.get(conversion_id)
    return _erase(box, [] if held is None else [held])


def _erase(box: Box, conversions: list[Conversion]) -> Erased:
    if not conversions:
        raise NotFound("conversion_unknown", "The box holds no conversion of that id.")
    for held in conversions:
        _check_settled(box, held)
    clicks = {held.attribution.click_id for held in conversions if held.attribution.click_id}
    erased = [_erase_one(box, held.conversion_id) for held in conversions]
    return Erased(erased, sum(_erase_click(box, click_id) for click_id in clicks))


def _check_settled(box: Box, held: Conversion) -> None:
    in_flight = next_operation(held, hold_unverified=box.config.tracking.hold_unverified) is not None
    if held.entries:
        keys = {(e.signer, e.nonce) for e in held.entries} | {last_transaction(e) for e in held.entries}
        in_flight |= any(found.state != "confirmed" for found in box.transactions.many(keys).values())
    if in_flight:
        raise Conflict(
            "in_flight", "This conversion is on its way to the network; ask again when its receipt is final."
        )


def _erase_one(box: Box, conversion_id: str) -> str:
    for _ in range(MAX_RACES):
        held = box.conversions.get(conversion_id)
        if held is None or held.erased_at is not None:
            return conversion_id
        _check_settled(box, held)
        try:
            box.conversions.update(without_person(held, box.now()), None)
            return conversion_id
        except Stale:
            continue
    raise Unavailable("try_again", "Too many writers at this conversion at once; send it again.")


def _erase_click(box: Box, click_id: str) -> bool:
    """A click whose anchor is not final keeps its salt until it is; the table forgets it in its time all the same."""
    click = box.clicks.get(click_id)
    where = box.clicks.anchor_of(click_id) if click else None
    anchor = box.transactions.get(where[0], where[1]) if where else None
    if click is None or not click.salt or anchor is None or anchor.state != "confirmed":
        return False
    box.clicks.erase(click_without_person(click))
    return True
