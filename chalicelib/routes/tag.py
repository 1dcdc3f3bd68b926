"""The tag's files. No AWS client is imported here: nothing is read but the bundle's own folder and the integration config."""

from functools import lru_cache
from pathlib import Path

from chalice.app import Request, Response

from chalicelib.domain import tag_revision
from chalicelib.routes.http import Routes
from chalicelib.routes.problems import problem

FOLDER = Path(__file__).parent.parent / "web" / "tag"

tag = Routes(__name__)


@lru_cache(maxsize=1)
def _released() -> frozenset[str]:
    return frozenset(path.name.split(".")[1] for path in (FOLDER / "releases").glob("mtag.????????.js"))


@lru_cache(maxsize=64)
def _content(file: str) -> tuple[str, str]:
    content = (FOLDER / file).read_bytes()
    return content.decode("utf-8"), tag_revision.entity_tag(content)


def current() -> dict[str, str]:
    """The `tag` of /v1/config: the revision that pins today's bytes, and their Subresource Integrity hash."""
    content = _content("mtag.js")[0].encode()
    return {"revision": tag_revision.revision_of(content), "integrity": tag_revision.integrity_of(content)}


def _library(request: Request, name: str) -> Response:
    served = tag_revision.serve(name, _released())
    if served is None:
        detail = "Use /libs/mtag.js, or /libs/mtag.XXXXXXXX.js with 8 letters or digits."
        return problem(404, "Not found", "no_such_library", detail)
    content, entity_tag = _content(served.file)
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/javascript; charset=utf-8",
        "Cache-Control": served.cache_control,
        "ETag": entity_tag,
        # A page that isolates itself (Cross-Origin-Embedder-Policy) may load the tag without `crossorigin`.
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
        **({} if served.pinned else _consent_mode()),
    }
    unchanged = tag_revision.none_match(request.headers.get("if-none-match"), entity_tag)
    return Response("" if unchanged else content, headers=headers, status_code=304 if unchanged else 200)


def _consent_mode() -> dict[str, str]:
    """The merchant's consent mode beside bytes that are the same for all merchants, so that the tag need not ask before it may send.
    Never beside a pinned release: a browser keeps that, and this with it, for a year."""
    from chalicelib.bootstrap import box

    return {"Server-Timing": box().config.tracking.consent, "Timing-Allow-Origin": "*"}


@tag.route("/libs/{name}", methods=["GET"], cors="any", limited=False)
def library(request: Request, name: str) -> Response:
    """The tag under today's address."""
    return _library(request, name)


@tag.route("/attrace/libs/{name}", methods=["GET"], cors="any", limited=False)
def original_library(request: Request, name: str) -> Response:
    """The same under the original's."""
    return _library(request, name)
