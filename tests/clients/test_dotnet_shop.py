"""The console shop of `examples/dotnet`, compiled and run as a merchant would."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from chalicelib.domain.page_signature import page_signature_holds
from tests.clients.languages import EXAMPLES, compile_csharp, program
from tests.clients.recording_box import RecordingBox, problem, reply

KEY = "box_shop-test-key"
PAGE_SECRET = "page_shop-test-secret-0123456789"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [EXAMPLES / "dotnet" / name for name in ("MerchantBox.cs", "Shop.cs")]
    return compile_csharp(Path(tmp_path_factory.mktemp("shop")) / "Shop.exe", *sources)


def run(shop: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BOX_KEY": KEY, "PAGE_SECRET": PAGE_SECRET, "LC_ALL": "nl_NL.UTF-8"}
    command = [program("mono", "mono-runtime"), str(shop), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_shop_sells_a_basket_and_signs_its_page(shop: Path, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(202, {"conversionId": "cv_1", "status": "open", "attributed": True}))
    sold = run(shop, recorder.url, "B'1<", "3x19.90", "1x40.30", "ck_1")
    assert sold.returncode == 0, sold.stderr
    assert recorder.requests[0].document == {
        "action": "sale",
        "orderId": "B'1<",
        "values": ["100.00"],
        "currency": "EUR",
        "clickId": "ck_1",
    }
    assert "box: 202 cv_1 open" in sold.stdout
    page = next(line for line in sold.stdout.splitlines() if line.startswith("page: "))
    # An order id cannot end the script it stands in.
    assert r"orderId: 'B\u00271\u003c'" in page
    signature = re.search(r"signature: '([0-9a-f]{64})'", page)
    assert signature is not None
    assert page_signature_holds([PAGE_SECRET], signature[1], "B'1<", "sale", ["100.00"], "EUR")
    assert KEY not in sold.stdout + sold.stderr
    assert PAGE_SECRET not in sold.stdout + sold.stderr


def test_the_shop_says_why_an_order_was_not_taken(shop: Path, recorder: RecordingBox) -> None:
    recorder.will_answer(problem(409, "conflict"))
    refused = run(shop, recorder.url, "B-1", "1x10.00")
    assert refused.returncode == 1
    assert "conflict: Because of conflict." in refused.stderr


def test_the_shop_explains_itself_without_arguments(shop: Path) -> None:
    explained = run(shop)
    assert explained.returncode == 2
    assert "usage:" in explained.stderr
