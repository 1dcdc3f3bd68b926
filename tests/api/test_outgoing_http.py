"""The one exit for outgoing HTTP goes nowhere private, whatever a name resolves to and wherever a redirect leads."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chalicelib.adapters import http

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_private_in_every_spelling(address: str) -> None:
    assert not http.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    assert http.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0/",
    ],
)
def test_no_spelling_of_loopback_or_metadata_is_called(url: str) -> None:
    with pytest.raises(http.NotAllowed):
        http.send("GET", url, {}, None, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://x/",
        "http:///x",
        "http://a b/",
        "http://u:p@x.example/",
        "http://x.example:22/",
        "http://x.example:99999/",
    ],
)
def test_what_is_no_plain_web_address_is_not_called(url: str) -> None:
    with pytest.raises(http.NotAllowed):
        http.send("GET", url, {}, None, allow_private=True)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(http.NotAllowed):
        http.send("GET", "http://two-faced.example/", {}, None, allow_private=False)


DRIPS = {
    "drip-status": b"HTTP/1.0 20",
    "drip-headers": b"HTTP/1.0 200 OK\r\nX-Slow: ",
    "drip-length": b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n",
    "drip-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n",
    "drip": b"HTTP/1.0 200 OK\r\n\r\n",
}
"""Behind each of these comes a byte every tenth of a second, for twenty seconds."""


class Server:
    def __init__(self) -> None:
        self.got: list[tuple[str, str, str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def receive(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.got.append((self.command, self.path, self.headers["Host"], body))
                kind, _, rest = self.path.strip("/").partition("/")
                if kind in ("301", "302", "303", "307", "308"):
                    self.send_response(int(kind))
                    self.send_header("Location", f"/{rest}")
                    self.end_headers()
                elif kind in DRIPS:
                    with contextlib.suppress(OSError):
                        self.wfile.write(DRIPS[kind])
                        for _ in range(200):
                            self.wfile.write(b"x")
                            time.sleep(0.1)
                else:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b"x" * (5_000_000 if kind == "large" else 2))

            do_GET = do_POST = receive

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def test_the_connection_goes_to_the_address_that_was_judged_under_the_name_that_was_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
    asked: list[str] = []

    def resolve(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return found

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    answer = http.send("GET", f"http://name.example:{server.port}/a?b=c", {}, None, allow_private=True)
    assert (answer.status, server.got[0][:3]) == (200, ("GET", "/a?b=c", f"name.example:{server.port}"))
    assert asked[0] == "name.example" and "name.example" not in asked[1:], "the name is resolved once"


def test_a_redirect_is_judged_like_a_first_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    real = http._resolved

    def first_is_fine(host: str, port: int, allow_private: bool, until: float) -> str:
        judged.append(host)
        return real(host, port, allow_private or len(judged) == 1, until)

    monkeypatch.setattr(http, "_resolved", first_is_fine)
    with pytest.raises(http.NotAllowed):
        http.send("GET", f"http://127.0.0.1:{server.port}/302/inside", {}, None, allow_private=False)
    assert len(judged) == 2 and len(server.got) == 1


def test_redirects_keep_the_method_or_fail_and_end(server: Server) -> None:
    at = f"http://127.0.0.1:{server.port}"
    assert http.send("POST", f"{at}/307/308/ok", {}, b"body", allow_private=True).status == 200
    assert server.got[-1][0] == "POST" and server.got[-1][3] == b"body"
    with pytest.raises(http.Failed):
        http.send("POST", f"{at}/302/ok", {}, b"body", allow_private=True)
    with pytest.raises(http.Failed):
        http.send("GET", f"{at}/302/302/302/302/ok", {}, None, allow_private=True)


def test_an_answer_is_bounded_in_size(server: Server) -> None:
    at = f"http://127.0.0.1:{server.port}"
    assert len(http.send("GET", f"{at}/large", {}, None, allow_private=True).body) == http.MAX_ANSWER_BYTES


@pytest.mark.parametrize("kind", DRIPS)
def test_an_answer_is_bounded_in_time_wherever_it_drips(
    server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 1.0)
    started = time.monotonic()
    url = f"http://127.0.0.1:{server.port}/{kind}"
    if kind in ("drip-status", "drip-headers"):
        with pytest.raises(http.Failed):
            http.send("POST", url, {}, b"told", allow_private=True)
    else:
        assert http.send("POST", url, {}, b"told", allow_private=True).status == 200, (
            "it was taken; the body is no matter"
        )
    assert time.monotonic() - started < 10, "it drips for twenty seconds"


def test_a_name_that_resolves_too_slowly_does_not_hold_the_box_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns a name chooses how slow its servers are."""
    over = threading.Event()
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    try:
        started = time.monotonic()
        with pytest.raises(http.Failed):
            http.send("GET", "http://slow.example/", {}, None, allow_private=True)
        assert time.monotonic() - started < 30
    finally:
        over.set()
