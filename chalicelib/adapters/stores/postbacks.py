"""Publishers' postbacks."""

from msgspec.structs import replace
from pynamodb.exceptions import PutError

from chalicelib.adapters.stores.item import Stale, condition_failed, dump, read
from chalicelib.adapters.tables import Postbacks
from chalicelib.domain.decoding import decode
from chalicelib.domain.postback import Postback


class PostbackStore:
    def get(self, publisher_id: str, postback_id: str) -> Postback | None:
        item = read(Postbacks, publisher_id, postback_id)
        return None if item is None else _postback(item)

    def of(self, publisher_id: str) -> list[Postback]:
        """The oldest first."""
        rows = Postbacks.query(publisher_id, consistent_read=True)
        return sorted(map(_postback, rows), key=lambda postback: postback.created_at)

    def any(self) -> bool:
        """Whether any publisher has one; where none has, a change of a conversion costs nothing more."""
        return next(iter(Postbacks.scan(limit=1)), None) is not None

    def create(self, postback: Postback) -> None:
        _item(postback).save()

    def update(self, postback: Postback) -> Postback:
        """Store a change of what was read at `postback.version`. Raises Stale."""
        unchanged_since_read = Postbacks.version == postback.version
        changed = replace(postback, version=postback.version + 1)
        try:
            _item(changed).save(condition=unchanged_since_read)
        except PutError as error:
            if condition_failed(error):
                raise Stale(postback.postback_id) from None
            raise
        return changed

    def remove(self, publisher_id: str, postback_id: str) -> None:
        Postbacks(publisher_id, postback_id).delete()


def _postback(item: Postbacks) -> Postback:
    return decode(item.body, Postback)


def _item(postback: Postback) -> Postbacks:
    return Postbacks(postback.publisher_id, postback.postback_id, version=postback.version, body=dump(postback))
