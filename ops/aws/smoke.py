"""The smoke test of a deployed box, through its public address: does it run what was just deployed, and does it work."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.domain.config import Config
from ops.aws.clients import client
from ops.aws.names import Names
from ops.local.process import ROOT

READY_SECONDS = 45.0
CALL_SECONDS = 35.0


class SmokeFailed(Exception):
    """The first step that did not hold: what was expected, what came."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise SmokeFailed(f"the answer ({self.status}) is not JSON") from None


def ask(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
    except OSError as error:
        raise SmokeFailed(f"{method} {url}: {error}") from None


def config_hash(file: Path) -> str:
    """As /v1/status tells it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def smoke(url: str, config: Config, wanted_hash: str, *, signs: bool = True) -> list[str]:
    """Every step's name, in order. Raises SmokeFailed at the first that does not hold."""
    steps: list[tuple[str, Callable[[], None]]] = [
        ("runs the config deployed", lambda: runs(url, wanted_hash)),
        ("shows its public config", lambda: _shows(url, config)),
        ("serves the tag", lambda: _tag(url)),
        ("takes a test sale", lambda: _sale(url, config)),
        ("refuses a caller without a key", lambda: _refuses(url)),
        ("answers an unknown path with a problem", lambda: _unknown(url)),
    ]
    if signs:
        steps.append(("its signer reaches the network", lambda: _signer(config)))
    for _, step in steps:
        step()
    return [name for name, _ in steps]


def _expect(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        raise SmokeFailed(f"{what} is {found!r}, not {wanted!r}")


def runs(url: str, wanted_hash: str) -> None:
    """Waits: a Lambda's new code is live some seconds after the update's answer."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        answer = ask("GET", f"{url}/v1/status")
        found = answer.json.get("configHash") if answer.status in (200, 503) else None
        if (answer.status, found) == (200, wanted_hash):
            return
        if time.monotonic() > deadline:
            raise SmokeFailed(f"/v1/status answers {answer.status} with config {found}, not {wanted_hash}")
        time.sleep(0.5)


def _shows(url: str, config: Config) -> None:
    answer = ask("GET", f"{url}/v1/config")
    _expect(answer.status, 200, "/v1/config's status")
    _expect(answer.json["merchant"]["id"], config.merchant.id, "its merchant")
    _expect(answer.json["contract"], config.network.contract, "its contract")


def _tag(url: str) -> None:
    """The bytes that lie in this project, or - in a roll-back - at least those whose hash the box's own config names."""
    tag = ask("GET", f"{url}/libs/mtag.js")
    _expect(tag.status, 200, "the tag's status")
    told = ask("GET", f"{url}/v1/config").json["tag"]["integrity"]
    algorithm, _, digest = told.partition("-")
    _expect(base64.b64encode(hashlib.new(algorithm, tag.body).digest()).decode(), digest, "the tag's hash")
    ours = (ROOT / "chalicelib/web/tag/mtag.js").read_bytes()
    _expect(len(tag.body) > len(ours) // 2, True, "the whole tag served")


def _sale(url: str, config: Config) -> None:
    """`isTest`: stored and listed, never on the network, gone after a week."""
    event = f"smoke-{secrets.token_hex(6)}"
    report = {"action": "sale", "values": ["1"], "metadata": {"orderId": event}, "eventId": event, "isTest": True}
    answer = ask("POST", f"{url}/v1/beacon/conversion", report, {"Origin": config.site.origins[0]})
    _expect(answer.status, 202, f"a test sale's status ({answer.body[:200]!r})")
    _expect(answer.headers.get("Access-Control-Allow-Origin"), config.site.origins[0], "the origin allowed")


def _refuses(url: str) -> None:
    _expect(ask("GET", f"{url}/v1/conversions").status, 401, "the answer to a caller without a key")


def _unknown(url: str) -> None:
    answer = ask("GET", f"{url}/v1/nothing-here-{secrets.token_hex(3)}")
    _expect((answer.status, answer.json.get("code")), (404, "not_found"), "an unknown path's answer")


def _signer(config: Config) -> None:
    """Runs the confirmer once and looks what it wrote: RPC, key and tables all have to work for that."""
    function = Names(config.merchant.id).function("confirm_on_schedule")
    answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(scheduled_event(function)).encode())
    if "FunctionError" in answer:
        told = json.loads(answer["Payload"].read())
        raise SmokeFailed(f"confirm_on_schedule failed: {told.get('errorType', 'unknown error')}")


def scheduled_event(name: str) -> dict[str, Any]:
    """What EventBridge sends."""
    return {
        "version": "0",
        "id": secrets.token_hex(16),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "region": client("lambda").meta.region_name,
        "resources": [name],
        "detail": {},
    }
