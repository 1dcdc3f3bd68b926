"""Who earns the commission of an order, and why: last click within the window, or a publisher's own voucher."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain.click import Click
from chalicelib.domain.report import Report

Reason = Literal["no_click", "unknown_click", "outside_window", "unknown_voucher"]
"""Why an order has no publisher: no click or voucher came with it; the box holds no such click, or its agreement was not active; the
click is older than the agreement's window, or clearly younger than the order; the voucher is no publisher's with an active agreement."""

LATE_CLICK_MS = 900_000
"""A click may reach the box this long after the first word of its order: a direct link's is asked for by the page, and asked for again
where it got no answer, while the merchant's server reports at once. `times` of `box verify` allows the same."""


class Voucher(Struct, rename="camel", frozen=True):
    """A code that belongs to one publisher. `exclusive` makes it win over a click of somebody else's."""

    code: str
    publisher_id: str
    agreement_id: str
    """The publisher's agreement in force at the order."""
    exclusive: bool = False


class OwnedCode(Struct, rename="camel", frozen=True):
    """A voucher as it is kept: which agreement it earns under is looked up at the order."""

    code: str
    publisher_id: str
    exclusive: bool = False


class Attribution(Struct, rename="camel", frozen=True, kw_only=True):
    """The publisher is None when nobody earns; then `reason` says why. `loser` names what did not win."""

    rule: Literal["last_click", "voucher", "none"]
    publisher_id: str | None = None
    agreement_id: str | None = None
    click_id: str | None = None
    clicked_at: int | None = None
    sub_id: str | None = None
    reason: Reason | None = None
    loser: str | None = None


def attribute(report: Report, click: Click | None, voucher: Voucher | None, ordered_at: int) -> Attribution:
    """`click` and `voucher` are what the box holds under the report's ids, None where it holds nothing. `ordered_at` in milliseconds: when
    the order was first heard of, whoever reports it again and however late."""
    by_click = _by_click(report, click, ordered_at)
    if voucher is None:
        if by_click.publisher_id is None and report.voucher and not report.click_id:
            return Attribution(rule="none", reason="unknown_voucher")
        return by_click
    by_voucher = Attribution(rule="voucher", publisher_id=voucher.publisher_id, agreement_id=voucher.agreement_id)
    if by_click.publisher_id is None:
        return by_voucher
    if by_click.publisher_id == voucher.publisher_id:
        return by_click
    winner, other = (by_voucher, by_click) if voucher.exclusive else (by_click, by_voucher)
    return replace(winner, loser=f"{other.rule} of {other.publisher_id}")


def _by_click(report: Report, click: Click | None, ordered_at: int) -> Attribution:
    if not report.click_id:
        return Attribution(rule="none", reason="no_click")
    if click is None:
        return Attribution(rule="none", reason="unknown_click")
    if not click.clicked_at - LATE_CLICK_MS <= ordered_at <= click.attributable_until:
        return Attribution(rule="none", reason="outside_window", click_id=click.click_id)
    return Attribution(
        rule="last_click",
        publisher_id=click.publisher_id,
        agreement_id=click.agreement_id,
        click_id=click.click_id,
        clicked_at=click.clicked_at,
        sub_id=click.sub_id,
    )
