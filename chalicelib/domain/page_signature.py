r"""Signed page data: a merchant signs an order into its page, so that a browser's report can be believed.

signature = lower-case hex of HMAC-SHA256(key, message)
key       = the page secret's text as UTF-8, all of it
message   = the UTF-8 of the JSON array `[orderId,action,[value,…],currency]`, no spaces, its strings
            written as RFC 8785 (3.2.2.2) writes them: `\"` and `\\`, `\b \t \n \f \r`, other controls below
            U+0020 as `\u00xx` in lower-case hex; everything else - `/`, DEL, U+2028, non-ASCII - as it is.
            Nothing is trimmed, folded or normalised.

That is what `JSON.stringify` gives; tests/vectors/page_signature.json pins it for every language.
"""

import hmac
import json
import re
from collections.abc import Iterable, Sequence

MIN_SECRET_BYTES = 24
"""Hex or base64 text of that length is beyond guessing, and a secret that was never set ("") cannot sign."""

_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)


def page_message(order_id: str, action: str, values: Sequence[str], currency: str) -> bytes:
    """The bytes that are signed. ValueError where a string holds half a surrogate pair: that has no UTF-8."""
    if isinstance(values, str):  # a str is a sequence of str: "12.50" would be signed as five values
        raise TypeError("values is a list of decimal strings")
    array = [order_id, action, list(values), currency]
    return json.dumps(array, ensure_ascii=False, separators=(",", ":")).encode()


def sign_page(secret: str, order_id: str, action: str, values: Sequence[str], currency: str) -> str:
    """64 lower-case hex digits. ValueError on a secret under MIN_SECRET_BYTES or text that is not Unicode."""
    return _digest(secret, page_message(order_id, action, values, currency))


def page_signature_holds(
    secrets: Iterable[str], signature: str, order_id: str, action: str, values: Sequence[str], currency: str
) -> bool:
    """Whether one of `secrets` (several while one rotates) made `signature` for these strings, as they came.

    Never raises on text that a browser sent; a short secret of the box's own raises ValueError.
    """
    try:
        message = page_message(order_id, action, values, currency)
    except UnicodeEncodeError:
        return False
    ours = [_digest(secret, message) for secret in secrets]
    if not _SIGNATURE.fullmatch(signature):
        return False
    # Every secret is tried, so that the time taken does not tell which one is in use.
    matches = [hmac.compare_digest(digest, signature) for digest in ours]
    return any(matches)


def _digest(secret: str, message: bytes) -> str:
    key = secret.encode()
    if len(key) < MIN_SECRET_BYTES:
        raise ValueError(f"a page secret has at least {MIN_SECRET_BYTES} bytes")
    return hmac.digest(key, message, "sha256").hex()
