"""The page that checks a receipt without the box: the same verdicts as `box verify`, in a real browser, from a file."""

import copy
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from chalicelib.adapters import contract
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.money import _EXPONENTS
from chalicelib.domain.network_changes import REASONS, Amendment, Run
from chalicelib.domain.network_status import DAY
from ops.asking import ask
from ops.local.running import RunningBox
from ops.verify import verify_receipt
from tests.contract.forged_receipts import FORGERIES, LIES, Receipt
from tests.contract.network_on_anvil import Merchant, Network
from tests.contract.other_nodes import MOST_BLOCKS, narrow_node, node_that
from tests.contract.shown_receipts import Order, entries_of, record
from tests.contract.test_doubtful_nodes import FORGETFUL
from tests.contract.test_verify import RULES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "chalicelib" / "web" / "verify" / "index.html"


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """The page opened from the disk, as who saved it would. Anything it logs as an error fails the test."""
    opened = chromium.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    opened.goto(PAGE.as_uri())
    yield opened
    opened.close()
    assert problems == []


def shown(page: Page, receipt: Receipt, rpc: str) -> tuple[list[tuple[str, bool]], str]:
    """The checks the page lists and its verdict."""
    page.fill("textarea", json.dumps(receipt))
    page.fill("input[name=rpc]", rpc)
    page.click("button")
    page.wait_for_selector("output.ok, output.fail, output.unknown")
    lines = page.eval_on_selector_all("li", "lines => lines.map(l => [l.dataset.check, l.className === 'ok'])")
    verdict: str = page.eval_on_selector("output", "output => output.value")
    return [(name, ok) for name, ok in lines], verdict


@pytest.fixture
def receipts(network: Network, merchant: Merchant) -> list[Receipt]:
    """Three receipts: the first plain, the second amended and of two groups with names beyond ASCII inside, the third rejected."""
    agreement = merchant.agree(*RULES, groups=("default", "wine"), validation_days=10, lock_days=20)
    orders = [Order(1, {"default": 1005}), Order(2, {"default": 60_000, "wine": 999}), Order(3, {"default": 0}, "lead")]
    payloads = [order.payload(merchant, agreement) for order in orders]
    payloads[1]["publisherId"] = 'Käse "blög" \u2028\t\x1f🧀'
    shown_now = record(merchant, *payloads)
    batch = merchant.pack(*(entry for payload in payloads for entry in entries_of(payload, merchant)))
    place = shown_now[1]["sequence"] - 1
    amended = [Amendment(place, 40_000, reason=REASONS["refund"])]
    merchant.send(contract.encode_amend(merchant.address, batch.body, keccak256(batch.commitments), amended))
    shown_now[1] |= {"amount": "409.99", "commission": "43.00"}
    last = shown_now[2]["sequence"] - 1
    merchant.send(
        contract.encode_decide(merchant.address, {batch.digest: [Run(last, 1, "rejected", REASONS["fraud"])]})
    )
    network.rpc("anvil_mine", "0x4")
    return shown_now


def test_the_page_says_what_the_command_says_of_honest_receipts(
    network: Network, page: Page, receipts: list[Receipt]
) -> None:
    for days in (0, 10, 10):
        network.wait(days * DAY + 1)
        for receipt in receipts:
            checks, verdict = shown(page, receipt, network.url)
            assert verdict.startswith("The receipt holds")
            assert checks == [(check.name, check.ok) for check in verify_receipt(receipt, network.url)]
            assert len(checks) == 10


def same_verdict(page: Page, receipt: Any, rpc: str) -> str:
    """The check that page and command both find wrong, "" where the receipt holds."""
    checks, verdict = shown(page, receipt, rpc)
    said = verify_receipt(receipt, rpc)
    assert checks == [(check.name, check.ok) for check in said], said[-1]
    older = ", and is older than the chain: see amendments and status" if said[-1].older else ""
    details = page.eval_on_selector_all("li", "lines => lines.map(l => l.lastChild.textContent)")
    found = [(detail, check.detail) for detail, check in zip(details, said, strict=True) if check.ok]
    assert [detail for detail, _ in found] == [detail for _, detail in found]
    assert verdict == (f"The receipt holds{older}." if said[-1].ok else f"The receipt does not hold: {said[-1].name}.")
    return "" if checks[-1][1] else checks[-1][0]


def test_the_page_names_every_lie_that_the_command_names(network: Network, page: Page, receipts: list[Receipt]) -> None:
    for name, lie in LIES:
        receipt = copy.deepcopy(receipts[0])
        lie(receipt)
        # Some blocks have come since, so that `final` is no lie here.
        assert same_verdict(page, receipt, network.url) == ("" if receipt.get("final") is True else name)


def test_the_page_names_what_a_cheating_merchant_recorded(network: Network, page: Page, merchant: Merchant) -> None:
    for name, forge in FORGERIES:
        assert same_verdict(page, forge(merchant), network.url) == name


def test_the_page_names_what_is_no_receipt(network: Network, page: Page) -> None:
    waiting = {"conversionId": "a", "state": "pending", "reason": "pending"}
    documents: tuple[Any, ...] = (
        5,
        None,
        "text",
        [],
        {},
        {"contract": 5, "payload": {}},
        waiting,
        {"clickId": "c", "proof": []},
    )
    for document in documents:
        assert same_verdict(page, document, network.url) == "receipt"
    assert "box verify" in page.locator("li").inner_text()


def test_the_page_takes_a_receipt_that_is_older_than_the_chain(
    network: Network, page: Page, receipts: list[Receipt]
) -> None:
    receipts[1] |= {"amount": "609.99", "commission": "51.00"}  # before its amendment
    network.wait(10 * DAY - 60)
    for receipt, status in zip(receipts, ("approved", "open"), strict=False):
        assert same_verdict(page, receipt | {"status": status}, network.url) == ""
        assert ("older" in page.locator("output").inner_text()) == (status == "open" or receipt is receipts[1])


def test_a_node_that_searches_few_blocks_at_once_will_do(network: Network, page: Page, receipts: list[Receipt]) -> None:
    network.rpc("anvil_mine", hex(3 * MOST_BLOCKS))
    with narrow_node(network.url) as narrow:
        assert same_verdict(page, receipts[1], narrow) == ""


def test_a_node_that_does_not_answer_proves_nothing(chromium: Browser, receipts: list[Receipt]) -> None:
    page = chromium.new_page()  # of its own: the browser writes the refused connection down as an error
    page.goto(PAGE.as_uri())
    checks, verdict = shown(page, receipts[0], "http://127.0.0.1:1")
    page.close()
    assert verdict.startswith("Not checked")
    assert checks == []


@pytest.fixture
def apart(chromium: Browser) -> Iterator[Page]:
    """The page where errors are written down by the browser itself."""
    opened = chromium.new_page()
    opened.goto(PAGE.as_uri())
    yield opened
    opened.close()


@pytest.mark.parametrize("number", range(len(FORGETFUL)))
def test_what_a_node_forgot_is_no_fault_of_the_receipt(
    network: Network, apart: Page, receipts: list[Receipt], number: int
) -> None:
    """The second receipt was amended and the third rejected: each fault shows in one of them."""
    with node_that(FORGETFUL[number], network.url) as node:
        verdicts = [shown(apart, receipt, node)[1] for receipt in receipts]
    assert [verdict for verdict in verdicts if verdict.startswith("Not checked: ")], verdicts
    assert not [verdict for verdict in verdicts if "does not hold" in verdict], verdicts


def test_a_node_that_lets_no_page_ask_is_told_from_a_receipt_that_fails(
    network: Network, apart: Page, receipts: list[Receipt]
) -> None:
    with node_that(lambda _, answered: answered, network.url, cors=False) as node:
        checks, verdict = shown(apart, receipts[0], node)
    assert checks == [] and "lets no web page ask" in verdict


def test_groups_decided_apart_are_named(network: Network, page: Page, merchant: Merchant) -> None:
    agreement = merchant.agree(groups=("default", "wine"))
    (receipt,) = record(merchant, Order(1, {"default": 100, "wine": 300}).payload(merchant, agreement))
    one = {bytes.fromhex(receipt["batch"][2:]): [Run(1, 1, "rejected", REASONS["fraud"])]}
    merchant.send(contract.encode_decide(merchant.address, one))
    assert same_verdict(page, receipt, network.url) == "status"


def test_a_second_check_takes_the_place_of_one_under_way(network: Network, page: Page, receipts: list[Receipt]) -> None:
    held = threading.Event()

    def slow(asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
        if asked["method"] == "eth_getCode":
            held.wait(60)
        return answered

    with node_that(slow, network.url) as node:
        page.fill("textarea", json.dumps(receipts[0]))
        page.fill("input[name=rpc]", node)
        page.click("button")
        checks, verdict = shown(page, receipts[0], network.url)
        held.set()
        page.wait_for_load_state("networkidle")
        assert (verdict, len(checks)) == ("The receipt holds.", 10)
        assert page.locator("li").count() == 10


def test_what_a_receipt_says_hides_nothing(network: Network, page: Page, receipts: list[Receipt]) -> None:
    receipts[0]["conversionId"] = "\u202e.sdloh tpiecer ehT\u2066"
    shown(page, receipts[0], network.url)
    assert "\\u202e" in page.locator("li.fail").inner_text()


def test_every_box_hands_the_page_out_as_it_is(box: RunningBox) -> None:
    answer = ask("GET", f"{box.url}/assets/verify.html")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.body == PAGE.read_bytes()


def test_the_committed_page_is_what_its_sources_build() -> None:
    built = subprocess.run(
        ["node", "chalicelib/web/verify/build.mjs", "--print"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert built.stdout == PAGE.read_text()


def test_the_page_loads_nothing_from_anywhere() -> None:
    text = PAGE.read_text()
    assert "default-src 'none'" in text
    assert "src=" not in text.replace("default-src", "").replace("script-src", "").replace("style-src", "")
    assert "href=" not in text and "import(" not in text and "@import" not in text


def test_page_and_box_know_the_same_currencies(page: Page) -> None:
    source = (ROOT / "chalicelib" / "web" / "verify" / "src" / "money.js").read_text().replace("export ", "")
    codes = [*_EXPONENTS, "EUR", "USD"]
    found = page.evaluate(f"(codes) => {{ {source}; return codes.map(exponent); }}", codes)
    assert found == [_EXPONENTS.get(code, 2) for code in codes]
