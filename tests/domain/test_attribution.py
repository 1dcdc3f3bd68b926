"""Who earns an order: last click within the window, or a voucher."""

from chalicelib.domain.attribution import LATE_CLICK_MS, Voucher, attribute
from tests.domain.orders import DAY, NOW, click, report

VOUCHER = Voucher("SPRING", "p2", "agreement-of-p2")


def test_a_click_within_its_window_earns() -> None:
    found = attribute(report(click_id="c1"), click(at=NOW - 30 * DAY), None, NOW)
    assert (found.rule, found.publisher_id, found.agreement_id) == ("last_click", "p1", "agreement-of-p1")


def test_a_click_a_millisecond_past_its_window_does_not() -> None:
    found = attribute(report(click_id="c1"), click(at=NOW - 30 * DAY - 1), None, NOW)
    assert (found.publisher_id, found.reason) == (None, "outside_window")


def test_a_click_that_came_well_after_the_order_does_not() -> None:
    found = attribute(report(click_id="c1"), click(at=NOW + LATE_CLICK_MS + 1), None, NOW)
    assert (found.publisher_id, found.reason) == (None, "outside_window")


def test_a_click_that_reached_the_box_a_little_after_its_order_earns() -> None:
    assert attribute(report(click_id="c1"), click(at=NOW + LATE_CLICK_MS), None, NOW).publisher_id == "p1"


def test_an_order_without_a_click_says_so() -> None:
    assert attribute(report(), None, None, NOW).reason == "no_click"


def test_a_click_the_box_does_not_hold_says_so() -> None:
    assert attribute(report(click_id="zzz"), None, None, NOW).reason == "unknown_click"


def test_a_voucher_alone_earns_under_the_agreement_in_force() -> None:
    found = attribute(report(voucher="SPRING"), None, VOUCHER, NOW)
    assert (found.rule, found.publisher_id, found.agreement_id) == ("voucher", "p2", "agreement-of-p2")


def test_a_voucher_of_nobody_says_so() -> None:
    assert attribute(report(voucher="NOPE"), None, None, NOW).reason == "unknown_voucher"


def test_a_click_wins_over_anothers_voucher_and_the_loser_is_named() -> None:
    found = attribute(report(click_id="c1", voucher="SPRING"), click(), VOUCHER, NOW)
    assert (found.publisher_id, found.loser) == ("p1", "voucher of p2")


def test_an_exclusive_voucher_wins_over_anothers_click() -> None:
    exclusive = Voucher("SPRING", "p2", "agreement-of-p2", exclusive=True)
    found = attribute(report(click_id="c1", voucher="SPRING"), click(), exclusive, NOW)
    assert (found.publisher_id, found.loser) == ("p2", "last_click of p1")
