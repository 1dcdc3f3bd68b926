"""Which bytes a requested name of the tag gets, and for how long they may be cached. Pure.

A release's *revision* is the first 8 characters of the base62 SHA-256 of its bytes, so a name that carries one pins the bytes.
Any other 8 characters only keep caches from mixing up two of the page's deployments, which is how the original's snippet used them.
"""

import base64
import hashlib
import re
from collections.abc import Container
from dataclasses import dataclass

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE62_LENGTH = 43  # ceil(256 / log2(62)): every digest gets the same length, so the first 8 characters are comparable
PANEL = "mtag-debug.js"

_NAMES = (
    re.compile(r"mtag(?:\.([A-Za-z0-9]{8}))?\.js", re.ASCII),
    re.compile(r"mtag(?:_([A-Za-z0-9]{8}))?_js", re.ASCII),  # the original's form
)

YEAR, DAY, FIVE_MINUTES = 31_536_000, 86_400, 300


@dataclass(frozen=True)
class Served:
    """What a name gets: the file under the tag's folder and its Cache-Control."""

    file: str
    cache_control: str
    pinned: bool


def base62_sha256(content: bytes) -> str:
    """43 characters, most significant first."""
    number = int.from_bytes(hashlib.sha256(content).digest(), "big")
    digits = []
    for _ in range(BASE62_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


def revision_of(content: bytes) -> str:
    """The 8 characters that pin exactly these bytes."""
    return base62_sha256(content)[:8]


def integrity_of(content: bytes) -> str:
    """The Subresource Integrity value of these bytes, for `integrity=` beside `crossorigin`."""
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode("ascii")


def entity_tag(content: bytes) -> str:
    """A strong ETag, quoted."""
    return f'"{base62_sha256(content)[:22]}"'


def release_file(revision: str) -> str:
    """Where the bytes of a release are kept."""
    return f"releases/mtag.{revision}.js"


def serve(name: str, released: Container[str]) -> Served | None:
    """What `name` (as in /libs/{name}) gets, given the released revisions; None for a name that is none of ours."""
    if name == PANEL:
        return Served(PANEL, f"public, max-age={FIVE_MINUTES}", pinned=False)
    found = next((match for form in _NAMES if (match := form.fullmatch(name))), None)
    if found is None:
        return None
    revision = found.group(1)
    if revision is None:
        return Served("mtag.js", f"public, max-age={FIVE_MINUTES}", pinned=False)
    if revision in released:
        return Served(release_file(revision), f"public, max-age={YEAR}, immutable", pinned=True)
    return Served("mtag.js", f"public, max-age={DAY}", pinned=False)


def none_match(header: str | None, tag: str) -> bool:
    """Whether an If-None-Match header names this ETag, so that 304 is the answer (weak comparison, RFC 9110 13.1.2)."""
    candidates = [candidate.strip().removeprefix("W/") for candidate in (header or "").split(",")]
    return tag in candidates or candidates == ["*"]
