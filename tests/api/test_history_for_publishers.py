"""A publisher reads the history of its conversions, and nothing in it about others."""

from chalicelib.domain.conversion import Conversion, happened, merge
from chalicelib.services.lifecycle import Standing
from chalicelib.services.present import _history
from tests.domain.orders import LAST_CLICK, NOW, conversion, report

NOWHERE = Standing("open", "pending", 0, None, None, None, None)


def told() -> Conversion:
    held = conversion(click_id="c1")
    flagged, _ = merge(held, report(click_id="stolen-click"), LAST_CLICK, NOW, locked=False)
    return happened(flagged, NOW + 1, "rejected", "Ann's key", "returned")


def test_the_merchant_sees_every_line_and_who_wrote_it() -> None:
    lines = _history(told(), NOWHERE, private=True)
    assert {line["event"] for line in lines} == {"received", "flagged", "rejected"}
    assert "stolen-click" in str(lines) and "Ann's key" in str(lines)


def test_a_publisher_sees_neither_another_click_nor_the_names_of_the_merchants_keys() -> None:
    lines = _history(told(), NOWHERE, private=False)
    assert "stolen-click" not in str(lines) and "Ann" not in str(lines)
    rejected = next(line for line in lines if line["event"] == "rejected")
    assert (rejected["by"], rejected["detail"]) == ("merchant", "returned")
