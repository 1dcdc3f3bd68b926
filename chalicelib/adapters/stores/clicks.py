"""Clicks."""

from collections.abc import Iterable, Iterator
from datetime import date

import msgspec
from pynamodb.exceptions import UpdateError

from chalicelib.adapters import tables
from chalicelib.adapters.stores.days import ahead, day_slot, days, slot_of
from chalicelib.adapters.stores.item import condition_failed, dump, read
from chalicelib.adapters.tables import Clicks
from chalicelib.domain.click import Click
from chalicelib.domain.decoding import decode


class ClickStore:
    def create(self, click: Click, keep_until: int) -> None:
        """`keep_until` in milliseconds: when the table may forget the click."""
        Clicks(
            click_id=click.click_id,
            publisher_id=click.publisher_id,
            sub_id=click.sub_id,
            day_slot=day_slot(click.clicked_at, click.click_id),
            clicked_at=click.clicked_at,
            anchor_slot=str(slot_of(click.click_id, tables.OUTBOX_SLOTS)),
            expires_at=keep_until // 1000,
            body=dump(click),
        ).save()

    def get(self, click_id: str) -> Click | None:
        item = read(Clicks, click_id)
        return None if item is None else decode(item.body, Click)

    def anchor_of(self, click_id: str) -> tuple[str, int, int] | None:
        """(signer, nonce, leaf index) of the anchor that holds the click, None before it is anchored."""
        item = read(Clicks, click_id)
        return None if item is None else _anchor(item)

    def with_anchors(self, ids: Iterable[str]) -> dict[str, tuple[Click, tuple[str, int, int] | None]]:
        """By id, read consistently, each with what `anchor_of` says; ids that are not there are left out."""
        return {
            item.click_id: (decode(item.body, Click), _anchor(item))
            for item in Clicks.batch_get(list(ids), consistent_read=True)
        }

    def unanchored(self, before: int, limit: int) -> list[Click]:
        """The oldest clicks that no anchor holds yet, at most `limit`, read consistently: an index may lag behind a claim."""
        keys: list[tuple[int, str]] = []
        for slot in range(tables.OUTBOX_SLOTS):
            rows = Clicks.unanchored.query(str(slot), Clicks.clicked_at < before, limit=limit)
            keys += [(int(row.clicked_at), row.click_id) for row in rows]
        found = {
            item.click_id: item
            for item in Clicks.batch_get([key for _, key in sorted(keys)[:limit]], consistent_read=True)
        }
        ordered = [found[key] for _, key in sorted(keys)[:limit] if key in found]
        return [decode(item.body, Click) for item in ordered if item.anchor_slot is not None]

    def claim(self, click_id: str, anchor: tuple[str, int, int]) -> None:
        """Names the click's anchor and takes it out of the index, once; a second claim changes nothing, and neither does a late one for an
        anchor that gave the click back."""
        signer, nonce, _ = anchor
        still_unanchored = Clicks.anchor_slot.exists()
        not_given_back = (
            Clicks.given_back.does_not_exist()
            | ~Clicks.given_back.startswith(signer)
            | (Clicks.given_back < _dead(signer, nonce))
        )
        try:
            Clicks(click_id).update(
                actions=[
                    Clicks.anchor.set(msgspec.json.encode(anchor).decode()),
                    Clicks.anchor_slot.remove(),
                ],
                condition=still_unanchored & not_given_back,
            )
        except UpdateError as error:
            if not condition_failed(error):
                raise

    def give_back(self, click_id: str, signer: str, nonce: int) -> None:
        """The anchor of that transaction never came to be: the click waits for the next one, once, whoever else has claimed it since."""
        dead = _dead(signer, nonce)
        not_yet = Clicks.given_back.does_not_exist() | (Clicks.given_back != dead)
        try:
            Clicks(click_id).update(
                actions=[
                    Clicks.anchor.remove(),
                    Clicks.anchor_slot.set(str(slot_of(click_id, tables.OUTBOX_SLOTS))),
                    Clicks.given_back.set(dead),
                ],
                condition=Clicks.click_id.exists() & not_yet,
            )
        except UpdateError as error:
            if not condition_failed(error):
                raise

    def erase(self, click: Click) -> None:
        """Replaces the click by one without a sub id or salts; publisher and time stay, for the totals."""
        Clicks(click.click_id).update(
            actions=[Clicks.body.set(dump(click)), Clicks.sub_id.remove()], condition=Clicks.click_id.exists()
        )

    def on(self, first: date, last: date, publisher_id: str | None = None) -> Iterator[tuple[str, str, str | None]]:
        """(day, publisherId, subId) of every click from `first` to `last`, both included."""

        def rows(day_slot: str) -> list[tuple[str, str, str | None]]:
            mine = None if publisher_id is None else (Clicks.publisher_id == publisher_id)
            day = day_slot.partition("#")[0]
            found = Clicks.by_day.query(day_slot, filter_condition=mine)
            return [(day, row.publisher_id, row.sub_id) for row in found]

        for slots in ahead(list(days(first, last)), rows):
            for slot in slots:
                yield from slot


def _anchor(item: Clicks) -> tuple[str, int, int] | None:
    return tuple(msgspec.json.decode(item.anchor)) if item.anchor else None


def _dead(signer: str, nonce: int) -> str:
    """Compares as the nonces do."""
    return f"{signer}#{nonce:012d}"
