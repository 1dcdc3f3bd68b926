"""Publishers' postbacks: what a publisher asked to be told, where, and how a message is filled in and signed."""

import hashlib
import json
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Literal, get_args
from urllib.parse import quote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.errors import Unprocessable
from chalicelib.domain.webhook_signature import sign_webhook

Event = Literal["recorded", "approved", "rejected", "amended", "locked", "test"]
EVENTS: tuple[str, ...] = tuple(name for name in get_args(Event) if name != "test")
Method = Literal["GET", "POST"]
MACROS = (
    "event",
    "conversionId",
    "action",
    "status",
    "reason",
    "amount",
    "currency",
    "commission",
    "clickId",
    "subId",
    "merchant",
    "sequence",
    "transaction",
    "changedIn",
    "occurredAt",
)
MAX_TEMPLATE = 2048
MAX_POSTBACKS = 10
"""Of one publisher."""
RETRY_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, *[14_400] * 17)
"""Pauses before the second attempt and each later one; together 71.6 hours, so the last of 25 attempts is three days after the first."""
FAILING_MS = 3 * 86_400_000
FAILED_DELIVERIES = 5
"""A postback is switched off when nothing reached it for three days and so many messages were given up."""
_MACRO = re.compile(r"\{([A-Za-z]+)\}")


class Postback(Struct, rename="camel", frozen=True, kw_only=True):
    """Times in milliseconds. `secrets` are `whsec_…`, the newest first; each message is signed with all of them."""

    postback_id: str
    publisher_id: str
    url: str
    method: Method
    body: str | None
    events: tuple[Event, ...]
    secrets: tuple[str, ...]
    created_at: int
    active: bool = True
    notice: str | None = None
    """Why the box switched it off, for the publisher to read."""
    failing_since: int | None = None
    given_up: int = 0
    """Messages given up since something last reached it."""
    version: int = 1


class Attempt(Struct, rename="camel", frozen=True):
    """`outcome` is the status as text, or why there was none."""

    at: int
    outcome: str
    milliseconds: int


class Delivery(Struct, rename="camel", frozen=True, kw_only=True):
    """One message, until it is delivered or given up. The id is the webhook's id, the same at each attempt."""

    postback_id: str
    publisher_id: str
    delivery_id: str
    event: Event
    conversion_id: str
    data: dict[str, Any]
    created_at: int
    state: Literal["waiting", "delivered", "givenUp"] = "waiting"
    attempts: tuple[Attempt, ...] = ()
    version: int = 1


class Message(Struct, frozen=True):
    url: str
    method: Method
    headers: dict[str, str]
    body: bytes | None


def check_template(url: str, method: Method, body: str | None) -> None:
    """Raises Unprocessable for a template that names an unknown macro, or has one where it would choose the host."""
    for text in (url, body or ""):
        if len(text) > MAX_TEMPLATE:
            raise Unprocessable("template_too_long", f"A template has at most {MAX_TEMPLATE} characters.")
        for name in _MACRO.findall(text):
            if name not in MACROS:
                raise Unprocessable(
                    "macro_unknown", f"There is no macro {{{name}}}; the macros are {', '.join(MACROS)}."
                )
    try:
        fixed = urlsplit(url)
    except ValueError:
        raise Unprocessable("url_invalid", "The postback's address cannot be read.") from None
    if not fixed.netloc or "{" in fixed.scheme + fixed.netloc:
        raise Unprocessable("url_invalid", "A macro may stand in the path or the query, not in the host.")
    if body is not None and method != "POST":
        raise Unprocessable("body_without_post", "A body goes with the method POST.")


def delivery_id(postback: str, event: str, conversion_id: str, entry: int, at: int, nth: str = "") -> str:
    """The same event of the same conversion always has the same id, however often it is derived. Sorts by time."""
    name = json.dumps([postback, event, conversion_id, entry, at, nth])
    return f"{at:013d}_{hashlib.sha256(name.encode()).hexdigest()[:20]}"


def message(postback: Postback, delivery: Delivery, seconds: int) -> Message:
    """The request of one attempt at `seconds` (Unix). A GET signs its query string, a POST its body."""
    url = _filled(postback.url, delivery.data, lambda text: quote(text, safe=""))
    if postback.method == "GET":
        signed, body = urlsplit(url).query.encode(), None
        headers: dict[str, str] = {}
    else:
        body = signed = _body(postback, delivery).encode()
        headers = {"Content-Type": "application/json"}
    headers |= sign_webhook(postback.secrets, delivery.delivery_id, seconds, signed)
    return Message(url, postback.method, headers, body)


def _body(postback: Postback, delivery: Delivery) -> str:
    if postback.body is None:
        return json.dumps(delivery.data, separators=(",", ":"), ensure_ascii=False)
    return _filled(postback.body, delivery.data, lambda text: json.dumps(text, ensure_ascii=False)[1:-1])


def _filled(template: str, data: dict[str, Any], escape: Any) -> str:
    def value(found: re.Match[str]) -> str:
        given = data.get(found[1])
        return "" if given is None else str(escape(str(given)))

    return _MACRO.sub(value, template)


def in_turn(due: Sequence[Delivery]) -> list[Delivery]:
    """One message of each postback, then the next of each, in the order given: whose server is slow holds up its own messages first."""
    waiting: dict[str, list[Delivery]] = {}
    for delivery in due:
        waiting.setdefault(delivery.postback_id, []).append(delivery)
    return [delivery for round_ in zip_longest(*waiting.values()) for delivery in round_ if delivery is not None]


def after_attempt(delivery: Delivery, attempt: Attempt) -> tuple[Delivery, int | None]:
    """The delivery with its new attempt, and when the next is due (milliseconds), None when there is none."""
    tried = replace(delivery, attempts=(*delivery.attempts, attempt))
    if attempt.outcome.isdecimal() and 200 <= int(attempt.outcome) < 300:
        return replace(tried, state="delivered"), None
    if len(tried.attempts) > len(RETRY_SECONDS):
        return replace(tried, state="givenUp"), None
    return tried, attempt.at + RETRY_SECONDS[len(tried.attempts) - 1] * 1000
