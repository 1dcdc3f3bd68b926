"""Two real HTTP servers on two sites: a shop that serves whatever page a test writes, and a box that can be put into every state a tag
may meet - down, slow, refusing, talking nonsense - and remembers each request. The tag's files come out of the routes' own code path
(`tag_revision`), the pages run in a real browser; what the real box makes of it is tested in test_against_the_box.py."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

from chalicelib.domain import config, report, tag_revision
from chalicelib.domain.errors import Refusal

FOLDER = Path(__file__).parents[2] / "chalicelib" / "web" / "tag"
STUB = (FOLDER.parents[2] / "tag" / "stub.html").read_text().strip()
CONFIG: dict[str, Any] = {
    "merchant": {"id": "demo", "name": "Demo"},
    "attributionWindowDays": 30,
    "currency": "EUR",
    "clickParameters": ["clickId"],
    "viaParameter": "via",
    "orderIdKeys": ["orderId"],
    "consent": "granted",
    "cookieDomain": None,
}
MERCHANT = config.parse((FOLDER.parents[2] / "configs" / "demo.json").read_bytes(), "demo.json")
Found = TypeVar("Found")

# What shops' own scripts do to the browser's.
BREAKAGE = {
    "fetch throws": "window.fetch = () => { throw Error('broken') }",
    "fetch gives nothing": "window.fetch = () => undefined",
    "fetch is gone": "delete window.fetch; window.fetch = undefined",
    "fetch and sendBeacon are gone": "window.fetch = undefined; Object.defineProperty(navigator, 'sendBeacon', {value: undefined})",
    "JSON is overwritten": "JSON.stringify = () => 'broken'; JSON.parse = () => { throw Error('broken') }",
    "JSON is gone": "window.JSON = undefined",
    "arrays have a toJSON": "Array.prototype.toJSON = function () { return 'broken' }",
    "array methods throw": "for (const name of Object.getOwnPropertyNames(Array.prototype)) "
    "if (name != 'length' && name != 'constructor') Array.prototype[name] = () => { throw Error('broken') }",
    "arrays have enumerable extras": "Array.prototype.last = function () {}; Array.prototype.version = 'x'",
    "objects have enumerable extras": "Object.prototype.extend = function () {}",
    "everything is frozen": "[Array, Object, Function, Promise, String, RegExp].forEach(one => "
    "{ Object.freeze(one); Object.freeze(one.prototype) }); Object.freeze(JSON)",
    "listeners throw": "window.addEventListener = () => { throw Error('broken') }",
    "mtag is an element": "document.documentElement.id = 'mtag'",
    "history is frozen": "Object.freeze(history)",
    "performance is gone": "Object.defineProperty(window, 'performance', {value: undefined})",
}


@dataclass
class Seen:
    """One request the box got."""

    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        if "?body=" in self.path:
            return json.loads(parse_qs(urlsplit(self.path).query)["body"][0])
        return json.loads(self.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler], owner: Any) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.owner = owner
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is part of the tests."""


def refusal_of(body: Any) -> tuple[int, Any] | None:
    """What the box would answer a report that it does not take, by the box's own reading of it."""
    try:
        report.normalise(report.read_body(json.dumps(body).encode(), report.Body), "tag", MERCHANT)
    except Refusal as refusal:
        return refusal.status, {"status": refusal.status, "code": refusal.code, "detail": refusal.detail}
    return None


@dataclass
class FaultBox:
    """`http://127.0.0.1:<port>`; `prefix` is a stage prefix. `answers` are the next answers of the conversion beacon (status, body or
    text), then it answers as the box does. `reset` drops connections, `delay` waits before each answer, `hold` until the test lets go."""

    prefix: str = ""
    config: dict[str, Any] = field(default_factory=lambda: dict(CONFIG))
    announce: bool = True
    """Whether the consent mode stands beside the tag (Server-Timing)."""
    reset: set[str] = field(default_factory=set)
    """Kinds of request that get no answer: libs, config, beacon."""
    delay: dict[str, float] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._server = _Server(_BoxHandler, self)
        self.url = f"http://127.0.0.1:{self._server.port}{self.prefix}"

    def stop(self) -> None:
        self.let_go()
        self._server.shutdown()
        self._server.server_close()

    def hold(self, *kinds: str) -> None:
        """No request of these kinds is answered before `let_go`: what a test shows meanwhile depends on no clock."""
        self.held = dict.fromkeys(kinds, threading.Event())

    def let_go(self) -> None:
        for held in self.held.values():
            held.set()
        self.held = {}

    def of(self, path: str, method: str | None = None) -> list[Seen]:
        return [one for one in list(self.seen) if path in one.path and method in (None, one.method)]

    @property
    def conversions(self) -> list[Any]:
        return [one.json for one in self.of("/v1/beacon/conversion")]

    @property
    def events(self) -> set[str]:
        """The distinct event ids that arrived."""
        return {one["eventId"] for one in self.conversions}

    def wait(self, count: int, path: str = "/v1/beacon/conversion", method: str | None = None) -> list[Seen]:
        """At least `count` requests to a path, in time."""
        return self._wait(lambda: self.of(path, method), lambda found: len(found) >= count)

    def wait_events(self, count: int) -> set[str]:
        """At least `count` distinct event ids, in time. A page that is left before it has read the answer sends its sale once more, so a
        number of requests says nothing about that of sales."""
        return self._wait(lambda: self.events, lambda found: len(found) >= count)

    def wait_order(self, order_id: Any) -> None:
        """A conversion with this order id, in time."""
        self._wait(
            lambda: [one["metadata"].get("orderId") for one in self.conversions], lambda found: order_id in found
        )

    def _wait(self, look: Callable[[], Found], enough: Callable[[Found], bool]) -> Found:
        deadline = time.monotonic() + 10
        while not enough(found := look()):
            assert time.monotonic() < deadline, f"only {found} of {[(one.method, one.path) for one in self.seen]}"
            time.sleep(0.01)
        return found

    def answer_conversion(self, seen: Seen) -> tuple[int, Any]:
        with self.lock:
            if self.answers:
                return self.answers.pop(0)
            body = seen.json
            if refused := refusal_of(body):
                return refused
            key = (body.get("metadata") or {}).get("orderId") or body["eventId"]
            duplicate = key in self.known
            self.known.setdefault(str(key), f"c{len(self.known)}")
        shown = {
            "conversionId": self.known[str(key)],
            "status": "open",
            "attributed": "clickId" in body,
            "duplicate": duplicate,
        }
        return (200 if duplicate else 202), shown


class _BoxHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_OPTIONS = do_GET

    def _handle(self) -> None:
        box: FaultBox = cast(_Server, self.server).owner
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, body)
        kind = next((kind for kind in ("libs", "config", "beacon") if kind in self.path), "other")
        if kind in box.reset:
            self.close_connection = True
            return
        # What was seen is known: a test that waits for the one may look at the other.
        is_conversion = "/v1/beacon/conversion" in self.path and self.command != "OPTIONS"
        status, answer = box.answer_conversion(seen) if is_conversion else (404, {})
        box.seen.append(seen)
        time.sleep(box.delay.get(kind, 0))
        if held := box.held.get(kind):
            held.wait(60)
        if not self.path.startswith(box.prefix):
            self._send(404, "text/plain", "outside the stage")
        elif self.path.startswith(f"{box.prefix}/click/"):
            target = parse_qs(urlsplit(self.path).query)["url"][0]
            self._send(302, "text/plain", "", {"Location": f"{target}?clickId=doctors-click"})
        elif kind == "libs":
            self._library(box)
        elif kind == "config":
            self._send(200, "application/json", json.dumps(box.config), {"Cache-Control": "public, max-age=300"})
        elif self.path.endswith("/click"):
            self._send(202, "application/json", json.dumps({"clickId": f"via-{len(box.seen)}"}))
        elif ".gif" in self.path:
            self._send(200, "image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
        elif kind == "beacon":
            self._send(status, "application/json", answer if isinstance(answer, str) else json.dumps(answer))
        else:
            self._send(404, "text/plain", "")

    def _library(self, box: FaultBox) -> None:
        released = {file.name.split(".")[1] for file in (FOLDER / "releases").iterdir()}
        served = tag_revision.serve(urlsplit(self.path).path.rpartition("/")[2], released)
        assert served, self.path
        headers = {"Cache-Control": served.cache_control, "Access-Control-Allow-Origin": "*"}
        if box.announce and not served.pinned:
            headers |= {"Server-Timing": box.config["consent"], "Timing-Allow-Origin": "*"}
        self._send(200, "text/javascript; charset=utf-8", (FOLDER / served.file).read_text(), headers)

    def _send(self, status: int, kind: str, text: str, extra: dict[str, str] | None = None) -> None:
        origin = {
            "Access-Control-Allow-Origin": self.headers.get("origin") or "*",
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }
        content = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            **origin,
            **(extra or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Shop:
    """`http://localhost:<port>`: another site than the box's, as browsers see it. A page is its HTML, with headers if it has any."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, dict[str, str]]] = {}
        self._server = _Server(_ShopHandler, self)
        self.url = f"http://localhost:{self._server.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, path: str, body: str, headers: dict[str, str] | None = None) -> str:
        """Its URL. A body without a head of its own gets the smallest there is."""
        html = (
            body
            if body.startswith("<!doctype")
            else f"<!doctype html><html><head><meta charset=utf-8><title>{path}</title></head>{body}</html>"
        )
        self.pages[path] = (html, headers or {})
        return self.url + path


class _ShopHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        shop: Shop = cast(_Server, self.server).owner
        html, headers = shop.pages.get(urlsplit(self.path).path, ("", {}))
        content = html.encode()
        self.send_response(200 if html else 204)
        for name, value in {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(content)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
