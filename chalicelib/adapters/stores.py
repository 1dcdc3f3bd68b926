"""Entities in and out of the tables. Every conditional write is named after what it guarantees."""

import heapq
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace
from pynamodb.connection import Connection
from pynamodb.exceptions import DeleteError, PutError, TransactWriteError, UpdateError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.adapters import tables
from chalicelib.adapters.tables import Clicks, Conversions, State, Transactions
from chalicelib.domain.click import Click
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.transaction import Transaction

T = TypeVar("T")

DAY_MS = 86_400_000


class Stale(Exception):
    """Somebody else changed the item since it was read; read it again and decide again."""


class Exists(Exception):
    """The item is there already."""


class LostLease(Exception):
    """Another process holds the lease; whatever this one was about to write is not written."""


def slot_of(key: str, slots: int) -> int:
    return zlib.crc32(key.encode()) % slots


def day_of(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def _day_slot(ms: int, key: str) -> str:
    return f"{day_of(ms)}#{slot_of(key, tables.DAY_SLOTS)}"


class ClickStore:
    def create(self, click: Click, keep_until: int) -> None:
        """`keep_until` in milliseconds: when the table may forget the click."""
        Clicks(
            click_id=click.click_id,
            publisher_id=click.publisher_id,
            sub_id=click.sub_id,
            day_slot=_day_slot(click.clicked_at, click.click_id),
            clicked_at=click.clicked_at,
            anchor_slot=str(slot_of(click.click_id, tables.OUTBOX_SLOTS)),
            expires_at=keep_until // 1000,
            body=_dump(click),
        ).save()

    def get(self, click_id: str) -> Click | None:
        item = _get(Clicks, click_id)
        return None if item is None else msgspec.json.decode(item.body, type=Click)

    def anchor_of(self, click_id: str) -> tuple[str, int, int] | None:
        """(signer, nonce, leaf index) of the anchor that holds the click, None before it is anchored."""
        item = _get(Clicks, click_id)
        return tuple(msgspec.json.decode(item.anchor)) if item is not None and item.anchor else None

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
        return [msgspec.json.decode(item.body, type=Click) for item in ordered if item.anchor_slot is not None]

    def claim(self, click_id: str, anchor: tuple[str, int, int]) -> None:
        """Names the click's anchor and takes it out of the index, once; a second claim changes nothing."""
        still_unanchored = Clicks.anchor_slot.exists()
        try:
            Clicks(click_id).update(
                actions=[
                    Clicks.anchor.set(msgspec.json.encode(anchor).decode()),
                    Clicks.anchor_slot.remove(),
                ],
                condition=still_unanchored,
            )
        except UpdateError as error:
            if not _condition_failed(error):
                raise

    def days(self, first: date, last: date, publisher_id: str | None = None) -> Iterator[tuple[str, str, str | None]]:
        """(day, publisherId, subId) of every click from `first` to `last`, both included."""
        for day in _days(first, last):
            for slot in range(tables.DAY_SLOTS):
                mine = None if publisher_id is None else (Clicks.publisher_id == publisher_id)
                for row in Clicks.by_day.query(f"{day}#{slot}", filter_condition=mine):
                    yield day, row.publisher_id, row.sub_id


class ConversionStore:
    def get(self, conversion_id: str) -> Conversion | None:
        item = _get(Conversions, conversion_id)
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
            if _condition_failed(error):
                raise Exists(conversion.conversion_id) from None
            raise

    def update(self, conversion: Conversion, wanted_since: int | None) -> Conversion:
        """Store a change of what was read at `conversion.version`; `wanted_since` puts it in the outbox or (None) takes it out. Raises Stale."""
        unchanged_since_read = Conversions.version == conversion.version
        changed = replace(conversion, version=conversion.version + 1)
        try:
            _conversion_item(changed, wanted_since).save(condition=unchanged_since_read)
        except PutError as error:
            if _condition_failed(error):
                raise Stale(conversion.conversion_id) from None
            raise
        return changed

    def outbox(self, limit: int) -> list[tuple[int, Conversion]]:
        """(since, conversion) of the oldest markers, at most `limit`, each checked against the item itself, for the index may lag."""
        keys: list[tuple[int, str]] = []
        for slot in range(tables.OUTBOX_SLOTS):
            rows = Conversions.outbox.query(str(slot), limit=limit)
            keys += [(int(row.outbox_since), row.conversion_id) for row in rows]
        oldest = sorted(keys)[:limit]
        found = {
            item.conversion_id: item for item in Conversions.batch_get([key for _, key in oldest], consistent_read=True)
        }
        items = [found[key] for _, key in oldest if key in found]
        return [(int(item.outbox_since), _conversion(item)) for item in items if item.outbox_slot is not None]

    def newest(
        self, first: date, last: date, after: tuple[int, str] | None = None
    ) -> Iterator[tuple[int, str, str | None]]:
        """(createdAt, conversionId, publisherId) from the newest to the oldest, from the end of `last` or behind `after`."""
        for day in reversed(list(_days(first, last))):
            if after is not None and day > day_of(after[0]):
                continue
            slots = [self._slot_rows(f"{day}#{slot}", after) for slot in range(tables.DAY_SLOTS)]
            yield from heapq.merge(*slots, reverse=True)

    def _slot_rows(self, day_slot: str, after: tuple[int, str] | None) -> Iterator[tuple[int, str, str | None]]:
        bound = None if after is None else Conversions.created_at <= after[0]
        for row in Conversions.by_day.query(day_slot, bound, scan_index_forward=False, page_size=200):
            key = (int(row.created_at), row.conversion_id)
            if after is None or key < after:
                yield (*key, row.publisher_id)


class TransactionStore:
    def get(self, signer: str, nonce: int) -> Transaction | None:
        item = _get(Transactions, signer, nonce)
        return None if item is None else _transaction(item)

    def many(self, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Transaction]:
        wanted = list(dict.fromkeys(keys))
        return (
            {(t.signer, t.nonce): t for t in map(_transaction, Transactions.batch_get(wanted, consistent_read=True))}
            if wanted
            else {}
        )

    def reserve(self, transaction: Transaction, holder: str) -> None:
        """Take the nonce and store what it will carry, in one write. Raises LostLease when another process may be signing."""
        lease_is_ours = State.lease_holder == holder
        nonce_is_next = State.next_nonce == transaction.nonce
        nonce_is_free = Transactions.signer.does_not_exist()
        try:
            with TransactWrite(connection=_connection()) as write:
                write.update(
                    State(signer_state(transaction.signer)),
                    actions=[State.next_nonce.set(transaction.nonce + 1)],
                    condition=lease_is_ours & nonce_is_next,
                )
                write.save(_transaction_item(transaction), condition=nonce_is_free)
        except TransactWriteError as error:
            if "ConditionalCheckFailed" in str(error) or "TransactionConflict" in str(error):
                raise LostLease(transaction.signer) from None
            raise

    def update(self, transaction: Transaction) -> Transaction:
        """Store a change of what was read at `transaction.version`. Raises Stale."""
        unchanged_since_read = Transactions.version == transaction.version
        changed = replace(transaction, version=transaction.version + 1)
        try:
            _transaction_item(changed).save(condition=unchanged_since_read)
        except PutError as error:
            if _condition_failed(error):
                raise Stale(f"{transaction.signer}/{transaction.nonce}") from None
            raise
        return changed

    def open(self, signer: str) -> list[Transaction]:
        """Every transaction of the signer that is not settled, by nonce, read consistently."""
        nonces = [int(row.nonce) for row in Transactions.open.query(signer)]
        found = self.many((signer, nonce) for nonce in nonces)
        return [found[key] for key in sorted(found) if found[key].open]


class StateStore:
    """Single named items."""

    def read(self, name: str, kind: type[T]) -> T | None:
        item = _get(State, name)
        return None if item is None or item.body is None else msgspec.json.decode(item.body, type=kind)

    def write(self, name: str, body: Any) -> None:
        State(name).update(actions=[State.body.set(_dump(body))])

    def write_once(self, name: str, body: Any) -> None:
        """Keep the first value anybody writes under this name."""
        nobody_wrote_before = State.name.does_not_exist()
        try:
            State(name, body=_dump(body)).save(condition=nobody_wrote_before)
        except PutError as error:
            if not _condition_failed(error):
                raise

    def next_nonce(self, signer: str) -> int | None:
        item = _get(State, signer_state(signer))
        return None if item is None or item.next_nonce is None else int(item.next_nonce)

    def start_nonce(self, signer: str, nonce: int) -> None:
        """Set the counter where it was never set: a fresh key starts at what the network says."""
        never_counted = State.next_nonce.does_not_exist()
        try:
            State(signer_state(signer)).update(actions=[State.next_nonce.set(nonce)], condition=never_counted)
        except UpdateError as error:
            if not _condition_failed(error):
                raise

    def lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or prolong a lease (milliseconds). False while another holder's lasts."""
        free_or_ours = State.lease_holder.does_not_exist() | (State.lease_holder == holder) | (State.lease_until < now)
        try:
            State(name).update(
                actions=[State.lease_holder.set(holder), State.lease_until.set(until)], condition=free_or_ours
            )
        except UpdateError as error:
            if _condition_failed(error):
                return False
            raise
        return True

    def release(self, name: str, holder: str) -> None:
        lease_is_ours = State.lease_holder == holder
        try:
            State(name).update(
                actions=[State.lease_holder.remove(), State.lease_until.remove()], condition=lease_is_ours
            )
        except UpdateError as error:
            if not _condition_failed(error):
                raise


def signer_state(signer: str) -> str:
    return f"signer#{signer}"


def _get(model: type[Model], hash_key: Any, range_key: Any = None) -> Any:
    try:
        return model.get(hash_key, range_key, consistent_read=True)
    except model.DoesNotExist:
        return None


def _condition_failed(error: PutError | UpdateError | DeleteError) -> bool:
    return error.cause_response_code == "ConditionalCheckFailedException"


def _connection() -> Connection:
    meta: Any = State.Meta
    return Connection(region=meta.region, host=meta.host)


def _dump(body: Any) -> str:
    return msgspec.json.encode(body).decode()


def _conversion(item: Conversions) -> Conversion:
    return msgspec.json.decode(item.body, type=Conversion)


def _conversion_item(conversion: Conversion, wanted_since: int | None) -> Conversions:
    key = conversion.conversion_id
    return Conversions(
        conversion_id=key,
        publisher_id=conversion.attribution.publisher_id,
        day_slot=_day_slot(conversion.created_at, key),
        created_at=conversion.created_at,
        outbox_slot=None if wanted_since is None else str(slot_of(key, tables.OUTBOX_SLOTS)),
        outbox_since=wanted_since,
        expires_at=conversion.created_at // 1000 + 7 * 86_400 if conversion.is_test else None,
        version=conversion.version,
        body=_dump(conversion),
    )


def _transaction(item: Transactions) -> Transaction:
    return msgspec.json.decode(item.body, type=Transaction)


def _transaction_item(transaction: Transaction) -> Transactions:
    return Transactions(
        signer=transaction.signer,
        nonce=transaction.nonce,
        open_signer=transaction.signer if transaction.open else None,
        version=transaction.version,
        body=_dump(transaction),
    )


def _days(first: date, last: date) -> Iterator[str]:
    for offset in range((last - first).days + 1):
        yield (first + timedelta(days=offset)).isoformat()
