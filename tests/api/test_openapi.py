"""The description is true: every JSON route stands in it, and whatever is sent, each answer is one that it names."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chalicelib.routes.openapi import OPERATIONS, document
from tests.api.conftest import Desk
from tests.shopper import final_receipt

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EACH = 20
EACH_LONG = 12_000 // len(OPERATIONS) + 1
NOT_JSON = (
    "/libs/",
    "/attrace/libs/",
    "/dashboard",
    "/login",
    "/assets/",
    "/portal",
    "/join",
    "/docs",
    "/openapi.json",
    "/verify",
)
KEYS = {"POST /v1/erasures": "admin", "/v1/postbacks": "publisher"}


def test_every_json_route_is_described_and_nothing_else() -> None:
    from app import app

    routes = {
        (method, path)
        for path, methods in app.routes.items()
        for method in methods
        if method != "OPTIONS" and not path.startswith(NOT_JSON)
    }
    assert set(OPERATIONS) == routes


def test_the_description_is_openapi_3_1_and_every_reference_in_it_leads_somewhere() -> None:
    described = document()
    assert described["openapi"] == "3.1.0"
    text = json.dumps(described)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names and names <= set(described["components"]["schemas"])
    ids = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.fixture(scope="module")
def known(desk: Desk) -> dict[str, str]:
    """Ids that exist, so that not every path ends in 404."""
    click_id = desk.click()
    sold = desk.sell(desk.order_id(), clickId=click_id).json["conversionId"]
    final_receipt(desk.box, sold)
    fields = {"url": "http://127.0.0.1:9999/", "events": ["locked"]}
    made = desk.ask("POST", "/v1/postbacks", fields, key="publisher").json["postbackId"]
    return {
        "conversion_id": sold,
        "click_id": click_id,
        "publisher_id": desk.box.line["publisherId"],
        "postback_id": made,
        "month": "2026-11",
    }


def operations(desk: Desk) -> list[Any]:
    schema = schemathesis.openapi.from_dict(document())
    schema.config.update(base_url=desk.box.url)
    found: list[Any] = list(schema.get_all_operations())
    return [operation.ok() for operation in found]


def key_for(desk: Desk, label: str) -> str:
    named = next((key for prefix, key in KEYS.items() if label.startswith(prefix) or label.endswith(prefix)), None)
    named = named or ("publisher" if "/v1/postbacks" in label else "admin" if "erasures" in label else "server")
    if "statements" in label:
        named = "readonly"
    return desk.box.keys[named]


def fuzz(desk: Desk, known: dict[str, str], operation: Any, examples: int) -> int:
    """Sends generated requests of one operation, valid and not; how many."""
    sent = 0
    headers = {"Authorization": f"Bearer {key_for(desk, operation.label)}"}
    keeps = operation.method.upper() == "DELETE"

    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(case=operation.as_strategy(), exists=st.booleans())
    def send(case: Any, exists: bool) -> None:
        nonlocal sent
        for name in case.path_parameters or {}:
            if exists and not keeps:
                case.path_parameters[name] = known[name]
        response = case.call(headers=headers, allow_redirects=False, timeout=30)
        sent += 1
        case.validate_response(response, checks=CHECKS)

    send()
    return sent


def fuzz_all(desk: Desk, known: dict[str, str], examples: int) -> tuple[int, dict[str, str]]:
    """(requests sent, what was wrong by operation)."""
    sent, wrong = 0, {}
    for operation in operations(desk):
        try:
            sent += fuzz(desk, known, operation, examples)
        except Exception as error:  # noqa: BLE001 - all operations are tried, and everything wrong is shown
            wrong[operation.label] = "\n".join(map(str, getattr(error, "exceptions", [error])))[:1500]
    return sent, wrong


@pytest.mark.timeout(600)
def test_generated_requests_are_all_answered_as_described(desk: Desk, known: dict[str, str]) -> None:
    sent, wrong = fuzz_all(desk, known, EACH)
    assert wrong == {}
    assert sent >= EACH * len(OPERATIONS) // 2


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_generated_requests_are_all_answered_as_described(desk: Desk, known: dict[str, str]) -> None:
    sent, wrong = fuzz_all(desk, known, EACH_LONG)
    print(f"{sent} requests")
    assert wrong == {}
    assert sent >= 10_000


def test_the_readable_page_shows_every_operation_without_anything_from_elsewhere(desk: Desk, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{desk.box.url}/docs")
    page.wait_for_selector("details")
    assert page.locator("details").count() == len(OPERATIONS)
    page.click("#post_conversions summary")
    assert "orderId" in page.inner_text("#post_conversions")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a phone needs no sideways scrolling"
    assert problems == []
    assert all(url.startswith(desk.box.url) for url in asked)
    context.close()
