"""What stands on chain in a person's place: salted hashes.

A conversion's commitment is the first 20 bytes of SHA-256(salt || canonical JSON of the payload). The payload is public (it
is in the receipt) and names no person: order id, sub id and metadata enter it only as `private`, an inner commitment whose
salt the merchant alone holds. Forgetting that salt unlinks the person; the outer commitment stays checkable.
SHA-256, because a page can compute it with WebCrypto.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

COMMITMENT_SIZE: Final = 20  # bytes on chain: 160 bits
SALT_SIZE: Final = 16  # bytes, at least; drawn afresh for each conversion


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one JSON form of a payload: keys sorted, no spaces, UTF-8. Strings, integers, booleans, null, lists and objects
    only. Raises ValueError for anything else: a float has no single text form."""
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _check(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            # JavaScript sorts keys by UTF-16 units, Python by code points; within ASCII they agree.
            if not isinstance(key, str) or not key.isascii():
                raise ValueError(f"key {key!r}: the keys of a committed payload are ASCII strings")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    elif isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise ValueError("an integer beyond 2^53 does not survive a page: write it as a string")
    elif value is not None and not isinstance(value, str):
        raise ValueError(
            f"{type(value).__name__} in a committed payload: only strings, integers, null, lists and objects"
        )


def commit(payload: Mapping[str, Any], salt: bytes) -> bytes:
    """The conversion's commitment, 20 bytes, as it stands in the batch."""
    return sha256(_salted(salt) + canonical(payload)).digest()[:COMMITMENT_SIZE]


def commit_private(private: Mapping[str, Any], salt: bytes) -> str:
    """The inner commitment (64 hex digits) to what must stay with the merchant: the payload's `private`.

    `private` is flat metadata and may have any string as a key; its keys are sorted by code point.
    """
    text = json.dumps(private, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(_salted(salt) + text.encode()).hexdigest()


def _salted(salt: bytes) -> bytes:
    if len(salt) < SALT_SIZE:
        raise ValueError(f"a salt has at least {SALT_SIZE} bytes")
    return salt
