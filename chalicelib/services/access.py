"""API keys: made, looked up by their hash, revoked. The key itself is shown once and kept nowhere."""

import hashlib
import secrets
import string
from dataclasses import dataclass

from chalicelib.bootstrap import Box
from chalicelib.domain.errors import Forbidden, Unauthenticated, Unprocessable
from chalicelib.services import limits

SCOPES = ("admin", "server", "readonly")
_ALPHABET = string.ascii_letters + string.digits
_LAST_USE_MS = 60_000
"""A key's last use is written at most once a minute: it is for people to look at."""


@dataclass(frozen=True)
class Caller:
    """Who calls. `publisher_id` limits a publisher's key to its own rows; None sees the merchant's."""

    name: str
    scopes: frozenset[str]
    publisher_id: str | None
    left: limits.Left | None = None
    """What the key may still call in this minute; None without a limit."""


def create_key(box: Box, name: str, *scopes: str) -> str:
    """A new key of the form box_ and 32 letters and digits. Scopes: admin, server, readonly, or publisher:<id> alone: beside another
    it would no longer keep its holder to the own rows. Raises Unprocessable."""
    for scope in scopes:
        kind, _, publisher = scope.partition(":")
        if scope not in SCOPES and not (kind == "publisher" and publisher):
            raise Unprocessable("scope_unknown", f"Scopes are {', '.join(SCOPES)} and publisher:<id>.")
    if len(set(scopes)) > 1 and any(scope.startswith("publisher:") for scope in scopes):
        raise Unprocessable("scope_not_alone", "A publisher's key has that one scope; make another key for the rest.")
    key = "box_" + "".join(secrets.choice(_ALPHABET) for _ in range(32))
    box.keys.create(key_hash(key), name, frozenset(scopes), box.now())
    return key


def caller(box: Box, authorization: str | None, *allowed: str) -> Caller:
    """The caller behind an Authorization header, if it may: `admin` may do all, "publisher" stands for any publisher's key.

    The key is looked up by its SHA-256, so how long a comparison takes tells nothing of a key (docs/decisions/0032).
    Raises Unauthenticated without a valid key, Forbidden for one of a lesser scope, TooMany past the key's limit.
    """
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.startswith("box_"):
        raise Unauthenticated("key_missing", "Send the header Authorization: Bearer box_… with a key of this box.")
    kept = box.keys.get(key_hash(key.strip()))
    if kept is None or kept.revoked_at is not None:
        raise Unauthenticated("key_invalid", "This key is not one of this box, or it was revoked.")
    left = limits.take_by_key(box, kept.key_hash)
    publisher = next(
        (scope.removeprefix("publisher:") for scope in kept.scopes if scope.startswith("publisher:")), None
    )
    kinds = {scope.partition(":")[0] for scope in kept.scopes}
    if "admin" not in kinds and not kinds & set(allowed):
        raise Forbidden("scope_missing", f"This call needs a key with scope {' or '.join(allowed) or 'admin'}.")
    if kept.last_used_at is None or box.now() - kept.last_used_at > _LAST_USE_MS:
        box.keys.used(kept.key_hash, box.now())
    return Caller(kept.name, kept.scopes, None if kinds & {"admin", "server", "readonly"} else publisher, left)


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
