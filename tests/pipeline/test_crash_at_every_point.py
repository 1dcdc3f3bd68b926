"""Killed at every named step between outbox and confirmation, then started again: nothing lost, nothing twice, N of N points."""

from __future__ import annotations

import time

import pytest

from chalicelib.services.confirm import confirm
from chalicelib.services.crashpoint import POINTS
from chalicelib.services.record import record
from ops.local import rpc
from tests.rig.ground import DAY_MS, Clocked, Ground
from tests.rig.process import CRASHED, run

GIVING_BACK = ("before-give-back", "amid-give-back", "after-give-back")


def work_once(ground: Ground) -> None:
    """One life of a process: send, see mined, see final. It may end anywhere in it."""

    def live(box: Clocked) -> None:
        record(box)
        rpc.call(ground.node_url, "evm_mine")
        confirm(box)
        for _ in range(3):
            rpc.call(ground.node_url, "evm_mine")
        confirm(box)

    assert run(ground, live, crash_at=ground.crash_at) == CRASHED  # type: ignore[attr-defined]


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_there_loses_nothing_and_records_nothing_twice(ground: Ground, point: str) -> None:
    ground.sell(14)
    ground.box.offset += 2_000
    ground.crash_at = point  # type: ignore[attr-defined]
    set_aside = 0
    if point in GIVING_BACK:
        set_aside = batch_that_reverts(ground)
    work_once(ground)
    started = time.monotonic()
    ground.outlive_lease()
    rounds = ground.settle()
    print(f"\nkilled {point}: settled again in {rounds} rounds, {time.monotonic() - started:.1f} s")
    ground.assert_recorded_once(but=set_aside)


def batch_that_reverts(ground: Ground) -> int:
    """A batch on its way, one agreement of which is over before it is mined. How many will be set aside."""
    record(ground.box)
    ground.overtake(lambda: ground.end(1))
    ground.box.offset -= 30 * DAY_MS  # decisions are not what this is about
    return 7
