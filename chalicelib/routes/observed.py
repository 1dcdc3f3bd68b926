"""What every function tells about itself on AWS: a line a request, and after each look at the network what was seen.

The line is log and metric in one. Locally nothing of this runs: there the box's own log and dashboard are looked at.
"""

import json
import re
import time
from collections.abc import Callable
from typing import Any

from chalice.app import Chalice, Request, Response

from chalicelib.settings import settings

CONFIRMER = "confirm_on_schedule"
NEW_CONVERSION = 202
GWEI = 10**9
CONVERSION_ID = re.compile(r"[a-z2-7]{26}")


def observe(app: Chalice) -> None:
    """Register the observers, in Lambda alone."""
    if settings().function is None:
        return
    from chalicelib.adapters import telemetry

    telemetry.install(settings().merchant)
    app.register_middleware(_request, "http")
    app.register_middleware(_schedule, "scheduled")


def _request(request: Request, get_response: Callable[[Request], Response]) -> Response:
    from chalicelib.adapters import telemetry

    telemetry.JsonLines.request_id = _request_id(request)
    started = time.perf_counter()
    response = get_response(request)
    metrics = counted(request.path, request.method, response.status_code)
    metrics["Milliseconds"] = round((time.perf_counter() - started) * 1000, 1)
    telemetry.emit(settings().merchant, metrics, fields(request, response))
    return response


def counted(route: str, method: str, status: int) -> dict[str, float]:
    """What a request counts as. `route` is the declared one, with its variables unfilled."""
    found: dict[str, float] = {"Requests": 1}
    if status >= 500:
        found["ServerErrors"] = 1
    elif status >= 400:
        found["Refusals"] = 1
    elif method == "POST" and route in ("/v1/conversions", "/v1/beacon/conversion") and status == NEW_CONVERSION:
        found["Conversions"] = 1
    elif (route.startswith("/click/") and status == 302) or (route == "/v1/beacon/click" and status == NEW_CONVERSION):
        found["Clicks"] = 1
    return found


def fields(request: Request, response: Response) -> dict[str, Any]:
    """To search by: no address, no query, no body - of an answer its problem's code and the conversion's id alone."""
    told = _answer(response)
    # What the caller wrote into the path may be anything, an order's number or somebody's address.
    asked = (request.uri_params or {}).get("conversion_id", "")
    return {
        "requestId": _request_id(request),
        "route": request.path,
        "method": request.method,
        "status": response.status_code,
        "code": told.get("code"),
        "conversionId": told.get("conversionId") or (asked if CONVERSION_ID.fullmatch(asked) else None),
    }


def _request_id(request: Request) -> str | None:
    found: str | None = (request.context or {}).get("requestId")
    return found


def _answer(response: Response) -> dict[str, Any]:
    body = response.body
    if isinstance(body, str) and body.startswith("{"):
        try:
            body = json.loads(body)
        except ValueError:
            return {}
    return {key: value for key, value in body.items() if isinstance(value, str)} if isinstance(body, dict) else {}


def _schedule(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """After the confirmer's run: what it saw of the network, which the alarms are about."""
    response = get_response(event)
    if (settings().function or "").endswith(CONFIRMER):
        from chalicelib.adapters import telemetry
        from chalicelib.bootstrap import box

        report = box().state.read("network-report", dict[str, Any])
        if report is not None:
            telemetry.emit(settings().merchant, seen(report, box().now()), {"function": CONFIRMER})
    return response


def seen(report: dict[str, Any], now: int) -> dict[str, float]:
    """The confirmer's report as metrics. `now` in milliseconds. An old report counts as what it is: nothing was seen since.

    What was sent and is in no block waits like what was not sent, and one alarm is about both.
    """
    waiting = [int(report[name]) for name in ("oldestUnsent", "oldestInFlight") if report.get(name)]
    return {
        "OldestUnsentSeconds": max(0, now - min(waiting, default=now)) // 1000,
        "SignerBalanceGwei": int(report["balance"]) // GWEI,
        "InFlight": int(report["inFlight"]),
        "Paused": 1 if report.get("paused") else 0,
        "RpcSilent": 0 if report.get("rpc") == "ok" else 1,
    }
