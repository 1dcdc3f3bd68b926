"""One order is one conversion, whoever reports it, in whatever order."""

import pytest
from msgspec.structs import replace

from chalicelib.domain.attribution import Attribution
from chalicelib.domain.conversion import MAX_FLAGS, conversion_id, merge
from chalicelib.domain.errors import Conflict
from chalicelib.domain.report import Source
from tests.domain.orders import LAST_CLICK, NOW, conversion, report

NOBODY = Attribution(rule="none", reason="no_click")
OTHER = Attribution(rule="last_click", publisher_id="p2", agreement_id="a2", click_id="c2", clicked_at=NOW)


def test_the_id_depends_on_action_and_order_alone() -> None:
    secret = b"s" * 32
    ids = {
        conversion_id(secret, report(source, values=[value])) for source in ("tag", "server") for value in ("1", "2")
    }
    assert len(ids) == 1
    assert conversion_id(secret, report(action="lead")) not in ids
    assert conversion_id(b"t" * 32, report()) not in ids


def test_a_test_order_never_stands_in_a_real_ones_place() -> None:
    assert conversion_id(b"s" * 32, report(is_test=True)) != conversion_id(b"s" * 32, report())


def test_the_same_report_again_is_a_duplicate_and_changes_nothing() -> None:
    held = conversion()
    merged, outcome = merge(held, report(), LAST_CLICK, NOW, locked=False)
    assert outcome == "duplicate" and merged is held


def test_a_browser_cannot_change_what_a_browser_said() -> None:
    held = conversion()
    merged, outcome = merge(held, report(values=["1.00"]), LAST_CLICK, NOW, locked=False)
    assert outcome == "conflict" and merged is held


def test_a_repeat_with_another_click_is_flagged_and_keeps_the_first_attribution() -> None:
    held = conversion(click_id="c1")
    merged, outcome = merge(held, report(click_id="c2"), OTHER, NOW, locked=False)
    assert outcome == "duplicate" and merged.attribution == held.attribution
    assert merged.history[-1].event == "flagged" and "c2" in merged.history[-1].detail


def test_a_conflict_with_another_click_is_flagged_and_changes_nothing_else() -> None:
    held = conversion("server")
    merged, outcome = merge(held, report(values=["1.00"], click_id="c2"), OTHER, NOW, locked=False)
    assert outcome == "conflict" and replace(merged, history=held.history) == held
    assert merged.history[-1].event == "flagged" and "c2" in merged.history[-1].detail
    again, _ = merge(merged, report(values=["1.00"], click_id="c2"), OTHER, NOW, locked=False)
    assert again is merged, "one line a click"


def test_no_browser_gives_a_click_to_an_order_that_the_server_reported_without_one() -> None:
    held = replace(conversion("server"), attribution=NOBODY)
    merged, outcome = merge(held, report(click_id="c2"), OTHER, NOW, locked=False)
    assert outcome == "duplicate" and merged.attribution == NOBODY
    assert "flagged" in [line.event for line in merged.history]


def test_guessing_an_orders_number_does_not_push_its_history_out() -> None:
    held = conversion()
    for n in range(50):
        held, _ = merge(held, report(click_id=f"guess-{n}"), OTHER, NOW, locked=False)
    assert len([line for line in held.history if line.event == "flagged"]) == MAX_FLAGS


def test_the_server_sets_amount_and_verifies() -> None:
    merged, outcome = merge(conversion(), report("server", values=["90.00"]), NOBODY, NOW, locked=False)
    assert outcome == "amended"
    assert (merged.amount, merged.verified, merged.source, merged.attribution) == (9_000, True, "server", LAST_CLICK)


def test_the_server_moves_the_attribution_where_it_names_a_click_that_earns() -> None:
    merged, _ = merge(conversion(), report("server", click_id="c2"), OTHER, NOW, locked=False)
    assert merged.attribution.publisher_id == "p2" and "from p1 to p2" in merged.history[-1].detail


def test_a_browser_after_the_server_with_the_same_amount_is_a_duplicate() -> None:
    merged, outcome = merge(conversion("server"), report(), NOBODY, NOW, locked=False)
    assert outcome == "duplicate" and merged.source == "server" and "tag" in merged.said


def test_a_browser_after_the_server_with_another_amount_is_refused() -> None:
    _, outcome = merge(conversion("server"), report(values=["1.00"]), NOBODY, NOW, locked=False)
    assert outcome == "conflict"


def test_a_server_repeating_its_own_first_report_after_an_amend_is_a_duplicate() -> None:
    amended = replace(conversion("server"), amount=8_000)
    _, outcome = merge(amended, report("server"), NOBODY, NOW, locked=False)
    assert outcome == "duplicate"


def test_a_server_against_itself_with_other_values_is_refused() -> None:
    _, outcome = merge(conversion("server"), report("server", values=["90.00"]), NOBODY, NOW, locked=False)
    assert outcome == "conflict"


@pytest.mark.parametrize("source", ["tag", "server"])
def test_after_the_lock_not_even_the_server_changes_anything(source: Source) -> None:
    with pytest.raises(Conflict) as refused:
        merge(conversion(), report(source, values=["90.00"]), NOBODY, NOW, locked=True)
    assert refused.value.code == "locked"
    assert merge(conversion(), report(), LAST_CLICK, NOW, locked=True)[1] == "duplicate"
