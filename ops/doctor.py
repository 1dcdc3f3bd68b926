"""`box doctor URL`: opens a merchant's page in a real browser and says in words what to mend.

Nothing it does counts: what the page itself reports while it is open is turned into a test conversion on the way, and the doctor's
own sale is one. Only the click of `--publisher` is a real click, for a click cannot be a test; it stands in the statistics.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import click
from playwright.sync_api import BrowserContext, Page, Response, Route, sync_playwright
from playwright.sync_api import Error as BrowserError

from ops.boxes.given import WEB_ADDRESS
from ops.boxes.output import Failed, json_option, show

SECONDS = 10_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCRIPT = """() => [...document.scripts].map(s => s.src).filter(src => /\\/libs\\/mtag[._a-zA-Z0-9]*$/.test(src.split('?')[0]))"""
SALE = """metadata => new Promise(done => mtag('sale', (ok, result) => done([ok, result]), metadata, ['1.00']))"""
VIOLATIONS = """window.__doctor = []; addEventListener('securitypolicyviolation',
    e => __doctor.push([e.effectiveDirective, e.blockedURI]))"""


@dataclass
class Report:
    """What was found, in the order it was looked at."""

    findings: list[tuple[bool, str]] = field(default_factory=list)

    def good(self, text: str) -> None:
        self.findings.append((True, text))

    def bad(self, text: str) -> None:
        self.findings.append((False, text))

    @property
    def healthy(self) -> bool:
        return all(good for good, _ in self.findings)


def order_id_finding(bodies: list[dict[str, Any]], keys: list[str]) -> tuple[bool, str]:
    """Whether the page's own sales name their order in a way that the config knows."""
    if not bodies:
        return True, "This page reports no sale by itself. Run the doctor on the thank-you page to check its order id."
    for body in bodies:
        metadata = body.get("metadata") or {}
        if not any(metadata.get(key) for key in keys):
            given = ", ".join(metadata) or "nothing"
            return False, (
                f"The page's {body.get('action')} has no order id: its metadata has {given}. Name the order in one of {', '.join(keys)}, "
                "or add the page's name for it to tracking.orderIdKeys. Else two equal orders by one visitor count once."
            )
    return True, "The page's own sale carries an order id."


def answer_finding(status: int, problem: dict[str, Any]) -> tuple[bool, str] | None:
    """What the box made of a sale of the page's own; None where another finding says it."""
    if status == 403:  # the origin, which is looked at by itself
        return None
    # In conflict is what an earlier visit of the doctor left under this order's number: it reads well.
    if status < 400 or status == 409:
        return True, "The box takes the page's own sale."
    if status == 429 or status >= 500:
        return False, f"The box did not take the page's own sale now ({status}). Run the doctor again."
    said = " - ".join(problem[name] for name in ("code", "detail") if problem.get(name))
    return False, f"The box refuses the page's own sale for good: {said or status}"


def policy_lines(violations: list[list[str]], box: str) -> list[str]:
    """What to add to the page's Content-Security-Policy, for each thing it forbade the tag."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(box))
    named = {directive.removesuffix("-elem") for directive, blocked in violations if blocked.startswith(origin)}
    return [
        f"The page's Content-Security-Policy forbids the tag something. Add {origin} to {one}." for one in sorted(named)
    ]


def examine(page: Page, url: str, publisher: str | None, report: Report) -> None:
    """Runs every check that the ones before it leave possible."""
    sent: list[dict[str, Any]] = []
    answered: list[Response] = []
    page.add_init_script(VIOLATIONS)
    page.on("response", lambda got: answered.append(got) if got.url.endswith("/v1/beacon/conversion") else None)
    page.route("**/v1/beacon/conversion", lambda route: _as_test(route, sent))
    page.route("**/v1/beacon/conversion.gif?*", lambda route: route.abort())
    answer = page.goto(url, wait_until="load")
    if answer is None or answer.status >= 400:
        report.bad(f"The page answers {answer.status if answer else 'nothing'}. Give the address of a page that works.")
        return
    page.wait_for_timeout(1000)
    box = _snippet(page, report)
    if box is None:
        return
    violations = page.evaluate("window.__doctor")
    for line in policy_lines(violations, box):
        report.bad(line)
    if not page.evaluate("!!window.mtag?.log"):
        report.bad(
            "The script is on the page but does not run: see the lines above, its integrity hash, whether it is a classic script "
            "(no type=module), and whether the box answers."
        )
        return
    report.good("The tag runs.")
    config = _config(page, box, report)
    if config is None:
        return
    _origin(page, config, report)
    good, text = order_id_finding(sent, config.get("orderIdKeys") or ["orderId"])
    report.findings.append((good, text))
    _own_sales(page, sent, answered, report)
    if not publisher:
        report.good("No test click was made: give --publisher to make one.")
    elif not _click(page, box, publisher, url, config, report):
        publisher = None
        page.goto(url, wait_until="load")
    _sale(page, config, publisher, report)


def _as_test(route: Route, sent: list[dict[str, Any]]) -> None:
    """A page must be able to be examined without selling anything."""
    body = json.loads(route.request.post_data or "{}")
    if not body.get("isTest"):
        sent.append(body)
        body["isTest"] = True
    route.continue_(post_data=json.dumps(body))


def _own_sales(page: Page, sent: list[dict[str, Any]], answered: list[Response], report: Report) -> None:
    """What the page itself sent, and the box's answers: a page whose amounts the box refuses sells nothing, however well its tag runs."""
    until = time.monotonic() + SECONDS / 1000
    while len(answered) < len(sent) and time.monotonic() < until:
        page.wait_for_timeout(100)
    found = [answer_finding(one.status, _problem(one)) for one in list(answered)]
    for finding in dict.fromkeys(one for one in found if one):
        report.findings.append(finding)


def _problem(answer: Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except (BrowserError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _snippet(page: Page, report: Report) -> str | None:
    scripts: list[str] = page.evaluate(SCRIPT)
    if not scripts:
        report.bad(
            "The snippet is not on the page. Paste the two script elements of docs/integration.md into its head."
        )
        return None
    if len(set(scripts)) > 1:
        report.bad(
            f"More than one tag is on the page ({', '.join(sorted(set(scripts)))}): only the first works. Remove the others."
        )
    report.good(f"The snippet is there: {scripts[0]}")
    return scripts[0].split("/libs/mtag")[0].removesuffix("/attrace")


def _config(page: Page, box: str, report: Report) -> dict[str, Any] | None:
    """The box's config, asked for from the page itself, so that its policy applies."""
    try:
        config: dict[str, Any] = page.evaluate("url => fetch(url).then(answer => answer.json())", f"{box}/v1/config")
    except BrowserError:
        report.bad(f"The page cannot read {box}/v1/config. Is the box up, and does the page's connect-src allow it?")
        return None
    report.good(f"The box is {config['merchant']['name']}'s, and answers.")
    if config["consent"] == "required":
        report.good(
            "Consent is required: the doctor gives it now; your page must call mtag('consent', 'granted') when the visitor agrees."
        )
        page.evaluate("mtag('consent', 'granted')")
    return config


def _origin(page: Page, config: dict[str, Any], report: Report) -> None:
    origin = page.evaluate("self.origin")
    origins = config.get("origins") or []
    if origin in origins:
        report.good(f"{origin} is one of the merchant's origins.")
    else:
        known = ", ".join(origins) or "none"
        report.bad(
            f"{origin} is not in site.origins of the config ({known}): the box refuses what the tag sends from there, and gets at most "
            "the image in its place. Add it."
        )


def _click(page: Page, box: str, publisher: str, url: str, config: dict[str, Any], report: Report) -> bool:
    """Whether the publisher's link brought a click to the page. By where the link leads: a page may tidy its address at once."""
    answer = page.goto(f"{box}/click/{quote(publisher)}?url={quote(url, safe='')}", wait_until="load")
    page.wait_for_timeout(500)
    name = (config.get("clickParameters") or ["clickId"])[0]
    if f"{name}=" not in _led_to(answer):
        report.bad(
            f"The link of {publisher} led to {page.url} without a click: is the publisher known, its agreement active, "
            "and the page's host in site.hosts?"
        )
        return False
    if page.evaluate("new Promise(done => mtag('click', done))"):
        report.good("A click through the publisher's link arrived on the page and was kept.")
    else:
        report.bad(
            "A click arrived but was not kept: the page removes it from its address before the tag runs. Put the stub first in the head."
        )
    return True


def _led_to(answer: Response | None) -> str:
    """The address that the box's own answer led to, whatever the shop makes of it."""
    request = answer and answer.request
    while request and request.redirected_from:
        request = request.redirected_from
    first = request.response() if request else None
    return (first.header_value("location") or "") if first else ""


def _sale(page: Page, config: dict[str, Any], publisher: str | None, report: Report) -> None:
    key = (config.get("orderIdKeys") or ["orderId"])[0]
    ok, result = page.evaluate(SALE, {key: f"doctor-{time.time_ns()}", "isTest": True})
    if not ok:
        report.bad(
            f"The test sale was refused: {result.get('code')} - {result.get('detail', 'no readable answer came from the box')}"
        )
    elif publisher and not result.get("attributed"):
        report.bad(f"The test sale arrived but was not attributed to {publisher}: {result.get('reason')}.")
    else:
        report.good(f"A test sale arrived{' and was attributed' if result.get('attributed') else ''}.")


def _open(context: BrowserContext, url: str, publisher: str | None, report: Report) -> None:
    try:
        examine(context.new_page(), url, publisher, report)
    except BrowserError as error:
        report.bad(f"The browser gave up: {error.message.splitlines()[0]}")


@click.command()
@click.argument("url", type=WEB_ADDRESS)
@click.option("--publisher", metavar="ID", help="Whose link to follow for the test click.")
@json_option
def doctor(url: str, publisher: str | None, as_json: bool) -> None:
    """Open a page with the tag in a real browser and say what to mend. Exit code 1 when there is something.

    Example: box doctor https://shop.example/thank-you --publisher slow-table
    """
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        raise Failed("No Chromium on the PATH. Install one: `apt-get install chromium`.")
    report = Report()
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        context = browser.new_context()
        context.set_default_timeout(SECONDS)
        _open(context, url, publisher, report)
        browser.close()
    lines = [f"{'ok  ' if good else 'MEND'} {text}" for good, text in report.findings]
    answer = {
        "url": url,
        "healthy": report.healthy,
        "findings": [{"good": good, "text": text} for good, text in report.findings],
    }
    show(answer, as_json, lambda: click.echo("\n".join(lines)))
    raise SystemExit(0 if report.healthy else 1)
