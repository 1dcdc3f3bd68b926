"""A second process at the same box: forked, so that it costs nothing to start and can be ended at a crash point like by a power cut."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable

from chalicelib.adapters import tables
from chalicelib.services import claim
from chalicelib.settings import settings
from tests.rig.ground import Clocked, Ground

CRASHED = 86


def start(ground: Ground, work: Callable[[Clocked], None], crash_at: str = "") -> int:
    """The process id. It ends with 0, with 1 when `work` raised, with CRASHED at the crash point."""
    sys.stdout.flush()
    with warnings.catch_warnings():
        # Python warns of forking beside threads. The parent's are the proxy's and the claims', and the child uses neither.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    try:
        if crash_at:
            os.environ["CRASH_AT"] = crash_at
        settings.cache_clear()
        tables._bound.clear()  # nor are its connections for two processes at once
        claim._writers.cache_clear()  # the threads of the parent did not come along
        work(ground.new_box(ground.box.offset))
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, this is the end of the process
        traceback.print_exc()
        os._exit(1)


def ended(pid: int) -> int:
    """Waits for it; its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(ground: Ground, work: Callable[[Clocked], None], crash_at: str = "") -> int:
    return ended(start(ground, work, crash_at))
