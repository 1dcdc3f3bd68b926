"""Asking a box over HTTP as a stranger would, and holding what it answers against what it should be: for the story, for the smoke test,
for whoever else drives a box from outside and stops at the first thing that is not so."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CALL_SECONDS = 35.0
"""API Gateway gives up after 29."""
FINAL_SECONDS = 60.0


class DoesNotHold(Exception):
    """What was claimed turned out false; the message says what was found instead."""


class NoAnswer(DoesNotHold, OSError):
    """Nobody answered: what the box would have said is not known."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """Raises DoesNotHold."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise DoesNotHold(f"the answer ({self.status}) is not JSON: {self.body[:200]!r}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


opener = urllib.request.build_opener(_NoRedirect)
"""Hands a redirect back as the answer that it is."""


def ask(method: str, url: str, body: Any = None, **headers: str) -> Answer:
    """Whatever the status; a header's name is written with `_` for `-`. Raises NoAnswer."""
    data = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, named, method=method)
    try:
        with opener.open(request, timeout=CALL_SECONDS) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
    except OSError as error:
        raise NoAnswer(f"{method} {url}: {error}") from error


def expect(found: Any, wanted: Any, what: str) -> None:
    """Raises DoesNotHold."""
    if found != wanted:
        raise DoesNotHold(f"{what} is {found!r}, not {wanted!r}")


def until(what: str, ready: Callable[[], Any], seconds: float = FINAL_SECONDS) -> Any:
    """Polls until `ready` gives something true, and gives that. Raises DoesNotHold."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        if time.monotonic() > deadline:
            raise DoesNotHold(f"after {seconds:.0f} s still not so: {what}")
        time.sleep(0.25)
    return found
