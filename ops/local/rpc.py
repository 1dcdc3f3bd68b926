"""JSON-RPC to a node on this machine: for the local stack and the tests alone (the box has its own guarded
exit)."""

from __future__ import annotations

import json
import urllib.request
from typing import Any


class RpcRefused(RuntimeError):
    """The node answered with an error; the message is the node's."""


def call(url: str, method: str, *params: Any, timeout: float = 30.0) -> Any:
    """One call's `result`. Raises RpcRefused for an answer with an error, OSError when there is no answer."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        answer = json.load(response)
    if "error" in answer:
        raise RpcRefused(f"{method}: {answer['error'].get('message', answer['error'])}")
    return answer["result"]


def answers(url: str) -> bool:
    """Whether a node answers there now."""
    try:
        call(url, "eth_chainId", timeout=1.0)
    except (OSError, ValueError, RpcRefused):
        return False
    return True
