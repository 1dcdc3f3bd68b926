"""The verification that docs/postbacks.md gives away is held to the vectors."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.languages import EXAMPLES

ROOT = EXAMPLES.parent
DOC = (ROOT / "docs" / "postbacks.md").read_text()
VECTORS = json.loads((ROOT / "tests" / "vectors" / "webhook_signature.json").read_text())


@pytest.fixture(scope="module")
def is_genuine() -> Callable[..., bool]:
    (code,) = re.findall(r"^```python\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[..., bool] = names["is_genuine"]
    return found


def verdicts(is_genuine: Callable[..., bool], cases: list[dict[str, Any]]) -> set[bool]:
    return {
        is_genuine(case["secrets"], case["headers"], base64.b64decode(case["payloadBase64"]), case["now"])
        for case in cases
    }


def test_the_pages_function_accepts_what_is_genuine_and_nothing_else(is_genuine: Callable[..., bool]) -> None:
    assert verdicts(is_genuine, VECTORS["accepted"]) == {True}
    assert verdicts(is_genuine, VECTORS["refused"]) == {False}


def test_the_page_names_every_code_of_the_vectors() -> None:
    assert {case["code"] for case in VECTORS["refused"]} <= set(re.findall(r"`(\w+)`", DOC))
