"""Nodes that are not what one would wish: each passes every question on and may say something else than what it was answered."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Alter = Callable[[dict[str, Any], dict[str, Any]], Any]
"""(the question, the answer to it) -> what this node answers; a list's questions come one by one."""


@contextmanager
def node_that(
    alter: Alter, target: str, *, cors: bool = True, busy: bool = False, error_status: int = 200
) -> Iterator[str]:
    """Its URL. Without `cors` no page may ask it. One that is `busy` wants to be asked everything twice. `error_status` is of its
    refusals: some nodes say 400, most 200."""
    asked_before: set[bytes] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_OPTIONS(self) -> None:
            self._send(b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if busy and body not in asked_before:
                asked_before.add(body)
                self._send(b"", 429)
                return
            asked, answered = json.loads(body), _ask(target, body)
            if isinstance(asked, list):
                pairs = zip(asked, sorted(answered, key=lambda one: int(one["id"])), strict=True)
                shown: Any = [said for said in (alter(*pair) for pair in pairs) if said is not None]
            else:
                shown = alter(asked, answered)
            self._send(json.dumps(shown).encode(), error_status if "error" in shown else 200)

        def _send(self, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if cors:
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Access-Control-Allow-Headers", "content-type")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _ask(target: str, body: bytes) -> Any:
    request = urllib.request.Request(target, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def forgets(*methods: str) -> Alter:
    """Knows nothing of what these ask for, as one that throws old data away."""
    return lambda asked, answered: {**answered, "result": None} if asked["method"] in methods else answered


def leaves_out(topic: str) -> Alter:
    """Shows no log of that event, and does not say so."""

    def alter(asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
        if asked["method"] != "eth_getLogs":
            return answered
        return {**answered, "result": [log for log in answered["result"] if log["topics"][0] != topic]}

    return alter


def answers(method: str, result: Any) -> Alter:
    return lambda asked, answered: {**answered, "result": result} if asked["method"] == method else answered


MOST_BLOCKS = 20


def narrow_node(target: str, error_status: int = 200) -> AbstractContextManager[str]:
    """As the public ones are: it searches few blocks at once for logs, and says no to more in words of its own."""

    def alter(asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
        if asked["method"] != "eth_getLogs" or _blocks(target, asked["params"][0]) <= MOST_BLOCKS:
            return answered
        error = {"code": -32602, "message": f"query exceeds max block range {MOST_BLOCKS}"}
        return {"jsonrpc": "2.0", "id": asked["id"], "error": error}

    return node_that(alter, target, error_status=error_status)


def _blocks(target: str, asked: dict[str, Any]) -> int:
    """How many blocks the question is about; without an end, up to the head."""
    head = _ask(target, b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}')["result"]
    first, last = asked.get("fromBlock", "latest"), asked.get("toBlock", "latest")
    return int(head if last == "latest" else last, 16) - int(head if first == "latest" else first, 16) + 1
