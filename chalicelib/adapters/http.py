"""The one exit for HTTP to addresses that strangers chose: publishers' postbacks.

The name is resolved here, every address it has is judged, and the connection goes to the address that was judged - so a name that
resolves differently a moment later changes nothing. A redirect is a new address and is judged again.

All of it - resolving, connecting, the redirects, each byte of the answer - shares one deadline: the other side chooses how slow it is, and
whoever else is to be told waits behind it.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

CONNECT_SECONDS = 4.0
TOTAL_SECONDS = 10.0
MAX_ANSWER_BYTES = 16 * 1024
MAX_REDIRECTS = 3
MAX_URL = 4096
_KEPT_METHOD = (307, 308)
_MOVED = (301, 302, 303, *_KEPT_METHOD)
_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "fec0::/10",
    )
)
"""Beside what Python calls not global, whose opinion differs between its versions."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotAllowed(Exception):
    """The address is one the box does not call; nothing was sent."""


class Failed(Exception):
    """No answer: refused, timed out, broke off, or redirected too often."""


@dataclass(frozen=True)
class Answer:
    """`body` is at most MAX_ANSWER_BYTES of what came."""

    status: int
    body: bytes
    milliseconds: int


def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, allow_private: bool) -> Answer:
    """One request, redirects followed. Raises NotAllowed or Failed."""
    started = time.monotonic()
    for _ in range(MAX_REDIRECTS + 1):
        status, location, content = _once(method, url, headers, body, allow_private, started + TOTAL_SECONDS)
        if status not in _MOVED or not location:
            return Answer(status, content, int((time.monotonic() - started) * 1000))
        url = urljoin(url, location)
        if status not in _KEPT_METHOD and method != "GET":
            raise Failed(f"the answer {status} would turn the {method} into a GET; use 307 or 308")
    raise Failed(f"more than {MAX_REDIRECTS} redirects")


def check_url(url: str) -> None:
    """What can be said before the name is resolved. Raises NotAllowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotAllowed("the address cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotAllowed("the address begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise NotAllowed("the address holds a user name or password")
    if port is not None and port < 1024 and port not in (80, 443):
        raise NotAllowed("the port is neither 80, 443 nor above 1023")
    if len(url) > MAX_URL or not url.isascii() or any(character <= " " for character in url):
        raise NotAllowed(f"the address has at most {MAX_URL} ASCII characters and no spaces")


def is_public(address: str) -> bool:
    """Whether anyone could reach it. What embeds an IPv4 address is judged by that one too."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        embedded = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            embedded = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public(str(embedded))
        if not found.is_global or int(found) >> 32 == 0:
            return False
    refused = any(found in network for network in _NEVER_PUBLIC if network.version == found.version)
    return found.is_global and not found.is_multicast and not found.is_reserved and not refused


def _left(until: float) -> float:
    """Seconds. Raises TimeoutError when there are none: a socket takes 0 for "never wait"."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


def _resolved(host: str, port: int, allow_private: bool, until: float) -> str:
    try:
        addresses = _looked_up(host, port, until)
    except (OSError, UnicodeError):
        raise Failed("the host's name does not resolve") from None
    if not allow_private and not all(map(is_public, addresses)):
        raise NotAllowed("the host's name leads to a private or local address")
    return addresses[0]


def _looked_up(host: str, port: int, until: float) -> list[str]:
    """In a thread of its own, for nothing else bounds how long a resolver takes."""
    found: Future[list[str]] = Future()

    def look() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([str(info[4][0]) for info in infos])
        except Exception as error:  # noqa: BLE001 - raised again by whoever asked
            found.set_exception(error)

    threading.Thread(target=look, name="resolver", daemon=True).start()
    return found.result(_left(until))


def _once(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, allow_private: bool, until: float
) -> tuple[int, str | None, bytes]:
    check_url(url)
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    address = _resolved(host, port, allow_private, until)
    connection = _Connection(host, port, address, secure, until)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, {"User-Agent": "merchant-box", "Accept": "*/*", **headers})
        with connection.getresponse() as answer:
            return answer.status, answer.getheader("Location"), _read(answer)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"no answer ({type(error).__name__})") from None
    finally:
        connection.close()


def _read(answer: http.client.HTTPResponse) -> bytes:
    """As much as is kept, in the time that is left: the answer is its status, and a body that drips does not undo it."""
    content = b""
    try:
        while len(content) < MAX_ANSWER_BYTES and (part := answer.read1(MAX_ANSWER_BYTES - len(content))):
            content += part
    except TimeoutError:
        pass
    return content


class _Connection(http.client.HTTPConnection):
    """Connects to `address`, and calls the host by its name: in the Host header, and in the certificate's check."""

    def __init__(self, host: str, port: int, address: str, secure: bool, until: float) -> None:
        super().__init__(host, port)
        self._address, self._secure, self._until = address, secure, until
        self.default_port = 443 if secure else 80
        self.response_class = partial(_Response, until=until)  # type: ignore[assignment]

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), min(CONNECT_SECONDS, _left(self._until)))
        plain.settimeout(_left(self._until))
        self.sock = (
            ssl.create_default_context().wrap_socket(plain, server_hostname=self.host) if self._secure else plain
        )

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(_left(self._until))
        super().send(data)


class _Response(http.client.HTTPResponse):
    """One that is read, from its status line on, until the deadline and no longer."""

    def __init__(self, sock: socket.socket, *, until: float, **options: Any) -> None:
        super().__init__(sock, **options)
        self.fp = io.BufferedReader(_InTime(sock, self.fp.detach(), until))


class _InTime(io.RawIOBase):
    """A socket's timeout is for one read; here each read has what the ones before it left."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, until: float) -> None:
        self._sock, self._raw, self._until = sock, raw, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._until))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
