"""An agreement that a side ended on the contract itself: the box learns of it, and no link of it counts any more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from chalicelib.adapters.network import Network, NoAnswer
from chalicelib.adapters.stores.parties import PublisherStore
from chalicelib.domain.party import Agreement, Publisher
from chalicelib.services import confirm, track
from chalicelib.services.network_report import REPORT, Report
from tests.rig.ground import Ground


def looked(ground: Ground) -> None:
    """The end is final, and the confirmer has written its report."""
    ground.mine(3)
    ground.box.offset += confirm.REPORT_MS
    confirm.confirm(ground.box)


def agreement(ground: Ground, number: int) -> Agreement:
    held = ground.box.agreements.get(ground.agreements[number])
    assert held is not None
    return held


def publisher(ground: Ground, number: int) -> Publisher:
    held = ground.box.publishers.get(f"p{number}")
    assert held is not None
    return held


def test_an_end_on_the_contract_stops_the_links_of_that_agreement_and_no_other(ground: Ground) -> None:
    looked(ground)
    before = ground.chain_now()
    ground.end(0, after_days=0)
    after = ground.chain_now()
    looked(ground)
    ended_at = agreement(ground, 0).ended_at
    assert agreement(ground, 0).state == "ended"
    assert ended_at is not None and before <= ended_at // 1000 <= after, "the block's time"
    assert publisher(ground, 0).link is None
    assert track.click(ground.box, "p0", None, None)[1] is None
    assert agreement(ground, 1).state == "active"
    assert track.click(ground.box, "p1", None, None)[1] is not None


def test_clicks_before_the_end_still_earn(ground: Ground) -> None:
    looked(ground)
    ground.end(0, after_days=0)
    looked(ground)
    ground.sell(1, publisher=0)
    ground.settle()
    ground.assert_recorded_once()
    assert ground.conversions()[0].set_aside is None


def test_an_end_that_no_node_showed_at_first_is_found_the_next_time(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(ground)
    ground.end(0, after_days=0)

    def silent(*_: object) -> None:
        raise NoAnswer("nobody")

    monkeypatch.setattr(Network, "logs", silent)
    looked(ground)
    report = ground.box.state.read(REPORT, Report)
    assert report is not None and report.rpc == "ok" and report.ends_until < report.final
    assert agreement(ground, 0).state == "active"
    monkeypatch.undo()
    looked(ground)
    assert agreement(ground, 0).state == "ended"


def test_a_new_version_put_in_force_in_that_moment_keeps_its_links(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(ground)
    ground.end(0, after_days=0)
    swap: Callable[..., bool] = PublisherStore.swap

    def overtaken(store: PublisherStore, before: Publisher, after: Publisher) -> bool:
        monkeypatch.undo()
        ground.agreements.append(ground.agree(0))
        return swap(store, before, after)

    monkeypatch.setattr(PublisherStore, "swap", overtaken)
    looked(ground)
    assert agreement(ground, 0).state == "ended"
    link = publisher(ground, 0).link
    assert link is not None and link.agreement_id == ground.agreements[-1]


def test_on_another_network_the_blocks_looked_at_count_anew(ground: Ground) -> None:
    looked(ground)
    report = ground.box.state.read(REPORT, Report)
    assert report is not None
    ground.box.state.write(REPORT, replace(report, contract="0x" + "11" * 20, ends_until=10**9, final=10**9))
    looked(ground)
    ground.end(0, after_days=0)
    looked(ground)
    assert agreement(ground, 0).state == "ended"
