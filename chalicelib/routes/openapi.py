"""The API's description (OpenAPI 3.1), made from the models that the code itself reads and answers with.

`OPERATIONS` has a row for every JSON route. tests/api/test_openapi.py holds it against the routes, and each answer against its shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from chalicelib.domain.report import Body, ServerBody
from chalicelib.domain.rows import CONVERSION_COLUMNS, MAX_ROWS, VALIDATION_COLUMNS, ValidationRow
from chalicelib.routes import bodies, shapes
from chalicelib.settings import VERSION

JSON = "application/json"
PROBLEM = "application/problem+json"
CSV = "text/csv"
Schema = dict[str, Any]
_REF = "#/components/schemas/{name}"


class ConversionsBatch(msgspec.Struct):
    """POST /v1/conversions/batch."""

    conversions: list[ServerBody]


class ValidationsBatch(msgspec.Struct):
    """POST /v1/validations."""

    validations: list[ValidationRow]


@dataclass(frozen=True)
class Operation:
    """`answers`: status -> shape (None: no body, a string: a media type that is not JSON). `problems`: the refusals' statuses."""

    summary: str
    group: str
    answers: Mapping[int, Any]
    problems: tuple[int, ...] = ()
    scopes: tuple[str, ...] = ()
    """Empty: public."""
    body: Any = None
    body_types: tuple[str, ...] = (JSON,)
    csv: str = ""
    """What the columns of a CSV body are."""
    query: tuple[str, ...] = ()
    headers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


_DAY: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
QUERY: dict[str, tuple[Schema, str]] = {
    "status": ({"enum": ["open", "approved", "sale", "rejected"]}, "only these"),
    "publisherId": ({"type": "string"}, "only this publisher's"),
    "from": (_DAY, "first day (UTC); 30 days before `to` if missing"),
    "to": (_DAY, "last day (UTC), included; today if missing"),
    "orderId": ({"type": "string"}, "one order, in any period"),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 200}, "rows of a page, usually 50"),
    "cursor": ({"type": "string"}, "`next` of the page before"),
    "by": ({"enum": ["day", "publisher", "subId", "status"]}, "what a row stands for"),
    "action": ({"type": "string"}, "sale or lead"),
    "values": ({"type": "array", "items": {"type": "string"}}, "decimal strings"),
    "eventId": ({"type": "string"}, "the browser's own id of the event"),
    "clickId": ({"type": "string"}, ""),
    "currency": ({"type": "string"}, "ISO 4217"),
    "voucher": ({"type": "string"}, ""),
    "customerStatus": ({"enum": ["new", "existing"]}, "for agreements that pay for new customers alone"),
    "isTest": ({"type": "string"}, "1 for a test"),
    "body": (
        {"type": "string"},
        "the JSON beacon's whole body, instead of all the others, which are metadata where not named here",
    ),
    "signature": ({"type": "string"}, "of signed page data"),
    "url": ({"type": "string"}, "a deep link into the merchant's site"),
    "subId": ({"type": "string"}, "the publisher's own note of where the link stood; 128 characters are kept"),
}
HEADERS: dict[str, tuple[Schema, str]] = {
    "Location": ({"type": "string"}, "where it is"),
    "Link": ({"type": "string"}, 'rel="next": the rest, relative; missing on the last page'),
    "Retry-After": ({"type": "integer"}, "seconds"),
    "RateLimit-Limit": ({"type": "integer"}, "calls a minute; missing where nothing is limited"),
    "RateLimit-Remaining": ({"type": "integer"}, "calls left in this minute"),
    "RateLimit-Reset": ({"type": "integer"}, "seconds until the next"),
    "X-Conversion-Status": ({"type": "integer"}, "what the JSON beacon would have answered"),
    "X-Conversion-Code": ({"type": "string"}, "of a refusal"),
}
_RATE = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_ALWAYS_THERE = ("Location",)
_PATHS = {
    "conversion_id": "the conversion's id",
    "click_id": "the click's id",
    "publisher_id": "the publisher's id",
    "postback_id": "the postback's id",
    "month": "such as 2026-11",
}
_FILTER = ("status", "publisherId", "from", "to", "orderId", "limit", "cursor")
_READ = ("readonly", "server", "publisher")
_REPORTS, _MERCHANT, _PROOFS, _FIGURES, _POSTBACKS = "Browser", "Conversions", "Proofs", "Figures", "Postbacks"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/beacon/conversion"): Operation(
        "A sale or lead, as the tag reports it",
        _REPORTS,
        {200: shapes.BeaconAnswer, 202: shapes.BeaconAnswer},
        (400, 403, 409, 413, 415, 422, 429, 503),
        body=Body,
        body_types=(JSON, "text/plain"),
    ),
    ("GET", "/v1/beacon/conversion.gif"): Operation(
        "The same without JavaScript: an image, whatever happens",
        _REPORTS,
        {200: "image/svg+xml"},
        query=(
            *("action", "values", "orderId", "eventId", "clickId", "currency", "voucher", "customerStatus"),
            *("isTest", "signature", "body"),
        ),
        headers={200: ("X-Conversion-Status", "X-Conversion-Code")},
    ),
    ("POST", "/v1/beacon/click"): Operation(
        "A click of a link straight to the shop",
        _REPORTS,
        {202: shapes.ClickMade},
        (400, 403, 404, 413, 415, 422, 429),
        body=bodies.ClickBody,
        body_types=(JSON, "text/plain"),
    ),
    ("GET", "/click/{publisher_id}"): Operation(
        "A publisher's link: stores the click and sends the shopper on",
        _REPORTS,
        {302: None},
        (400, 429),
        query=("url", "subId"),
        headers={302: ("Location",)},
    ),
    ("GET", "/v1/config"): Operation("The public part of the integration config", _REPORTS, {200: shapes.PublicConfig}),
    ("GET", "/v1/config/schema"): Operation("The JSON Schema of integration configs", _REPORTS, {200: dict[str, Any]}),
    ("POST", "/v1/conversions"): Operation(
        "Report a sale or lead from the merchant's server",
        _MERCHANT,
        {200: shapes.ConversionReceived, 202: shapes.ConversionReceived},
        (400, 409, 413, 415, 422, 503),
        ("server",),
        body=ServerBody,
        headers={200: ("Location",), 202: ("Location",)},
    ),
    ("POST", "/v1/conversions/batch"): Operation(
        f"Report up to {MAX_ROWS}; an answer for each",
        _MERCHANT,
        {200: shapes.BatchAnswer},
        (400, 413, 415, 422),
        ("server",),
        body=ConversionsBatch,
        body_types=(JSON, CSV),
        csv=CONVERSION_COLUMNS.described,
    ),
    ("GET", "/v1/conversions"): Operation(
        "Conversions, the newest first", _MERCHANT, {200: shapes.ConversionPage}, (422,), _READ, query=_FILTER
    ),
    ("GET", "/v1/conversions/{conversion_id}"): Operation(
        "One conversion with its history", _MERCHANT, {200: shapes.ConversionShown}, (404,), _READ
    ),
    ("PATCH", "/v1/conversions/{conversion_id}"): Operation(
        "Approve, reject, re-open or amend",
        _MERCHANT,
        {200: shapes.ConversionShown},
        (400, 404, 409, 413, 415, 422, 503),
        ("server",),
        body=bodies.CorrectionBody,
    ),
    ("POST", "/v1/validations"): Operation(
        f"Approve, reject, re-open or amend up to {MAX_ROWS}; an answer for each",
        _MERCHANT,
        {200: shapes.BatchAnswer},
        (400, 413, 415, 422),
        ("server",),
        body=ValidationsBatch,
        body_types=(JSON, CSV),
        csv=VALIDATION_COLUMNS.described,
    ),
    ("POST", "/v1/erasures"): Operation(
        "Forget a person: the order's salt and metadata go, the totals stay",
        _MERCHANT,
        {200: shapes.Erased},
        (400, 404, 409, 413, 415, 422, 503),
        ("admin",),
        body=bodies.ErasureBody,
    ),
    ("GET", "/v1/key"): Operation("What the key may do", _MERCHANT, {200: shapes.KeyShown}, (), _READ),
    ("GET", "/v1/receipts/{conversion_id}"): Operation(
        "The proof that a conversion is on the network",
        _PROOFS,
        {200: shapes.Receipt, 202: shapes.NoReceipt},
        (404, 429),
    ),
    ("GET", "/v1/clicks/{click_id}/proof"): Operation(
        "The proof that a click was counted", _PROOFS, {200: shapes.ClickProof, 202: shapes.NoClickProof}, (404, 429)
    ),
    ("GET", "/v1/status"): Operation("Health", _PROOFS, {200: shapes.Health, 503: shapes.Health}, (429,)),
    ("GET", "/v1/stats"): Operation(
        "Clicks, conversions, amounts and commission",
        _FIGURES,
        {200: shapes.Stats},
        (422,),
        _READ,
        query=("from", "to", "by", "publisherId", "status"),
    ),
    ("GET", "/v1/export/conversions.csv"): Operation(
        "Conversions as CSV; follow Link rel=next",
        _FIGURES,
        {200: CSV},
        (422,),
        _READ,
        query=("status", "publisherId", "from", "to", "orderId", "cursor"),
        headers={200: ("Link",)},
    ),
    ("GET", "/v1/statements/{month}"): Operation(
        "What became payable in a month, by publisher",
        _FIGURES,
        {200: shapes.Statement},
        (422,),
        _READ,
    ),
    ("GET", "/v1/postbacks"): Operation(
        "The publisher's postbacks",
        _POSTBACKS,
        {200: shapes.PostbackList},
        (404, 422),
        ("publisher",),
        query=("publisherId",),
    ),
    ("POST", "/v1/postbacks"): Operation(
        "Ask to be told; the answer shows the secret, once",
        _POSTBACKS,
        {201: shapes.PostbackShown},
        (400, 404, 409, 413, 415, 422),
        ("publisher",),
        body=bodies.PostbackBody,
        query=("publisherId",),
    ),
    ("GET", "/v1/postbacks/{postback_id}"): Operation(
        "One postback", _POSTBACKS, {200: shapes.PostbackShown}, (404, 422), ("publisher",), query=("publisherId",)
    ),
    ("PATCH", "/v1/postbacks/{postback_id}"): Operation(
        "Change it, switch it, or rotate its secret",
        _POSTBACKS,
        {200: shapes.PostbackShown},
        (400, 404, 413, 415, 422, 503),
        ("publisher",),
        body=bodies.PostbackBody,
        query=("publisherId",),
    ),
    ("DELETE", "/v1/postbacks/{postback_id}"): Operation(
        "Remove it", _POSTBACKS, {204: None}, (404, 422), ("publisher",), query=("publisherId",)
    ),
    ("POST", "/v1/postbacks/{postback_id}/test"): Operation(
        "Send a signed example now",
        _POSTBACKS,
        {200: shapes.DeliveryShown},
        (404, 415, 422),
        ("publisher",),
        query=("publisherId",),
    ),
    ("GET", "/v1/postbacks/{postback_id}/deliveries"): Operation(
        "The delivery log, the newest first",
        _POSTBACKS,
        {200: shapes.DeliveryPage},
        (404, 422),
        ("publisher",),
        query=("publisherId", "limit", "cursor"),
    ),
    ("POST", "/v1/postbacks/{postback_id}/replay"): Operation(
        "Send one message again, or each that was given up",
        _POSTBACKS,
        {202: shapes.Replayed},
        (400, 404, 409, 413, 415, 422, 503),
        ("publisher",),
        body=bodies.ReplayBody,
        query=("publisherId",),
    ),
}
"""By method and path."""


@cache
def document() -> Schema:
    """The whole description. `servers` is relative, so that it holds under any stage prefix."""
    components = _components()
    paths: dict[str, Schema] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, operation, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Merchant box",
            "version": VERSION,
            "description": "Affiliate tracking where nobody has to trust a middleman. Money is decimal strings, times are RFC 3339 in UTC.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of this box: box_ and 32 letters and digits.",
                }
            },
        },
    }


@dataclass(frozen=True)
class _Components:
    of: dict[Any, Schema]
    schemas: dict[str, Schema]


def _components() -> _Components:
    models: list[Any] = [shapes.Problem]
    for operation in OPERATIONS.values():
        models += [shape for shape in operation.answers.values() if isinstance(shape, type) and shape is not dict]
        models += [operation.body] if operation.body else []
    unique = list(dict.fromkeys(models))
    found, schemas = msgspec.json.schema_components(unique, ref_template=_REF)
    return _Components(dict(zip(unique, found, strict=True)), schemas)


def _operation(method: str, path: str, operation: Operation, components: _Components) -> Schema:
    answers: Schema = {
        str(status): _answer(shape, components, (*operation.headers.get(status, ()), *_RATE))
        for status, shape in operation.answers.items()
    }
    refusals = {*operation.problems, *((401, 403, 429) if operation.scopes else ()), *((404,) if "{" in path else ())}
    for status in sorted(refusals):
        content = {PROBLEM: {"schema": components.of[shapes.Problem]}}
        if str(status) in answers:
            answers[str(status)]["content"] |= content
        else:
            answers[str(status)] = {"description": "Refused; `code` says why", "content": content}
            if status == 429:
                answers["429"]["headers"] = _headers(("Retry-After", *_RATE))
    made: Schema = {
        "operationId": _operation_id(method, path),
        "summary": operation.summary,
        "tags": [operation.group],
        "parameters": _parameters(path, operation),
        "responses": answers,
    }
    if operation.scopes:
        made["security"] = [{"key": []}]
        made["description"] = f"Key with scope {' or '.join(dict.fromkeys((*operation.scopes, 'admin')))}."
    if operation.body is not None:
        made["requestBody"] = {"required": True, "content": _request_content(operation, components)}
    return made


def _request_content(operation: Operation, components: _Components) -> Schema:
    described = components.of[operation.body]
    csv = {"type": "string", "description": operation.csv}
    return {kind: {"schema": csv if kind == CSV else described} for kind in operation.body_types}


def _answer(shape: Any, components: _Components, headers: tuple[str, ...]) -> Schema:
    made: Schema = {"description": "Done", "headers": _headers(headers)}
    if isinstance(shape, str):
        made["content"] = {shape: {"schema": {"type": "string"}}}
    elif shape is not None:
        made["content"] = {JSON: {"schema": components.of.get(shape, {"type": "object"})}}
    return made


def _headers(names: tuple[str, ...]) -> Schema:
    return {
        name: {"required": name in _ALWAYS_THERE, "description": HEADERS[name][1], "schema": HEADERS[name][0]}
        for name in names
    }


def _parameters(path: str, operation: Operation) -> list[Schema]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": text,
            "schema": {"type": "string", "minLength": 1},
        }
        for name, text in _PATHS.items()
        if f"{{{name}}}" in path
    ]
    in_query = [
        {"name": name, "in": "query", "required": False, "description": QUERY[name][1], "schema": QUERY[name][0]}
        for name in operation.query
    ]
    return in_path + in_query


def _operation_id(method: str, path: str) -> str:
    words = [word.strip("{}") for word in path.replace(".", "/").split("/") if word not in ("", "v1")]
    return "_".join([method.lower(), *words])
