"""Serves the example pages as two sites of their own, with this stack's addresses in place of the examples'
placeholders."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ops.local.process import LOOPBACK

BOX = "https://box.example"
SHOP = "https://shop.example"
PUBLISHER = "https://publisher.example"


class Pages:
    """The files of `directory` at `url`, until `stop`. `addresses` maps a placeholder to the address that
    replaces it."""

    def __init__(self, directory: Path, port: int, addresses: Mapping[str, str]) -> None:
        self._files = directory.resolve()
        self.addresses = dict(addresses)
        handler = type("Handler", (_Handler,), {"pages": self})
        self._server = _Server((LOOPBACK, port), handler)
        self.port = self._server.server_address[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
        threading.Thread(target=self._serve, name=directory.name, daemon=True).start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)  # how long `stop` may take

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def find(self, path: str) -> tuple[bytes, str] | None:
        """Content and type of the page at a URL's path, or None. Nothing outside the directory is ever
        read."""
        name = unquote(path).lstrip("/")
        if "\0" in name:
            return None
        file = (self._files / name).resolve()
        if file.is_dir():
            file /= "index.html"
        if not file.is_relative_to(self._files) or not file.is_file():
            return None
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if not kind.startswith("text/"):
            return file.read_bytes(), kind
        return self._filled_in(file.read_text()).encode(), f"{kind}; charset=utf-8"

    def _filled_in(self, text: str) -> str:
        for placeholder, address in self.addresses.items():
            text = text.replace(placeholder, address)
            text = text.replace(quote(placeholder, safe=""), quote(address, safe=""))
        return text


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A browser that closes a connection early is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    pages: Pages
    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        found = self.pages.find(urlsplit(self.path).path)
        content, kind = found or (b"There is no such page in this shop.\n", "text/plain; charset=utf-8")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        """Shoppers are not written down."""
