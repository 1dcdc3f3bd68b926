"""Days (UTC) as the indexes know them: each spread over a few slots, so that no partition is hot."""

import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from chalicelib.adapters import tables


def slot_of(key: str, slots: int) -> int:
    return zlib.crc32(key.encode()) % slots


def day_of(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def day_slot(ms: int, key: str) -> str:
    return f"{day_of(ms)}#{slot_of(key, tables.DAY_SLOTS)}"


def days(first: date, last: date) -> Iterator[str]:
    """Every day from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield (first + timedelta(days=offset)).isoformat()
