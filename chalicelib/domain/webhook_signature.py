"""Postback signatures: Standard Webhooks, symmetric scheme `v1`, both sides of it.

webhook-id         the message's id, the same for every attempt: receivers drop what they have seen
webhook-timestamp  Unix seconds of this attempt
webhook-signature  `v1,<base64>` entries with one space between, an entry per secret while one rotates
signed content     `{id}.{timestamp}.{payload}`, by HMAC-SHA256; the key is the secret's base64 part decoded

The payload is the body's bytes. A postback sent as GET has no body: there it is the query string as sent,
without its `?`. Stricter than the standard in one place: an id holds no dot. With one, `a.1` + `2` + body and
`a` + `1` + `2.body` would be the same content, and a captured message could return under a later timestamp.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

from chalicelib.domain.errors import Unauthenticated

TOLERANCE_SECONDS = 300
"""How far the clocks may differ, either way; also how long a captured message can be replayed."""

_SECRET_BYTES = range(24, 65)  # the standard's bounds
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_SIGNATURES = re.compile(r"[!-~]+( [!-~]+){0,15}", re.ASCII)


def sign_webhook(secrets: Sequence[str], message_id: str, timestamp: int, payload: bytes) -> dict[str, str]:
    """The three headers of one attempt. `secrets` are `whsec_…` texts. ValueError on anything malformed."""
    if not secrets or not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(str(timestamp)):
        raise ValueError("a webhook needs a secret, an id of letters, digits, _ and -, and a time in Unix seconds")
    entries = [_signature(secret, message_id, str(timestamp), payload) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(entries),
    }


def verify_webhook(secrets: Sequence[str], headers: Mapping[str, str], payload: bytes, now: int) -> None:
    """Returns when one of `secrets` signed `payload` within TOLERANCE_SECONDS of `now` (Unix seconds).

    Otherwise raises Unauthenticated: header_missing, header_malformed, timestamp_too_old, timestamp_too_new
    or signature_mismatch. `payload` is what arrived, byte for byte: parsed and written again it is another
    message. ValueError when a secret is malformed.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id = given.get("webhook-id", "")
    timestamp = given.get("webhook-timestamp", "")
    signatures = given.get("webhook-signature", "")
    _check_headers(message_id, timestamp, signatures)
    _check_age(now - int(timestamp))
    ours = [_signature(secret, message_id, timestamp, payload).encode() for secret in secrets]
    theirs = signatures.encode().split(b" ")
    # Texts are compared, not decoded bytes: base64 with stray last bits decodes to the same digest.
    matches = [hmac.compare_digest(one, other) for one in ours for other in theirs]
    if not any(matches):
        raise Unauthenticated("signature_mismatch", "No signature was made with this secret for this body.")


def _check_headers(message_id: str, timestamp: str, signatures: str) -> None:
    if not (message_id and timestamp and signatures):
        raise Unauthenticated("header_missing", "Send webhook-id, webhook-timestamp and webhook-signature.")
    if not (_ID.fullmatch(message_id) and _TIMESTAMP.fullmatch(timestamp) and _SIGNATURES.fullmatch(signatures)):
        raise Unauthenticated("header_malformed", "A webhook header does not read as the standard says.")


def _check_age(seconds: int) -> None:
    if seconds > TOLERANCE_SECONDS:
        raise Unauthenticated("timestamp_too_old", "The message is too old: a replay, or clocks that differ.")
    if seconds < -TOLERANCE_SECONDS:
        raise Unauthenticated("timestamp_too_new", "The message is from the future: check the clocks.")


def _signature(secret: str, message_id: str, timestamp: str, payload: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + payload
    return "v1," + base64.b64encode(hmac.digest(_key(secret), content, "sha256")).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or len(key) not in _SECRET_BYTES:
        raise ValueError("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")
    return key
