"""The system's own Firefox, driven by WebDriver BiDi, the standard it speaks itself: one socket, JSON both ways. Playwright's Firefox is
a build of its own that would have to be downloaded."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

# No start page, and nothing asked of Mozilla while a test counts requests and processor time.
PREFERENCES: dict[str, bool | int | str] = {
    "app.normandy.enabled": False,
    "browser.chrome.site_icons": False,
    "browser.safebrowsing.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "messaging-system.rsexperimentloader.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#",
    "toolkit.telemetry.server": "",
}


class Firefox:
    """One browser; each tab of it has cookies, storage and cache of its own, as a visitor has."""

    def __init__(self, path: str, profile: Path) -> None:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        self._log = profile / "log"
        # System access is for the preferences, nothing else.
        options = ["--headless", "--no-remote", "--remote-debugging-port", "0", "--remote-allow-system-access"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen([path, *options, "--profile", str(profile)], stdout=log, stderr=log)
        self._count = 0
        self._tabs: dict[str, Tab] = {}

    def _address(self) -> str:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"WebDriver BiDi listening on (ws://\S+)", said := self._log.read_text())):
            assert self._process.poll() is None, f"Firefox ended: {said}"
            assert time.monotonic() < deadline, f"Firefox does not listen: {said}"
            time.sleep(0.02)
        return found[1] + "/session"

    @contextmanager
    def connected(self) -> Iterator[Firefox]:
        try:
            with connect(self._address(), max_size=None, proxy=None) as self._socket:
                self.command("session.new", capabilities={})
                self.command("session.subscribe", events=["log.entryAdded"])
                [window] = self.command("browsingContext.getTree", **{"moz:scope": "chrome"})["contexts"]
                self._window: str = window["context"]
                yield self
                self.command("browser.close")
            self._process.wait(20)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    _socket: ClientConnection

    def command(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            got = json.loads(self._socket.recv(timeout=30))
            if got.get("id") == self._count:
                assert got["type"] == "success", f"{method}: {got}"
                return got["result"]
            self._note(got)

    def _note(self, event: dict[str, Any]) -> None:
        said = event.get("params", {})
        tab = self._tabs.get(said.get("source", {}).get("context"))
        if event.get("method") == "log.entryAdded" and tab:
            tab.noise.append(f"{said['level']}: {said['text']}")

    def run(self, target: str, expression: str) -> Any:
        """What an expression, or the promise it is, gives; by way of JSON, so that plain values come back."""
        parameters = {"target": {"context": target}, "awaitPromise": True}
        script = f"(async () => JSON.stringify(await ({expression})))()"
        got = self.command("script.evaluate", expression=script, **parameters)
        assert got["type"] == "success", f"{expression}: {got['exceptionDetails']['text']}"
        text = got["result"].get("value")
        return None if text is None else json.loads(text)

    @contextmanager
    def preferring(self, preferences: dict[str, bool | int]) -> Iterator[None]:
        """What a visitor would set under about:config, for as long as a test."""
        for name, value in preferences.items():
            kind = "Bool" if isinstance(value, bool) else "Int"
            self.run(self._window, f"Services.prefs.set{kind}Pref({json.dumps(name)}, {json.dumps(value)})")
        try:
            yield
        finally:
            for name in preferences:
                self.run(self._window, f"Services.prefs.clearUserPref({json.dumps(name)})")

    def tab(self) -> Tab:
        visitor = self.command("browser.createUserContext")["userContext"]
        made = Tab(self, visitor, self.command("browsingContext.create", type="tab", userContext=visitor)["context"])
        self._tabs[made.context] = made
        return made


class Tab:
    """A visitor's tab. `noise` is what the page said that it should not: exceptions and console messages."""

    def __init__(self, firefox: Firefox, visitor: str, context: str) -> None:
        self._firefox = firefox
        self._visitor = visitor
        self.context = context
        self.noise: list[str] = []

    def open(self, url: str) -> None:
        self._firefox.command("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def go(self, url: str) -> None:
        """As by a link, for pages that go elsewhere themselves: the protocol's own navigation takes that for a failure."""
        self.evaluate(f"void setTimeout(() => {{ location.href = {json.dumps(url)} }})")

    def reload(self) -> None:
        self._firefox.command("browsingContext.reload", context=self.context, wait="complete")

    def back(self) -> None:
        self._firefox.command("browsingContext.traverseHistory", context=self.context, delta=-1)

    def evaluate(self, expression: str) -> Any:
        return self._firefox.run(self.context, expression)

    def _wait(self, come_true: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + 10
        while not come_true():
            assert time.monotonic() < deadline, f"{what} did not become true"
            time.sleep(0.01)

    def wait_until(self, expression: str) -> None:
        self._wait(lambda: self.evaluate(expression), expression)

    def wait_for_address(self, url: str) -> None:
        """Asks the browser and not the page, which may be on its way out."""

        def there() -> bool:
            [here] = self._firefox.command("browsingContext.getTree", root=self.context)["contexts"]
            return bool(here["url"] == url)

        self._wait(there, f"the address {url}")

    def call(self, action: str, metadata: Any = None, values: Any = None) -> Any:
        """Calls mtag in the page and gives what its callback got, as [ok, result]."""
        passed = f"{json.dumps(metadata)}, {json.dumps(values)}"
        return self.evaluate(f"new Promise(done => mtag('{action}', (ok, result) => done([ok, result]), {passed}))")

    def leave(self) -> None:
        """What the page had still to do it has done, and whatever it said has arrived."""
        self.open("about:blank")

    def clear_cookies(self) -> None:
        partition = {"type": "storageKey", "userContext": self._visitor}
        self._firefox.command("storage.deleteCookies", partition=partition)

    def close(self) -> None:
        self._firefox.command("browsingContext.close", context=self.context)
