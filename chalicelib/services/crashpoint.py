"""Named points between two steps of the pipeline, where a test may end the process as a power cut would.

Outside a test `CRASH_AT` is never set, and `reached` is one comparison.
"""

import os

from chalicelib.settings import settings

POINTS = (
    "after-lanes-changed",
    "before-lanes-settled",
    "before-reserve",
    "after-reserve",
    "amid-claims",
    "after-claim",
    "before-store",
    "after-store",
    "after-send",
    "after-sent",
    "before-mined",
    "after-mined",
    "before-confirmed",
    "after-confirmed",
    "before-give-back",
    "amid-give-back",
    "after-give-back",
    "before-settle",
)


def reached(point: str) -> None:
    if settings().crash_at == point:
        os._exit(86)
