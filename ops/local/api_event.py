"""What API Gateway's Lambda proxy integration makes of a request, and of a handler's answer (REST API,
payload version 1.0)."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import parse_qs

Event = dict[str, Any]


@dataclass(frozen=True)
class Route:
    pattern: str
    captured: dict[str, str]


class Routes:
    """Finds the route of a path as API Gateway does: a fixed segment before a variable one, a trailing
    slash ignored."""

    def __init__(self, patterns: Iterable[str]) -> None:
        # "{" sorts after every letter and digit, so sorting puts the fixed segment first.
        self._patterns = [(pattern, pattern.split("/")) for pattern in sorted(patterns)]

    def find(self, path: str) -> Route | None:
        segments = (path.rstrip("/") or "/").split("/")
        for pattern, wanted in self._patterns:
            if len(wanted) == len(segments) and all(map(_fits, wanted, segments)):
                pairs = zip(wanted, segments, strict=True)
                return Route(pattern, {name[1:-1]: value for name, value in pairs if _is_variable(name)})
        return None


def _is_variable(segment: str) -> bool:
    return segment.startswith("{")


def _fits(wanted: str, segment: str) -> bool:
    return bool(segment) if _is_variable(wanted) else wanted == segment


def matches_media_type(header: str, media_types: Iterable[str]) -> bool:
    """Whether the first type that a Content-Type or Accept header names is among `media_types`: API Gateway
    looks at no other."""
    first = header.split(",")[0].split(";")[0].strip().lower()
    return any(first == known or known == "*/*" for known in media_types)


@dataclass(frozen=True)
class ApiRequest:
    method: str
    path: str
    """Without the stage prefix."""
    query: str
    headers: Message
    body: bytes
    source_ip: str


def proxy_event(request: ApiRequest, route: Route, prefix: str, port: int, binary_types: list[str]) -> Event:
    """The event AWS hands to the function. `prefix` is the stage's part of the URL, '' or such as '/api'."""
    query = parse_qs(request.query, keep_blank_values=True) or None
    headers = _headers(request, port)
    is_binary = matches_media_type(request.headers.get("Content-Type", ""), binary_types)
    return {
        "resource": route.pattern,
        "path": request.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": query and {name: values[-1] for name, values in query.items()},
        "multiValueQueryStringParameters": query,
        "pathParameters": route.captured or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": request.headers.get("Host", ""),
            "httpMethod": request.method,
            "identity": {"sourceIp": request.source_ip, "userAgent": request.headers.get("User-Agent")},
            "path": prefix + request.path,
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourcePath": route.pattern,
            "stage": prefix.strip("/") or "local",
        },
        "body": _text(request.body, is_binary),
        "isBase64Encoded": is_binary and bool(request.body),
    }


def _headers(request: ApiRequest, port: int) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name, []).append(value)
    # Appended, never trusted: what the client wrote stays in front, the address the gateway saw stands last.
    forwarded = [*request.headers.get_all("X-Forwarded-For", []), request.source_ip]
    for name in [name for name in headers if name.lower().startswith("x-forwarded-")]:
        del headers[name]
    headers["X-Forwarded-For"] = [", ".join(forwarded)]
    headers["X-Forwarded-Port"] = [str(port)]
    headers["X-Forwarded-Proto"] = ["http"]
    return headers


def _text(body: bytes, is_binary: bool) -> str | None:
    if not body:
        return None
    return base64.b64encode(body).decode() if is_binary else body.decode(errors="replace")


@dataclass(frozen=True)
class ApiAnswer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def api_answer(answer: Event, request: ApiRequest, binary_types: list[str]) -> ApiAnswer:
    """What the client gets for a function's answer. Raises KeyError or ValueError where AWS calls the
    answer malformed."""
    headers = [(name, str(value)) for name, value in (answer.get("headers") or {}).items()]
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers += [(name, str(value)) for value in values]
    body = answer.get("body") or ""
    content = body.encode() if isinstance(body, str) else bytes(body)
    # Base64 is undone for a client that asks for a binary type first; any other gets the base64 text
    # itself, as on AWS.
    if answer.get("isBase64Encoded") and matches_media_type(request.headers.get("Accept", ""), binary_types):
        content = base64.b64decode(content)
    return ApiAnswer(int(answer["statusCode"]), headers, content)
