"""Conversions, and the outbox that lives inside them."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from msgspec.structs import replace
from pynamodb.exceptions import PutError

from chalicelib.adapters import tables
from chalicelib.adapters.stores.days import ahead, day_of, day_slot, days, slot_of
from chalicelib.adapters.stores.item import Exists, Stale, condition_failed, dump, read
from chalicelib.adapters.tables import Conversions
from chalicelib.domain.conversion import TEST_DAYS, Conversion
from chalicelib.domain.decoding import decode

CHANGE = "c"
"""Begins the outbox slots of conversions that the network holds already,"""
CHANGE_SLOTS = 4
"""of which there are fewer: decisions come from a merchant's desk, not from its shoppers."""


class ConversionStore:
    def get(self, conversion_id: str) -> Conversion | None:
        item = read(Conversions, conversion_id)
        return None if item is None else _conversion(item)

    def many(self, ids: Iterable[str]) -> dict[str, Conversion]:
        """By id, read consistently; ids that are not there are left out."""
        return {
            item.conversion_id: _conversion(item)
            for item in Conversions.batch_get(list(dict.fromkeys(ids)), consistent_read=True)
        }

    def create(self, conversion: Conversion, wanted: bool) -> None:
        """Store the first report of an order with its outbox marker (if `wanted` on the network) in one write. Raises Exists."""
        order_is_new = Conversions.conversion_id.does_not_exist()
        try:
            _conversion_item(conversion, conversion.created_at if wanted else None).save(condition=order_is_new)
        except PutError as error:
            if condition_failed(error):
                raise Exists(conversion.conversion_id) from None
            raise

    def update(self, conversion: Conversion, wanted_since: int | None) -> Conversion:
        """Store a change of what was read at `conversion.version`. Raises Stale.

        `wanted_since` puts it in the outbox, None takes it out.
        """
        unchanged_since_read = Conversions.version == conversion.version
        changed = replace(conversion, version=conversion.version + 1)
        try:
            _conversion_item(changed, wanted_since).save(condition=unchanged_since_read)
        except PutError as error:
            if condition_failed(error):
                raise Stale(conversion.conversion_id) from None
            raise
        return changed

    def outbox(self, limit: int, share: Callable[[int], Sequence[int]] = range) -> list[tuple[int, Conversion]]:
        """(since, conversion) of the oldest markers, about `limit` of new conversions and as many of changes, each checked against the item
        itself, for the index may lag. `share` says which of so many slots to look at.

        The two wait in slots of their own: a change may have to wait for finality, and must not keep new conversions from being seen.
        """
        keys: list[tuple[int, str]] = []
        looked_at: set[str] = set()
        for kind, slots in (("", tables.OUTBOX_SLOTS), (CHANGE, CHANGE_SLOTS)):
            mine = [f"{kind}{slot}" for slot in share(slots)]
            each = max(25, limit * 4 // max(1, len(mine)))
            keys += sorted(key for slot in mine for key in _marked(slot, each))[:limit]
            looked_at.update(mine)
        # A marker that moves while it is read may be met in both places: once it counts, and only where the item itself says it is. The
        # other place may be another key's, and both would record it.
        once = list(dict.fromkeys(key for _, key in sorted(keys)))
        found = {item.conversion_id: item for item in Conversions.batch_get(once, consistent_read=True)}
        items = [found[key] for key in once if key in found]
        return [(int(item.outbox_since), _conversion(item)) for item in items if item.outbox_slot in looked_at]

    def newest(
        self, first: date, last: date, after: tuple[int, str] | None = None
    ) -> Iterator[tuple[int, str, str | None]]:
        """(createdAt, conversionId, publisherId) from the newest to the oldest, from the end of `last` or behind `after`."""
        wanted = [day for day in reversed(list(days(first, last))) if after is None or day <= day_of(after[0])]
        for slots in ahead(wanted, lambda day_slot: self._slot_rows(day_slot, after)):
            yield from heapq.merge(*slots, reverse=True)

    def _slot_rows(self, day_slot: str, after: tuple[int, str] | None) -> list[tuple[int, str, str | None]]:
        bound = None if after is None else Conversions.created_at <= after[0]
        rows = Conversions.by_day.query(day_slot, bound, scan_index_forward=False, page_size=1000)
        keys = ((int(row.created_at), row.conversion_id, row.publisher_id) for row in rows)
        return [key for key in keys if after is None or key[:2] < after]


def _marked(slot: str, limit: int) -> Iterator[tuple[int, str]]:
    for row in Conversions.outbox.query(slot, limit=limit):
        yield int(row.outbox_since), row.conversion_id


def _conversion(item: Conversions) -> Conversion:
    return decode(item.body, Conversion)


def outbox_slot(conversion: Conversion) -> str:
    """Where it waits when it does."""
    slots, kind = (CHANGE_SLOTS, CHANGE) if conversion.entries else (tables.OUTBOX_SLOTS, "")
    return f"{kind}{slot_of(conversion.conversion_id, slots)}"


def _conversion_item(conversion: Conversion, wanted_since: int | None) -> Conversions:
    key = conversion.conversion_id
    return Conversions(
        conversion_id=key,
        publisher_id=conversion.attribution.publisher_id,
        day_slot=day_slot(conversion.created_at, key),
        created_at=conversion.created_at,
        outbox_slot=None if wanted_since is None else outbox_slot(conversion),
        outbox_since=wanted_since,
        expires_at=conversion.created_at // 1000 + TEST_DAYS * 86_400 if conversion.is_test else None,
        version=conversion.version,
        body=dump(conversion),
    )
