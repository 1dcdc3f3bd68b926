"""JSON-RPC to a node on this machine: for the local stack and the tests alone (the box has its own guarded
exit)."""

from __future__ import annotations

import json
import urllib.request
from typing import Any


class RpcRefused(RuntimeError):
    """The node answered with an error; the message is the node's, `data` what a contract refused with."""

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data


def call(url: str, method: str, *params: Any, timeout: float = 30.0) -> Any:
    """One call's `result`. Raises RpcRefused for an answer with an error, OSError when there is no answer."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        answer = json.load(response)
    if "error" in answer:
        error = answer["error"]
        raise RpcRefused(f"{method}: {error.get('message', error)}", _revert_data(error.get("data")))
    return answer["result"]


def _revert_data(told: Any) -> bytes:
    """Some nodes wrap it once more."""
    data = told.get("data") if isinstance(told, dict) else told
    return bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""


def answers(url: str) -> bool:
    """Whether a node answers there now."""
    try:
        call(url, "eth_chainId", timeout=1.0)
    except (OSError, ValueError, RpcRefused):
        return False
    return True
