"""The delivery log: each message, its attempts, and when the next is due."""

from msgspec.structs import replace
from pynamodb.exceptions import PutError

from chalicelib.adapters import tables
from chalicelib.adapters.stores.days import slot_of
from chalicelib.adapters.stores.item import Stale, condition_failed, dump, read
from chalicelib.adapters.tables import Deliveries
from chalicelib.domain.decoding import decode
from chalicelib.domain.postback import Delivery

KEPT_SECONDS = 30 * 86_400


class DeliveryStore:
    def create(self, delivery: Delivery, due_at: int | None) -> bool:
        """False when this message exists already: the same event always has the same id."""
        told_for_the_first_time = Deliveries.delivery_id.does_not_exist()
        try:
            _item(delivery, due_at).save(condition=told_for_the_first_time)
        except PutError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def get(self, postback_id: str, delivery_id: str) -> Delivery | None:
        item = read(Deliveries, postback_id, delivery_id)
        return None if item is None else _delivery(item)

    def newest(self, postback_id: str, limit: int, before: str | None = None) -> list[Delivery]:
        """By the event's time, the newest first."""
        bound = None if before is None else Deliveries.delivery_id < before
        rows = Deliveries.query(postback_id, bound, scan_index_forward=False, limit=limit)
        return [_delivery(item) for item in rows]

    def due(self, now: int, limit: int) -> list[Delivery]:
        """The longest due first, read consistently."""
        keys: list[tuple[int, str, str]] = []
        for slot in range(tables.DAY_SLOTS):
            rows = Deliveries.due.query(str(slot), Deliveries.due_at <= now, limit=limit)
            keys += [(int(row.due_at), row.postback_id, row.delivery_id) for row in rows]
        wanted = [(postback, delivery) for _, postback, delivery in sorted(keys)[:limit]]
        items = Deliveries.batch_get(wanted, consistent_read=True) if wanted else []
        return [_delivery(item) for item in items if item.due_at is not None and int(item.due_at) <= now]

    def update(self, delivery: Delivery, due_at: int | None) -> Delivery:
        """Store a change of what was read at `delivery.version`. Raises Stale: another process sends it."""
        unchanged_since_read = Deliveries.version == delivery.version
        changed = replace(delivery, version=delivery.version + 1)
        try:
            _item(changed, due_at).save(condition=unchanged_since_read)
        except PutError as error:
            if condition_failed(error):
                raise Stale(delivery.delivery_id) from None
            raise
        return changed


def _delivery(item: Deliveries) -> Delivery:
    return decode(item.body, Delivery)


def _item(delivery: Delivery, due_at: int | None) -> Deliveries:
    return Deliveries(
        delivery.postback_id,
        delivery.delivery_id,
        due_slot=None if due_at is None else str(slot_of(delivery.delivery_id, tables.DAY_SLOTS)),
        due_at=due_at,
        expires_at=delivery.created_at // 1000 + KEPT_SECONDS,
        version=delivery.version,
        body=dump(delivery),
    )
