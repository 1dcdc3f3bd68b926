"""How often a key or an address may call. Counted in this process, and shared through the table a tenth of the limit at a time: a shopper's
few beacons never cost a write, and all processes together overshoot by a tenth each at most (docs/decisions/0031).
"""

import hashlib
import hmac
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec import Struct

from chalicelib.bootstrap import Box
from chalicelib.domain.errors import TooMany

WINDOW_MS = 60_000
DAY_SECONDS = 86_400
SHARED_IN = 10
"""A process tells the table after each tenth of the limit."""
REREAD_MS = 60_000
SETTING = "limits"


class Limits(Struct, rename="camel", frozen=True):
    """Calls a minute; 0 is no limit."""

    key: int = 1200
    address: int = 600


LOCAL = Limits(key=1_000_000, address=1_000_000)
"""On a local box everybody is 127.0.0.1; its answers have the headers all the same."""


@dataclass
class _Window:
    started: int
    here: int = 0
    """Calls in this process that the table has not been told of."""
    shared: int = 0
    """What the table said last, of all processes."""


@dataclass(frozen=True)
class Left:
    """`reset` in seconds."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


_lock = threading.Lock()
_windows: dict[str, _Window] = {}
_setting: tuple[int, Limits] | None = None
_salts: dict[str, bytes] = {}


def limits_of(box: Box) -> Limits:
    """As `kept_limits`, read once a minute."""
    global _setting
    now = box.now()
    if _setting is None or now - _setting[0] > REREAD_MS:
        _setting = (now, kept_limits(box))
    return _setting[1]


def kept_limits(box: Box) -> Limits:
    """The operator's setting, until there is one the usual."""
    return box.state.read(SETTING, Limits) or (LOCAL if box.settings.dynamodb_url else Limits())


def set_limits(box: Box, limits: Limits) -> None:
    """In force within a minute."""
    box.state.write(SETTING, limits)


def take_by_key(box: Box, key_hash: str) -> Left | None:
    return _take(box, f"key#{key_hash[:32]}", limits_of(box).key)


def take_by_address(box: Box, address: str) -> Left | None:
    limit = limits_of(box).address
    return _take(box, f"address#{_hidden(box, address)}", limit) if limit else None


def _take(box: Box, name: str, limit: int) -> Left | None:
    """Count one call. Raises TooMany past the limit; None where there is none."""
    if limit == 0:
        return None
    now = box.now()
    started = now - now % WINDOW_MS
    reset = (started + WINDOW_MS - now + 999) // 1000
    with _lock:
        window = _windows.get(name)
        if window is None or window.started != started:
            _forget_before(started)
            window = _windows[name] = _Window(started)
        if window.shared + window.here >= limit:
            raise TooMany("too_many_calls", f"At most {limit} calls a minute; wait {reset} s.", reset, limit)
        window.here += 1
        due, share = window.here >= max(1, limit // SHARED_IN), window.here
        if due:
            window.here = 0
            window.shared += share
    if due:
        total = box.limits.add(f"{name}#{started // 1000}", share, started // 1000 + 10 * 60)
        with _lock:
            window.shared = max(window.shared, total)
    return Left(limit, max(0, limit - window.shared - window.here), reset)


def _forget_before(started: int) -> None:
    for name in [name for name, window in _windows.items() if window.started < started]:
        del _windows[name]


def _hidden(box: Box, address: str) -> str:
    seconds = box.now() // 1000
    day = datetime.fromtimestamp(seconds, UTC).date().isoformat()
    if day not in _salts:
        _salts.clear()
        _salts[day] = box.limits.salt_of(day, (seconds // DAY_SECONDS + 2) * DAY_SECONDS)
    return hmac.new(_salts[day], address.encode(), hashlib.sha256).hexdigest()[:32]
