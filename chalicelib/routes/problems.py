"""The one place that maps refusals to HTTP: RFC 9457 problem+json with a stable code."""

import json
import logging
import traceback
from typing import Any

from chalice.app import Response

from chalicelib.domain.errors import Refusal, TooMany

Headers = dict[str, str | list[str]]
MANY_ROWS = ("/v1/conversions/batch", "/v1/validations")
log = logging.getLogger("merchant-box")

_TITLES = {
    400: "The request cannot be read",
    401: "No valid key",
    403: "Not allowed",
    404: "Not found",
    409: "In conflict with what the box holds",
    413: "Too large",
    422: "The values cannot be accepted",
    429: "Too many requests",
    503: "Not available now",
}
_CHALICES_OWN = {
    400: ("bad_request", "The request cannot be read"),
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "Method not allowed"),
    415: ("media_type_not_supported", "Media type not supported"),
}


def problem(status: int, title: str, code: str, detail: str, headers: Headers | None = None) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return Response(
        json.dumps(body),
        status_code=status,
        headers={"Content-Type": "application/problem+json", "Cache-Control": "no-store", **(headers or {})},
    )


def refused(refusal: Refusal) -> Response:
    status = refusal.status
    headers: Headers = {}
    if isinstance(refusal, TooMany):
        headers = {
            "Retry-After": str(refusal.retry_after),
            "RateLimit-Limit": str(refusal.limit),
            "RateLimit-Remaining": "0",
        }
        headers["RateLimit-Reset"] = str(refusal.retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="merchant box"'
    return problem(status, _TITLES[status], refusal.code, refusal.detail, headers)


def broken(error: Exception) -> Response:
    """An error of ours. The log gets where it happened but not the message, which may hold an order's data."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{frame.name} {frame.filename.rsplit('/', 2)[-1]}:{frame.lineno}" for frame in reversed(frames))
    log.error("unexpected %s in %s", type(error).__name__, where)
    return problem(500, "Our mistake", "internal", "The box failed; nothing is lost by sending the same call again.")


def uniform(request: Any, get_response: Any) -> Response:
    """Middleware: Chalice's own 404, 405 and 415 in the same form as ours."""
    response: Response = get_response(request)
    body = response.body
    if not (isinstance(body, dict) and set(body) == {"Code", "Message"}):
        return response
    code, title = _CHALICES_OWN.get(response.status_code, ("internal", "Our mistake"))
    kept: Headers = {name: value for name, value in response.headers.items() if name.lower() != "content-type"}
    detail = str(body["Message"]).rstrip(".") + "."
    if response.status_code == 415:
        detail += " Send the header Content-Type: application/json (curl: -H 'Content-Type: application/json')."
        if request.path in MANY_ROWS:
            detail += " For CSV it is text/csv."
    return problem(response.status_code, title, code, detail, kept)
