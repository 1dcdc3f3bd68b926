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


def signer_step(monkeypatch: pytest.MonkeyPatch, *networks: Any, failed: str | None = None, seconds: float = 0) -> None:
    """`networks`: what the box tells of the network at each look, the last of them for good."""
    left = list(networks)

    def ask(*_: Any) -> Answer:
        told = left.pop(0) if len(left) > 1 else left[0]
        return Answer(200, {}, json.dumps({"network": told}).encode())

    monkeypatch.setattr(smoke, "client", lambda _: Confirmer(failed))
    monkeypatch.setattr(smoke, "ask", ask)
    monkeypatch.setattr(smoke, "READY_SECONDS", seconds)
    monkeypatch.setattr(smoke, "POLL_SECONDS", 0)
    smoke._signer("https://box.example", parse(DEMO.read_bytes(), "demo.json"))


def test_a_signer_whose_node_answers_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    signer_step(monkeypatch, {"rpc": "ok"})


def test_one_late_answer_undoes_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    signer_step(monkeypatch, None, {"rpc": "no answer: eth_call: ReadTimeout"}, {"rpc": "ok"}, seconds=60)


@pytest.mark.parametrize(
    ("network", "failed", "told"),
    [
        ({"rpc": "no answer: eth_getBlockByNumber: ConnectionError"}, None, "no answer: eth_getBlockByNumber"),
        (None, None, "none has answered yet"),
        ({"rpc": "ok"}, "SignerRefused", "SignerRefused"),
    ],
)
def test_a_signer_that_reaches_no_node_does_not_although_its_function_ran_to_its_end(
    monkeypatch: pytest.MonkeyPatch, network: Any, failed: str | None, told: str
) -> None:
    with pytest.raises(DoesNotHold, match=told):
        signer_step(monkeypatch, network, failed=failed)


def test_an_answer_of_another_form_is_a_release_that_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to be told as such, for that is what a roll-back waits for."""
    odd = Answer(200, {}, json.dumps({"configHash": "the-wanted", "merchant": None}).encode())
    monkeypatch.setattr(smoke, "ask", lambda *_, **__: odd)
    with pytest.raises(DoesNotHold, match="'shows its public config' does not hold"):
        smoke.smoke("https://box.example", parse(DEMO.read_bytes(), "demo.json"), "the-wanted")
