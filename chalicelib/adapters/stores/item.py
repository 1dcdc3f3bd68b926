"""What every store does with an item: read it consistently, tell a failed condition, encode its body."""

from typing import Any

import msgspec
from pynamodb.exceptions import DeleteError, PutError, UpdateError
from pynamodb.models import Model


class Stale(Exception):
    """Somebody else changed the item since it was read; read it again and decide again."""


class Exists(Exception):
    """The item is there already."""


class LostLease(Exception):
    """Another process holds the lease; whatever this one was about to write is not written."""


def read(model: type[Model], hash_key: Any, range_key: Any = None) -> Any:
    """The item, read consistently, or None."""
    try:
        return model.get(hash_key, range_key, consistent_read=True)
    except model.DoesNotExist:
        return None


def condition_failed(error: PutError | UpdateError | DeleteError) -> bool:
    return error.cause_response_code == "ConditionalCheckFailedException"


def dump(body: Any) -> str:
    return msgspec.json.encode(body).decode()
