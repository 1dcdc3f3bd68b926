"""A real HTTP server on loopback that records what it is sent and answers from a script.

It stands beside the real box for what a healthy box does not do: time-outs, dropped connections, redirects, nonsense.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """`fault`: `drop` closes the connection unanswered, `silent` answers nothing for `seconds`, `drip` sends the body a
    byte at a time and never ends it."""

    status: int = 202
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    seconds: float = 5
    retry_in: float | None = None
    """Seconds from the moment of answering, sent as a Retry-After date. A date made earlier would pass while a client starts."""


def reply(status: int, document: object, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"content-type": "application/json", **named})


def problem(status: int, code: str, **headers: str) -> Reply:
    document = {
        "type": "about:blank",
        "title": "No",
        "status": status,
        "code": code,
        "detail": f"Because of {code}.",
    }
    return reply(status, document, content_type="application/problem+json", **headers)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """Monotonic seconds."""

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class RecordingBox:
    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        self.closing = threading.Event()

    def will_answer(self, *replies: Reply) -> None:
        """In this order; the last one from then on."""
        self.requests.clear()
        self.replies = list(replies)

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def recording_box() -> Iterator[RecordingBox]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            box.requests.append(Request(self.command, self.path, headers, body, time.monotonic()))
            self.answer(box.next_reply())

        do_GET = do_PATCH = do_POST

        def answer(self, scripted: Reply) -> None:
            if scripted.fault in ("drop", "silent"):
                self.close_connection = True
                if scripted.fault == "silent":
                    box.closing.wait(scripted.seconds)
                return
            self.send_response(scripted.status)
            for name, value in scripted.headers.items():
                self.send_header(name, value)
            if scripted.retry_in is not None:
                date = datetime.now(UTC) + timedelta(seconds=scripted.retry_in)
                self.send_header("retry-after", format_datetime(date, usegmt=True))
            length = 1_000_000 if scripted.fault == "drip" else len(scripted.body)
            self.send_header("content-length", str(length))
            self.end_headers()
            if scripted.fault == "drip":
                self.drip(scripted.seconds)
            else:
                self.wfile.write(scripted.body)

        def drip(self, seconds: float) -> None:
            self.close_connection = True
            until = time.monotonic() + seconds
            while time.monotonic() < until and not box.closing.wait(0.05):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    return

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box = RecordingBox(f"http://127.0.0.1:{server.server_port}/demo")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield box
    finally:
        box.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
