"""The app's Lambda functions, read from the app object itself: what is added to app.py is deployed, watched and bounded too."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ops.aws.names import REST_HANDLER
from ops.local.process import ROOT

Kind = Literal["web", "stream", "schedule"]


@dataclass(frozen=True)
class Function:
    name: str
    kind: Kind


@cache
def functions() -> tuple[Function, ...]:
    """The REST handler and every event source of app.py. Raises NotImplementedError for a kind nobody wrote a policy for."""
    from chalice.app import DynamoDBEventConfig, ScheduledEventConfig

    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from app import app

    found = [Function(REST_HANDLER, "web")]
    for source in app.event_sources:
        if isinstance(source, DynamoDBEventConfig):
            found.append(Function(source.name, "stream"))
        elif isinstance(source, ScheduledEventConfig):
            found.append(Function(source.name, "schedule"))
        else:
            raise NotImplementedError(f"{source.name}: say in ops/aws/functions.py what a {type(source).__name__} is")
    return tuple(found)


def names() -> list[str]:
    return [function.name for function in functions()]
