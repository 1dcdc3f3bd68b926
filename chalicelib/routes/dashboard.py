"""The dashboard's page and files, and whose key it was given. The files are served as they lie in the bundle: nothing is built.

An import map in the page leads each module's plain name (`./api.js`) to the one that carries its content's hash, so a browser keeps a
file for good and still never mixes two versions.
"""

import base64
import hashlib
import json
from functools import lru_cache
from pathlib import Path

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, answer, caller_of
from chalicelib.routes.problems import Headers, problem

FOLDER = Path(__file__).parent.parent / "web" / "dashboard"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"
HASH_LENGTH = 10

dashboard = Routes(__name__)


@lru_cache(maxsize=64)
def _content(name: str) -> tuple[bytes, str]:
    """A file's bytes and the name that carries their hash: main.js -> main.0a1b2c3d4e.js."""
    content = (FOLDER / name).read_bytes()
    stem, _, kind = name.rpartition(".")
    return content, f"{stem}.{hashlib.sha256(content).hexdigest()[:HASH_LENGTH]}.{kind}"


@lru_cache(maxsize=1)
def _files() -> tuple[str, ...]:
    return tuple(sorted(path.name for path in FOLDER.iterdir() if path.suffix in TYPES))


@lru_cache(maxsize=1)
def _page() -> tuple[str, str]:
    """The page, and the Content-Security-Policy that lets exactly its own import map run beside the box's files."""
    modules = [name for name in _files() if name.endswith(".js")]
    import_map = json.dumps({"imports": {f"./assets/{name}": f"./assets/{_content(name)[1]}" for name in modules}})
    page = (FOLDER / "index.html").read_text(encoding="utf-8").replace("{{import map}}", import_map)
    preloads = (f'<link rel="modulepreload" href="assets/{_content(name)[1]}">' for name in modules)
    page = page.replace("{{preloads}}", "\n".join(preloads))
    for name in _files():
        page = page.replace(f'"assets/{name}"', f'"assets/{_content(name)[1]}"')
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _shown(request: Request) -> Response:
    if request.context.get("path", "").endswith("/"):
        # The page's links are relative, so that they hold under any stage prefix; after a slash they would not.
        name = request.path.strip("/")
        return Response("", {"Location": f"../{name}"}, 308)
    page, policy = _page()
    headers: Headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    return Response(page, headers, 200)


@dashboard.route("/dashboard", methods=["GET"], limited=False)
def page(request: Request) -> Response:
    return _shown(request)


@dashboard.route("/login", methods=["GET"], limited=False)
def login(request: Request) -> Response:
    """The same page: it asks for a key whenever this tab holds none."""
    return _shown(request)


@dashboard.route("/assets/{name}", methods=["GET"], limited=False)
def asset(_: Request, name: str) -> Response:
    """By the name with the hash: for good. By the plain name: looked at again each time."""
    for plain in _files():
        content, hashed = _content(plain)
        if name in (plain, hashed):
            headers: Headers = {
                "Content-Type": TYPES[Path(plain).suffix],
                "Cache-Control": FOREVER if name == hashed else "no-cache",
                "X-Content-Type-Options": "nosniff",
                "Cross-Origin-Resource-Policy": "same-origin",
            }
            return Response(content.decode(), headers, 200)
    return problem(404, "Not found", "asset_unknown", "There is no such file; load /dashboard again for today's names.")


@dashboard.route("/v1/key", methods=["GET"])
def key(request: Request) -> Response:
    """`{name, scopes, publisherId}` of the key that was sent, so that a page shows only what the key may do."""
    caller = caller_of(request, "readonly", "server", "publisher")
    return answer({"name": caller.name, "scopes": sorted(caller.scopes), "publisherId": caller.publisher_id})
