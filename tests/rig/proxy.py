"""A proxy in front of the node that does on command what networks do: time-outs after accepting, dropped answers, 429, garbage, stale
nonces. And always what real nodes do and anvil does not: a replacement has to offer 10 % more on both fees."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import rlp
from eth_account import Account

from chalicelib.domain.keccak import keccak256
from ops.local import rpc

Kind = Literal[
    "accepted_unanswered",
    "unanswered",
    "429",
    "garbage",
    "half",
    "stale_nonce",
    "nonce_ahead",
    "null",
    "refused",
    "overload",
    "dataless",
    "behind",
]


BEHIND = 6
"""Blocks that a node which lags is behind: more than it takes until one is final."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of a call is part of the tests."""


@dataclass
class Fault:
    """`times` more calls of `method` ("" is any) that have the parameter `about` ("" is any) meet it. `say` is the node's message for
    "refused"."""

    kind: Kind
    method: str
    times: int
    say: str = ""
    about: str = ""


class Proxy:
    """An RPC endpoint at `url` that passes calls on to `target`."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.seen: Counter[str] = Counter()
        self.refused_replacements = 0
        self.down = False
        self._faults: list[Fault] = []
        self._offers: dict[tuple[str, int], tuple[str, int, int]] = {}
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else each answer, a head and a body, waits 40 ms for the other side's acknowledgement.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                proxy.answer(self, call)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(
        self, kind: Kind, method: str = "eth_sendRawTransaction", times: int = 1, say: str = "", about: str = ""
    ) -> None:
        with self._lock:
            self._faults.append(Fault(kind, method, times, say, about))

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()
            self.down = False

    @property
    def left(self) -> int:
        """Faults that nothing has met yet."""
        return len(self._faults)

    def answer(self, handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        method = call["method"]
        self.seen[method] += 1
        fault = self._next_fault(method, call.get("params", []))
        if self.down or (fault and fault.kind == "unanswered"):
            handler.close_connection = True
            return
        if fault and fault.kind == "429":
            _send(handler, b"slow down", 429, {"Retry-After": "0"})
            return
        if fault and fault.kind in ("refused", "overload"):
            error = (
                {"code": -32000, "message": fault.say} if fault.say else {"code": -32005, "message": "limit exceeded"}
            )
            _send(handler, _answer(call, error=error))
            return
        answer = self._refused_replacement(call) if method == "eth_sendRawTransaction" else None
        if fault and fault.kind == "behind":
            head = int(rpc.call(self.target, "eth_blockNumber"), 16)
            call = _as_of(call, max(0, head - BEHIND))
        answer = answer or self._forward(call)
        if fault and fault.kind == "accepted_unanswered":
            handler.close_connection = True
            return
        _send(handler, _spoiled(fault, call, answer))

    def _next_fault(self, method: str, params: list[Any]) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.method in ("", method) and (not fault.about or fault.about in params):
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

    def _forward(self, call: dict[str, Any]) -> bytes:
        request = urllib.request.Request(self.target, json.dumps(call).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return bytes(response.read())

    def _refused_replacement(self, call: dict[str, Any]) -> bytes | None:
        raw = bytes.fromhex(call["params"][0][2:])
        fields = rlp.decode(raw[1:])
        nonce, priority_fee, max_fee = (int.from_bytes(fields[i], "big") for i in (1, 2, 3))
        sender = Account.recover_transaction(raw)
        name = keccak256(raw).hex()
        mined = int(rpc.call(self.target, "eth_getTransactionCount", sender, "latest"), 16)
        known = self._offers.get((sender, nonce))
        if (
            known
            and known[0] != name
            and nonce >= mined
            and (priority_fee * 10 < known[1] * 11 or max_fee * 10 < known[2] * 11)
        ):
            self.refused_replacements += 1
            return _answer(call, error={"code": -32000, "message": "replacement transaction underpriced"})
        self._offers[sender, nonce] = (name, priority_fee, max_fee)
        return None


def _spoiled(fault: Fault | None, call: dict[str, Any], answer: bytes) -> bytes:
    if fault is None:
        return answer
    if fault.kind == "garbage":
        return b"<html>502 Bad Gateway</html>"
    if fault.kind == "half":
        return answer[: len(answer) // 2]
    if fault.kind == "dataless":
        return _without_data(call, answer)
    if fault.kind == "null":
        return _answer(call, result=None)
    if fault.kind in ("stale_nonce", "nonce_ahead"):
        step = -1 if fault.kind == "stale_nonce" else 3
        return _answer(call, result=hex(max(0, int(json.loads(answer)["result"], 16) + step)))
    return answer


def _without_data(call: dict[str, Any], answer: bytes) -> bytes:
    """As a node that keeps a revert's reason to itself."""
    error = json.loads(answer).get("error")
    return answer if error is None else _answer(call, error={"code": error["code"], "message": "execution reverted"})


def _as_of(call: dict[str, Any], block: int) -> dict[str, Any]:
    """The question as a node would take it whose newest block is that one."""
    names = {"eth_estimateGas": 1, "eth_call": 1, "eth_getTransactionCount": 1, "eth_getBlockByNumber": 0}
    place = names.get(call["method"])
    if place is None or call["params"][place : place + 1] not in ([], ["latest"]):
        return call
    params = [*call["params"][:place], hex(block), *call["params"][place + 1 :]]
    return {**call, "params": params}


def _answer(call: dict[str, Any], **content: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": call["id"], **content}).encode()


def _send(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    handler.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
