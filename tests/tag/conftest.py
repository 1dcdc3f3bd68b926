"""A real browser, a shop and a box for each test of the tag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.tag.sites import STUB, FaultBox, Shop


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The session's one browser: two playwrights do not run in one process."""
    return chromium


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context()
    opened.set_default_timeout(10_000)
    yield opened
    opened.close()


class Noise:
    """What a page says that it should not: exceptions and console messages."""

    def __init__(self) -> None:
        self.exceptions: list[str] = []
        self.console: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.exceptions.append(str(error)))
        page.on("console", lambda message: self.console.append(message.text))


@pytest.fixture
def noise() -> Noise:
    return Noise()


@pytest.fixture
def page(context: BrowserContext, noise: Noise) -> Iterator[Page]:
    """A tab. Whatever a test does, the tag may throw nothing into it."""
    opened = context.new_page()
    noise.watch(opened)
    yield opened
    assert noise.exceptions == []


@pytest.fixture
def box() -> Iterator[FaultBox]:
    started = FaultBox()
    yield started
    started.stop()


@pytest.fixture
def shop() -> Iterator[Shop]:
    started = Shop()
    yield started
    started.stop()


@pytest.fixture
def snippet(box: FaultBox) -> str:
    """What a merchant pastes: the queue stub and one async script."""
    return f'<script>{STUB}</script><script async src="{box.url}/libs/mtag.js"></script>'


Call = Callable[..., Any]


@pytest.fixture
def call(page: Page) -> Call:
    """Calls mtag in the page and gives what its callback got, as [ok, result]."""

    def calling(action: str, metadata: Any = None, values: Any = None, tab: Page | None = None) -> Any:
        script = "([a, m, v]) => new Promise(done => mtag(a, (ok, result) => done([ok, result]), m, v))"
        return (tab or page).evaluate(script, [action, metadata, values])

    return calling
