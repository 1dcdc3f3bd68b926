"""The smoke test of a deployed box, through its public address: does it run what was just deployed, and does it work."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.config import Config
from ops.asking import DoesNotHold, ask, expect
from ops.aws.clients import client
from ops.aws.names import Names
from ops.local.process import ROOT

READY_SECONDS = 45.0
POLL_SECONDS = 3.0


def config_hash(file: Path) -> str:
    """As /v1/status tells it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def smoke(url: str, config: Config, wanted_hash: str, *, signs: bool = True) -> list[str]:
    """Every step's name, in order. Raises DoesNotHold at the first that does not hold."""
    steps: list[tuple[str, Callable[[], None]]] = [
        ("runs the config deployed", lambda: runs(url, wanted_hash)),
        ("shows its public config", lambda: _shows(url, config)),
        ("serves the tag", lambda: _tag(url)),
        ("takes a test sale", lambda: _sale(url, config)),
        ("refuses a caller without a key", lambda: _refuses(url)),
        ("answers an unknown path with a problem", lambda: _unknown(url)),
    ]
    if signs:
        steps.append(("its signer reaches the network", lambda: _signer(url, config)))
    for name, step in steps:
        try:
            step()
        except (KeyError, TypeError, AttributeError, ClientError) as error:
            # An answer of another form, or a function that may not be called: as good a reason to go back as a wrong answer.
            raise DoesNotHold(f"'{name}' does not hold: {type(error).__name__}: {error}") from error
    return [name for name, _ in steps]


def runs(url: str, wanted_hash: str) -> None:
    """Waits: a Lambda's new code is live some seconds after the update's answer."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        answer = ask("GET", f"{url}/v1/status")
        found = answer.json.get("configHash") if answer.status in (200, 503) else None
        if (answer.status, found) == (200, wanted_hash):
            return
        if time.monotonic() > deadline:
            raise DoesNotHold(f"/v1/status answers {answer.status} with config {found}, not {wanted_hash}")
        time.sleep(0.5)


def _shows(url: str, config: Config) -> None:
    answer = ask("GET", f"{url}/v1/config")
    expect(answer.status, 200, "/v1/config's status")
    expect(answer.json["merchant"]["id"], config.merchant.id, "its merchant")
    expect(answer.json["contract"], config.network.contract, "its contract")


def _tag(url: str) -> None:
    """The bytes that lie in this project, or - in a roll-back - at least those whose hash the box's own config names."""
    tag = ask("GET", f"{url}/libs/mtag.js")
    expect(tag.status, 200, "the tag's status")
    told = ask("GET", f"{url}/v1/config").json["tag"]["integrity"]
    algorithm, _, digest = told.partition("-")
    expect(base64.b64encode(hashlib.new(algorithm, tag.body).digest()).decode(), digest, "the tag's hash")
    ours = (ROOT / "chalicelib/web/tag/mtag.js").read_bytes()
    expect(len(tag.body) > len(ours) // 2, True, "the whole tag served")


def _sale(url: str, config: Config) -> None:
    """`isTest`: stored and listed, never on the network, gone after a week."""
    event = f"smoke-{secrets.token_hex(6)}"
    report = {"action": "sale", "values": ["1"], "metadata": {"orderId": event}, "eventId": event, "isTest": True}
    answer = ask(
        "POST", f"{url}/v1/beacon/conversion", report, Content_Type="application/json", Origin=config.site.origins[0]
    )
    expect(answer.status, 202, f"a test sale's status ({answer.body[:200]!r})")
    expect(answer.headers.get("Access-Control-Allow-Origin"), config.site.origins[0], "the origin allowed")


def _refuses(url: str) -> None:
    expect(ask("GET", f"{url}/v1/conversions").status, 401, "the answer to a caller without a key")


def _unknown(url: str) -> None:
    answer = ask("GET", f"{url}/v1/nothing-here-{secrets.token_hex(3)}")
    expect((answer.status, answer.json.get("code")), (404, "not_found"), "an unknown path's answer")


def _signer(url: str, config: Config) -> None:
    """Runs the confirmer and looks what it wrote: RPC, key and tables all have to work for that. A node that does not answer is no
    failure of the function; one that is late for once is given time."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        _confirm(Names(config.merchant.id).function("confirm_on_schedule"))
        seen = ask("GET", f"{url}/v1/status").json.get("network")
        if seen is not None and seen["rpc"] == "ok":
            return
        if time.monotonic() > deadline:
            told = "none has answered yet" if seen is None else seen["rpc"]
            raise DoesNotHold(
                f"the signer reaches no RPC node ({told}): see the addresses given with `box provision --rpc`"
            )
        time.sleep(POLL_SECONDS)


def _confirm(function: str) -> None:
    answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(scheduled_event(function)).encode())
    if "FunctionError" in answer:
        told = json.loads(answer["Payload"].read())
        raise DoesNotHold(f"confirm_on_schedule failed: {told.get('errorType', 'unknown error')}")


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
