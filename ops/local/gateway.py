"""The local API Gateway: serves a Chalice app over HTTP/1.1 in threads, and answers by itself what AWS's
gateway answers by itself.

`chalice local` is not used: it holds each keep-alive request up for 40 ms, answers unknown paths in AWS's
own words and knows no stage prefix. What the gateway says itself (404, 405, 411, 413, 502) is problem+json
with CORS headers, as the gateway responses of the deployed stage make it.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from chalice.app import Chalice
from chalice.local import LambdaContext, LocalChalice

from ops.local.api_event import ApiAnswer, ApiRequest, Route, Routes, api_answer, proxy_event
from ops.local.process import LOOPBACK

MAX_REQUEST_BYTES = 10 * 1024 * 1024
MAX_ANSWER_BYTES = 6 * 1024 * 1024
MAX_LINE = 1024
FUNCTION_SECONDS = 29
IDLE_SECONDS = 30

_log = logging.getLogger("box.local.gateway")
_CORS = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "*")]


class Refused(Exception):
    """What the gateway answers without asking the function."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(detail)
        body = {
            "type": "about:blank",
            "title": status.phrase,
            "status": status.value,
            "code": code,
            "detail": detail,
        }
        content = ("Content-Type", "application/problem+json")
        self.answer = ApiAnswer(status.value, [content, *_CORS, *headers], json.dumps(body).encode())


class Gateway:
    """Serves `app` at `url` in the background until `stop`. `prefix` is the stage's part of each URL, '' or
    such as '/api'."""

    def __init__(self, app: Chalice, port: int = 0, prefix: str = "") -> None:
        # Chalice keeps "the current request" on the app object: with threads it has to be one per thread.
        app.__class__ = type("ThreadedChalice", (LocalChalice, app.__class__), {})
        self.app = app
        self.prefix = prefix.rstrip("/")
        self.routes = Routes(app.routes)
        gateway = self
        handler = type("Handler", (_Handler,), {"gateway": gateway})
        self._server = _Server((LOOPBACK, port), handler)
        self.port = self._server.server_address[1]
        self.url = f"http://{LOOPBACK}:{self.port}{self.prefix}"
        self._thread = threading.Thread(target=self._serve, name="gateway", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)  # how long `stop` may take

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: ApiRequest, route: Route) -> ApiAnswer:
        methods = self.app.routes[route.pattern]
        if request.method == "OPTIONS" and "OPTIONS" not in methods:
            return self._preflight(route)
        if request.method not in methods:
            allowed = ", ".join(sorted(methods))
            detail = f"{request.method} is not possible here; possible: {allowed}."
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, ("Allow", allowed))
        binary_types = self.app.api.binary_types
        event = proxy_event(request, route, self.prefix, self.port, binary_types)
        context = LambdaContext("api_handler", 512, FUNCTION_SECONDS * 1000)
        try:
            answer = api_answer(self.app(event, context), request, binary_types)
        except Exception:  # noqa: BLE001 - whatever a function raises is a 502, as on AWS
            _log.exception("%s %s: the function failed", request.method, route.pattern)
            raise _bad_gateway("The function failed; the log of the box says why.") from None
        if len(answer.body) > MAX_ANSWER_BYTES:
            raise _bad_gateway("The answer is larger than the 6 MB a function may return.")
        return answer

    def _preflight(self, route: Route) -> ApiAnswer:
        """What Chalice makes AWS answer to OPTIONS where the app has no route for it."""
        entries = self.app.routes[route.pattern]
        with_cors = [method for method, entry in entries.items() if entry.cors is not None]
        allowed = ",".join([*with_cors, "OPTIONS"])
        headers = {"Access-Control-Allow-Methods": allowed}
        if with_cors:
            headers.update(entries[with_cors[0]].cors.get_access_control_headers())
        return ApiAnswer(200, list(headers.items()), b"")


def _bad_gateway(detail: str) -> Refused:
    return Refused(HTTPStatus.BAD_GATEWAY, "bad_gateway", detail)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        _log.debug("a connection broke off", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    gateway: Gateway
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Header and body leave in one segment; with the defaults each keep-alive answer waits 40 ms for the
    # client's delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        started = time.perf_counter()
        route = None
        try:
            request = self._read()
            route = self._route(request.path)
            answer = self.gateway.answer(request, route)
        except Refused as refused:
            answer = refused.answer
        self._write(answer)
        # The route, never the path or the query: those name people's orders and clicks.
        spent = (time.perf_counter() - started) * 1000
        _log.info("%s %s %d %.1f ms", self.command, route and route.pattern, answer.status, spent)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

    def _read(self) -> ApiRequest:
        body = self._chunked() if "Transfer-Encoding" in self.headers else self._measured()
        url = urlsplit(self.path)
        return ApiRequest(
            self.command, self._without_prefix(url.path), url.query, self.headers, body, self.client_address[0]
        )

    def _measured(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            self.close_connection = True
            raise Refused(HTTPStatus.BAD_REQUEST, "malformed", "Content-Length is not a number.")
        if int(length) > MAX_REQUEST_BYTES:
            raise self._too_large()
        return self.rfile.read(int(length))

    def _chunked(self) -> bytes:
        """From clients that begin to send before they know how much, such as .NET's PostAsJsonAsync."""
        if self.headers["Transfer-Encoding"].strip().lower() != "chunked" or "Content-Length" in self.headers:
            self.close_connection = True
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "length_required", "Send a Content-Length.")
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > MAX_REQUEST_BYTES:
                raise self._too_large()
            body += self.rfile.read(size)
            self.rfile.readline(MAX_LINE)
        while self.rfile.readline(MAX_LINE).strip():
            """A trailer says nothing that anybody here reads."""
        return bytes(body)

    def _chunk_size(self) -> int:
        line = self.rfile.readline(MAX_LINE).partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", line):
            self.close_connection = True
            raise Refused(HTTPStatus.BAD_REQUEST, "malformed", "The body's chunks cannot be read.")
        return int(line, 16)

    def _too_large(self) -> Refused:
        self.close_connection = True
        return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "A request may hold at most 10 MB.")

    def handle_expect_100(self) -> bool:
        """At once: .NET Framework and curl wait for it up to a second before they send the body."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _without_prefix(self, path: str) -> str:
        prefix = self.gateway.prefix
        if prefix and path != prefix and not path.startswith(prefix + "/"):
            raise _not_found()
        return path[len(prefix) :] or "/"

    def _route(self, path: str) -> Route:
        route = self.gateway.routes.find(path)
        if route is None:
            raise _not_found()
        return route

    def _write(self, answer: ApiAnswer) -> None:
        self.send_response(answer.status)
        names = {name.lower() for name, _ in answer.headers}
        if "content-type" not in names and answer.body:
            self.send_header("Content-Type", "application/json")
        for name, value in answer.headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(answer.body)
        self.wfile.flush()

    def version_string(self) -> str:
        return "box"

    def log_message(self, *_: Any) -> None:
        """Replaced by our own line, which holds no path and no address."""


def _not_found() -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
