"""Days (UTC) as the indexes know them: each spread over a few slots, so that no partition is hot."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from chalicelib.adapters import tables

T = TypeVar("T")
QUERIES_AT_ONCE = 16
"""Days are read this many slots at a time: a month is 240 small queries, and each is mostly waiting."""
DAYS_AHEAD = 4


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


def ahead(wanted: Sequence[str], read: Callable[[str], list[T]]) -> Iterator[list[list[T]]]:
    """Each day's slots, in the order of `wanted`; the next days are read while the caller looks at this one."""
    with ThreadPoolExecutor(QUERIES_AT_ONCE) as pool:
        asked = [
            [pool.submit(read, f"{day}#{slot}") for slot in range(tables.DAY_SLOTS)] for day in wanted[:DAYS_AHEAD]
        ]
        for number in range(len(wanted)):
            slots = [future.result() for future in asked.pop(0)]
            if number + DAYS_AHEAD < len(wanted):
                day = wanted[number + DAYS_AHEAD]
                asked.append([pool.submit(read, f"{day}#{slot}") for slot in range(tables.DAY_SLOTS)])
            yield slots
