"""The real parts that tests run against, started once a session (and a worker) on free ports and a data
directory of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from chalicelib import bootstrap
from chalicelib.settings import settings
from ops.local.anvil import Anvil
from ops.local.dynoxide import Dynoxide
from ops.local.running import RunningBox

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Before anything makes a client: the SDK must find neither a region of this machine's nor credentials that
# mean something.
os.environ.update(
    AWS_DEFAULT_REGION="eu-central-1",
    AWS_ACCESS_KEY_ID="local",
    AWS_SECRET_ACCESS_KEY="local",
    AWS_EC2_METADATA_DISABLED="true",
)
for inherited in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"):
    os.environ.pop(inherited, None)


@pytest.fixture(autouse=True)
def environment_as_found() -> Iterator[None]:
    """The app reads its settings from the environment: what one test sets there must not become another's box."""
    found = dict(os.environ)
    yield
    if dict(os.environ) != found:
        os.environ.clear()
        os.environ.update(found)
        settings.cache_clear()
        bootstrap.box.cache_clear()


@pytest.fixture(scope="session")
def dynamodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dynoxide]:
    """An empty DynamoDB at `dynamodb.url`; tests share it, so each takes a table prefix of its own."""
    part = Dynoxide(tmp_path_factory.mktemp("dynamodb"), usual_port=0)
    yield part
    part.stop()


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """An EVM node at `chain.url` that mines each transaction at once; ops.local.anvil.FAUCET_KEY pays."""
    part = Anvil(tmp_path_factory.mktemp("chain"), usual_port=0, block_seconds=0)
    yield part
    part.stop()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The installed browser. Its absence is a failure that says what to do, never a skip."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found:
            return str(Path(found))
    raise pytest.UsageError("no Chromium on the PATH: run `make setup`")


@pytest.fixture(scope="session")
def firefox_path() -> str:
    """The installed Firefox; as for Chromium, without one there is nothing to show."""
    for name in ("firefox", "firefox-esr"):
        found = shutil.which(name)
        if found:
            return str(Path(found))
    raise pytest.UsageError("no Firefox on the PATH: run `make setup`")


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    """The whole box as `box up` runs it, under a stage prefix as on AWS: `box.url` (prefix included),
    `box.keys`, `box.line`."""
    running = RunningBox(tmp_path_factory.mktemp("box"), "--port", "0", "--prefix", "/api")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """A headless Chromium; take a new context for each test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test proves nothing, so a run with one does not pass."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line("a test was skipped: that is a failure here", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
