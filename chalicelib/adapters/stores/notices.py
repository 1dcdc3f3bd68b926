"""What publishers were told of each conversion, and when to look at it next."""

from dataclasses import dataclass

from pynamodb.exceptions import UpdateError

from chalicelib.adapters import tables
from chalicelib.adapters.stores.days import slot_of
from chalicelib.adapters.stores.item import Stale, condition_failed, dump, read
from chalicelib.adapters.tables import Notices
from chalicelib.domain.decoding import decode
from chalicelib.domain.notice import Notice


@dataclass(frozen=True)
class Kept:
    notice: Notice
    version: int


class NoticeStore:
    def look(self, conversion_id: str, now: int) -> None:
        """Something changed: look at the conversion at once. A look under way is not lost by it, for it raises the version."""
        Notices(conversion_id).update(
            actions=[
                Notices.due_slot.set(str(slot_of(conversion_id, tables.DAY_SLOTS))),
                Notices.due_at.set(now),
                Notices.version.add(1),
            ]
        )

    def due(self, now: int, limit: int) -> list[str]:
        """Conversion ids, the longest due first."""
        found: list[tuple[int, str]] = []
        for slot in range(tables.DAY_SLOTS):
            rows = Notices.due.query(str(slot), Notices.due_at <= now, limit=limit)
            found += [(int(row.due_at), row.conversion_id) for row in rows]
        return [conversion_id for _, conversion_id in sorted(found)[:limit]]

    def get(self, conversion_id: str) -> Kept | None:
        item = read(Notices, conversion_id)
        if item is None:
            return None
        notice = decode(item.body, Notice) if item.body else Notice()
        return Kept(notice, int(item.version))

    def told(self, conversion_id: str, kept: Kept, notice: Notice, next_look: int | None) -> None:
        """Raises Stale when the conversion changed since it was looked at: then it is still due."""
        not_touched_since = Notices.version == kept.version
        when = (
            [Notices.due_slot.remove(), Notices.due_at.remove()]
            if next_look is None
            else [Notices.due_slot.set(str(slot_of(conversion_id, tables.DAY_SLOTS))), Notices.due_at.set(next_look)]
        )
        try:
            Notices(conversion_id).update(
                actions=[Notices.body.set(dump(notice)), Notices.version.add(1), *when], condition=not_touched_since
            )
        except UpdateError as error:
            if condition_failed(error):
                raise Stale(conversion_id) from None
            raise
