"""One order is one conversion, whoever reports it, in whatever order."""

import pytest
from msgspec.structs import replace

from chalicelib.domain.attribution import Attribution
from chalicelib.domain.conversion import MAX_FLAGS, Conversion, conversion_id, merge, open_conversion, repriced
from chalicelib.domain.errors import Conflict
from chalicelib.domain.report import Line, Report, Source, normalise
from tests.domain.orders import DAY, LAST_CLICK, NOW, body, conversion, demo_config, report

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


def test_a_click_made_after_the_order_earns_nothing_whoever_names_it() -> None:
    later = replace(OTHER, clicked_at=NOW + 1)
    merged, outcome = merge(conversion(), report("server", click_id="c2"), later, NOW + DAY, locked=False)
    assert outcome == "amended" and merged.attribution == LAST_CLICK
    assert (merged.verified, merged.history[-1].event) == (True, "verified")
    assert "came after the order" in merged.history[-1].detail
    nobodys = replace(conversion(), attribution=NOBODY)
    assert merge(nobodys, report("server", click_id="c2"), later, NOW + DAY, locked=False)[0].attribution == NOBODY


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


def in_pounds(rate: str, value: str = "100.00", source: Source = "server") -> Report:
    """A report in another currency than the merchant's, at the rate that the config has that day."""
    sent = body(values=[value], currency="GBP", order_id="B-1")
    return normalise(sent, source, replace(demo_config(), rates={"GBP": rate}))


def opened(first: Report) -> Conversion:
    return open_conversion(first, LAST_CLICK, "k" * 26, ("01" * 32, "02" * 32), NOW)


@pytest.mark.parametrize("source", ["tag", "server"])
@pytest.mark.parametrize("locked", [False, True])
def test_the_same_report_after_the_rate_changed_is_still_the_same(source: Source, locked: bool) -> None:
    held = opened(in_pounds("1.20", source=source))
    merged, outcome = merge(held, in_pounds("1.21", source=source), LAST_CLICK, NOW, locked=locked)
    assert outcome == "duplicate" and merged is held
    assert (held.amount, held.currency) == (12_000, "EUR")


def test_the_same_report_after_the_rate_changed_is_still_the_same_where_an_earlier_version_kept_the_first() -> None:
    held = opened(in_pounds("1.20"))
    as_kept_by_0_1 = replace(held, said={"server": replace(held.said["server"], original=None)})
    assert merge(as_kept_by_0_1, in_pounds("1.21"), LAST_CLICK, NOW, locked=False)[1] == "duplicate"
    assert merge(as_kept_by_0_1, in_pounds("1.21", "90.00"), LAST_CLICK, NOW, locked=False)[1] == "conflict"


def test_another_amount_that_a_new_rate_takes_to_the_same_is_another_report() -> None:
    held = opened(in_pounds("1.20", "100.00"))
    assert merge(held, in_pounds("1.50", "80.00"), LAST_CLICK, NOW, locked=False)[1] == "conflict"
    assert merge(held, report("server", values=["120.00"]), LAST_CLICK, NOW, locked=False)[1] == "conflict"


def test_a_browser_that_says_in_its_currency_what_the_server_said_confirms_it_at_any_rate() -> None:
    held = opened(in_pounds("1.20"))
    merged, outcome = merge(held, in_pounds("1.21", source="tag"), LAST_CLICK, NOW, locked=False)
    assert (outcome, merged.amount, merged.history[-1].event) == ("duplicate", 12_000, "confirmed")


def test_a_report_after_a_correction_verifies_the_order_and_leaves_its_amount() -> None:
    refunded = repriced(conversion(), (Line("default", 6_000),))
    merged, outcome = merge(refunded, report("server", click_id="c2"), OTHER, NOW, locked=False)
    assert (outcome, merged.amount, merged.lines) == ("amended", 6_000, (Line("default", 6_000),))
    assert (merged.verified, merged.source, merged.attribution) == (True, "server", OTHER)
    assert "stays as corrected" in merged.history[-1].detail
    assert merge(merged, report("server"), OTHER, NOW, locked=False)[1] == "duplicate"
    assert merge(merged, report("server", values=["60.00"]), OTHER, NOW, locked=False)[1] == "conflict"


def test_a_correction_back_to_what_the_browser_said_stands_as_well() -> None:
    there = repriced(conversion(), (Line("default", 6_000),))
    and_back = repriced(there, (Line("default", 10_000),))
    merged, _ = merge(and_back, report("server", values=["120.00"]), NOBODY, NOW, locked=False)
    assert (merged.amount, merged.verified) == (10_000, True)


def test_a_correction_that_an_earlier_version_made_stands_as_well() -> None:
    as_kept_by_0_1 = replace(conversion(), amount=6_000, lines=(Line("default", 6_000),))
    merged, _ = merge(as_kept_by_0_1, report("server"), NOBODY, NOW, locked=False)
    assert (merged.amount, merged.verified) == (6_000, True)


@pytest.mark.parametrize("source", ["tag", "server"])
def test_after_the_lock_not_even_the_server_changes_anything(source: Source) -> None:
    with pytest.raises(Conflict) as refused:
        merge(conversion(), report(source, values=["90.00"]), NOBODY, NOW, locked=True)
    assert refused.value.code == "locked"
    assert merge(conversion(), report(), LAST_CLICK, NOW, locked=True)[1] == "duplicate"
