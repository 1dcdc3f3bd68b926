"""Erasure on request. Final, and therefore only once the network will ask nothing more: what is in flight still needs its salt."""

from dataclasses import dataclass

from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import ACTIONS
from chalicelib.domain.click import Click
from chalicelib.domain.conversion import Conversion, id_of_order
from chalicelib.domain.erasure import click_without_person, without_person
from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.outbox import last_transaction, next_operation

MAX_RACES = 50
TO_FORGET = "clicks-to-forget"
"""Ids of clicks whose order is erased and whose own turn comes once their anchor is final."""


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
    # Noted first: once the conversion has forgotten its click, nothing else leads to it.
    later = [click_id for click_id in clicks if _is_to_be_forgotten(box, click_id)]
    _note(box, later)
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


def forget_clicks(box: Box) -> None:
    """Those that had to keep their salts when their order was erased, as far as their anchors are final by now."""
    noted = box.state.read(TO_FORGET, list[str])
    if not noted:
        return
    found = box.clicks.with_anchors(noted)
    left = [
        click_id for click_id, (click, where) in found.items() if click.salt and not _erase_if_final(box, click, where)
    ]
    box.state.swap(TO_FORGET, noted, left)  # where another was noted meanwhile, the next time


def _is_to_be_forgotten(box: Box, click_id: str) -> bool:
    click = box.clicks.get(click_id)
    return click is not None and bool(click.salt)


def _note(box: Box, click_ids: list[str]) -> None:
    for _ in range(MAX_RACES):
        noted = box.state.read(TO_FORGET, list[str])
        new = [click_id for click_id in click_ids if click_id not in (noted or [])]
        if not new or box.state.swap(TO_FORGET, noted, [*(noted or []), *new]):
            return
    raise Unavailable("try_again", "Too many erasures at once; send it again.")


def _erase_click(box: Box, click_id: str) -> bool:
    click = box.clicks.get(click_id)
    return click is not None and _erase_if_final(box, click, box.clicks.anchor_of(click_id))


def _erase_if_final(box: Box, click: Click, where: tuple[str, int, int] | None) -> bool:
    """A click whose anchor is not final keeps its salt until it is."""
    if not click.salt or not _is_final(box, where):
        return False
    box.clicks.erase(click_without_person(click))
    return True


def _is_final(box: Box, where: tuple[str, int, int] | None) -> bool:
    anchor = box.transactions.get(where[0], where[1]) if where else None
    return anchor is not None and anchor.state == "confirmed"
