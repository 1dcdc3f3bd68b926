"""The tag's files. No AWS client is imported here, and nothing is read but the bundle's own folder."""

from functools import lru_cache
from pathlib import Path

from chalice.app import Blueprint, Response

from chalicelib.domain import tag_revision
from chalicelib.routes.problems import problem

FOLDER = Path(__file__).parent.parent / "web" / "tag"

tag = Blueprint(__name__)


@lru_cache(maxsize=1)
def _released() -> frozenset[str]:
    return frozenset(path.name.split(".")[1] for path in (FOLDER / "releases").glob("mtag.????????.js"))


@lru_cache(maxsize=64)
def _content(file: str) -> tuple[bytes, str]:
    content = (FOLDER / file).read_bytes()
    return content, tag_revision.entity_tag(content)


def current() -> dict[str, str]:
    """The `tag` of /v1/config: the revision that pins today's bytes, and their Subresource Integrity hash."""
    content, _ = _content("mtag.js")
    return {"revision": tag_revision.revision_of(content), "integrity": tag_revision.integrity_of(content)}


def _library(name: str) -> Response:
    served = tag_revision.serve(name, _released())
    if served is None:
        detail = "Use /libs/mtag.js, or /libs/mtag.XXXXXXXX.js with 8 letters or digits."
        return problem(404, "Not found", "no_such_library", detail, {"Access-Control-Allow-Origin": "*"})
    content, entity_tag = _content(served.file)
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/javascript; charset=utf-8",
        "Cache-Control": served.cache_control,
        "ETag": entity_tag,
        "Access-Control-Allow-Origin": "*",
        # A page may isolate itself (Cross-Origin-Embedder-Policy) and still load the tag without `crossorigin`.
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
    given = (tag.current_request.headers or {}).get("if-none-match")
    if tag_revision.none_match(given, entity_tag):
        return Response("", headers, 304)
    return Response(content.decode("utf-8"), headers, 200)


@tag.route("/libs/{name}", methods=["GET"])
def library(name: str) -> Response:
    """The tag under today's address."""
    return _library(name)


@tag.route("/attrace/libs/{name}", methods=["GET"])
def original_library(name: str) -> Response:
    """The same under the original's."""
    return _library(name)
