"""What the smoke test makes of a signer that cannot do its work. The seam is the deployed box: what it answers is told here."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from chalicelib.domain.config import parse
from ops.asking import Answer, DoesNotHold
from ops.aws import smoke
from ops.local.process import ROOT

DEMO = ROOT / "configs" / "demo.json"


class Confirmer:
    """The function, which runs to its end whatever the nodes do."""

    def __init__(self, failed: str | None = None) -> None:
        self._failed = failed

    class meta:
        region_name = "eu-west-1"

    def invoke(self, **_: Any) -> dict[str, Any]:
        if self._failed is None:
            return {}
        return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps({"errorType": self._failed}).encode())}


def signer_step(monkeypatch: pytest.MonkeyPatch, network: Any, failed: str | None = None) -> None:
    monkeypatch.setattr(smoke, "client", lambda _: Confirmer(failed))
    monkeypatch.setattr(smoke, "ask", lambda *_: Answer(200, {}, json.dumps({"network": network}).encode()))
    smoke._signer("https://box.example", parse(DEMO.read_bytes(), "demo.json"))


def test_a_signer_whose_node_answers_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    signer_step(monkeypatch, {"rpc": "ok"})


@pytest.mark.parametrize(
    ("network", "failed", "told"),
    [
        ({"rpc": "no answer: eth_getBlockByNumber: ConnectionError"}, None, "no answer: eth_getBlockByNumber"),
        (None, None, "no RPC node has answered yet"),
        ({"rpc": "ok"}, "SignerRefused", "SignerRefused"),
    ],
)
def test_a_signer_that_reaches_no_node_does_not_although_its_function_ran_to_its_end(
    monkeypatch: pytest.MonkeyPatch, network: Any, failed: str | None, told: str
) -> None:
    with pytest.raises(DoesNotHold, match=told):
        signer_step(monkeypatch, network, failed)
