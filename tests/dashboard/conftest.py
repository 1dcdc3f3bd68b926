"""A person at the dashboard, in a real Chromium. Whatever the page complains of in its console fails the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from ops.local.running import RunningBox

WAIT_MS = 20_000
expect.set_options(timeout=WAIT_MS)
Visit = Callable[..., Page]


class Complaints(list[str]):
    """What a page reported: errors, violations of its own policy, requests to anybody but the box."""

    def watch(self, page: Page, box: RunningBox) -> None:
        origin = "/".join(box.url.split("/")[:3])

        def console(message: ConsoleMessage) -> None:
            # A refused call is the browser's own line in the console; what the page makes of it is the tests' business.
            if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
                self.append(message.text)

        def request(sent: Request) -> None:
            if not sent.url.startswith((origin, "data:")):
                self.append(f"a request to {sent.url}")

        page.on("console", console)
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("request", request)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """visit(box, key="server", at="#…", width=1440) -> the dashboard, logged in; key=None: at the login."""
    contexts = []
    complaints = Complaints()

    def open_page(
        box: RunningBox, key: str | None = "server", at: str = "", width: int = 1440, scheme: Any = "light"
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            locale="en-GB",
            timezone_id="America/New_York",
        )
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        complaints.watch(page, box)
        page.goto(f"{box.url}/dashboard{at}")
        if key is not None:
            log_in(page, box.keys[key])
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def log_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()


def row(page: Page, conversion_id: str) -> Any:
    return page.locator(f'tr[data-id="{conversion_id}"]')


def euros(amount: str) -> str:
    return f"€{Decimal(amount):,.2f}"
