"""Figures and files: statistics add up, the export pages through everything once, a month's statement holds what became final in it."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters import tables
from chalicelib.services import export, report, statements
from tests.api.conftest import Desk, ShiftedBox
from tests.shopper import final_receipt

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def sold(desk: Desk) -> list[dict[str, Any]]:
    click_id = desk.click()
    made = [desk.sell(desk.order_id("rep"), f"{n}0.00", clickId=click_id).json for n in (1, 2, 3)]
    for one in made:
        final_receipt(desk.box, one["conversionId"])
    desk.ask(
        "PATCH",
        f"/v1/conversions/{made[2]['conversionId']}",
        {"status": "rejected", "reason": "returned"},
        key="server",
    )
    return made


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_export_has_each_conversion_once_over_its_pages(
    desk: Desk, sold: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.services import report

    monkeypatch.setattr(export, "PAGE_ROWS", 2)
    wanted, cursor, seen, pages = (
        report.read_filter(desk.inside, {"publisherId": desk.box.line["publisherId"]}, None),
        None,
        [],
        0,
    )
    while True:
        from dataclasses import replace

        text, cursor = export.page(desk.inside, replace(wanted, after=report._after(cursor)), private=True)
        seen += [row["conversionId"] for row in rows_of(text)]
        pages += 1
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) and {one["conversionId"] for one in sold} <= set(seen)
    assert pages >= 2


@pytest.mark.usefixtures("sold")
def test_a_page_of_the_export_stays_below_its_bytes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.services import report

    monkeypatch.setattr(export, "MAX_BYTES", 700)
    text, cursor = export.page(desk.inside, report.read_filter(desk.inside, {}, None), private=True)
    header = text.split("\r\n")[0]
    assert 1 <= len(rows_of(text)) < 3 and len(text) - len(header) <= 702
    assert cursor is not None


def test_the_export_over_http_is_csv_with_a_relative_link_to_the_next_page(
    desk: Desk, sold: list[dict[str, Any]]
) -> None:
    answer = desk.ask("GET", "/v1/export/conversions.csv", key="readonly")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    found = {row["conversionId"]: row for row in rows_of(answer.body.decode())}
    row = found[sold[0]["conversionId"]]
    assert (row["amount"], row["orderId"], row["networkState"]) == ("10.00", sold[0]["orderId"], "confirmed")


def test_a_cell_that_a_spreadsheet_would_run_is_quoted(desk: Desk) -> None:
    order_id = f"=HYPERLINK({desk.order_id()})"
    made = desk.sell(order_id)
    answer = desk.ask("GET", "/v1/export/conversions.csv", key="readonly")
    found = {row["conversionId"]: row for row in rows_of(answer.body.decode())}
    assert found[made.json["conversionId"]]["orderId"] == f"'{order_id}"


def everything(desk: Desk, publisher: str) -> list[Any]:
    """All of a publisher's conversions, over all pages."""
    found, cursor = [], ""
    while True:
        page = desk.ask("GET", f"/v1/conversions?limit=200&publisherId={publisher}{cursor}", key="readonly").json
        found += page["conversions"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def all_on_the_network(desk: Desk, publisher: str, seconds: float = 120.0) -> list[Any]:
    """All of a publisher's conversions, once the network has each with what was decided of it."""
    deadline = time.monotonic() + seconds
    while True:
        found = everything(desk, publisher)
        networks = [one["network"] for one in found]
        states = [n["state"] for n in networks] + [n["change"]["state"] for n in networks if n["change"]]
        if not {"pending", "sent"} & set(states):
            return found
        assert time.monotonic() < deadline, f"still on their way: {states}"
        time.sleep(0.2)


def test_a_statement_holds_what_became_final_in_its_month_and_nothing_else(
    desk: Desk, sold: list[dict[str, Any]]
) -> None:
    """It goes by what the network has: a rejection that is still on its way is none yet."""
    publisher = desk.box.line["publisherId"]
    standing = all_on_the_network(desk, publisher)
    locked_at = datetime.fromisoformat(desk.held(sold[0]["conversionId"])["lockAt"])
    month = locked_at.strftime("%Y-%m")
    after = ShiftedBox(desk.inside.settings)
    after.ahead = int((locked_at - datetime.now(UTC) + timedelta(days=35)).total_seconds() * 1000)
    found = statements.statement(after, month, publisher)
    account = next(row for row in found["publishers"] if row["publisherId"] == publisher)
    assert found["final"] is True
    recorded = [one for one in standing if one["lockAt"] is not None and one["lockAt"][:7] == month]
    expected = [one for one in recorded if one["status"] != "rejected"]
    assert account["conversions"] == len(expected) >= 2
    for figure in ("amount", "commission"):
        assert float(account[figure]) == pytest.approx(sum(float(one[figure]) for one in expected))
    assert account["rejected"] >= 1 and float(account["rejectedAmount"]) >= 30
    before = (locked_at.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    assert statements.statement(after, before, publisher)["totals"]["conversions"] == 0
    assert statements.statement(desk.inside, month, publisher)["totals"]["conversions"] == 0, (
        "not final before the lock"
    )


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "202611", "now", "1999-12", "2026-11-01"])
def test_a_month_that_is_none_is_refused(desk: Desk, month: str) -> None:
    answer = desk.ask("GET", f"/v1/statements/{month}", key="readonly")
    assert (answer.status, answer.json["code"]) == (422, "month_invalid")


@pytest.mark.usefixtures("sold")
@pytest.mark.parametrize("by", ["day", "publisher", "subId", "status"])
def test_the_rows_of_each_grouping_add_up_to_the_totals(desk: Desk, by: str) -> None:
    stats = desk.ask("GET", f"/v1/stats?by={by}", key="readonly").json
    assert sum(row["conversions"] for row in stats["rows"]) == stats["totals"]["conversions"] >= 3
    for name in ("open", "approved", "sale", "rejected"):
        total = sum(round(float(row["commission"][name]) * 100) for row in stats["rows"])
        assert total == round(float(stats["totals"]["commission"][name]) * 100)


@pytest.mark.usefixtures("sold")
def test_the_totals_are_the_same_however_the_rows_are_grouped(desk: Desk) -> None:
    desk.click()
    day = desk.ask("GET", "/v1/stats", key="readonly").json["totals"]
    assert day["clicks"] > 0 and day["conversionRate"] is not None
    for by in ("publisher", "subId", "status"):
        assert desk.ask("GET", f"/v1/stats?by={by}", key="readonly").json["totals"] == day


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2026-11-02&to=2026-11-01", "period_invalid"),
        ("from=2020-01-01&to=2026-11-01", "period_invalid"),
        ("from=yesterday", "date_invalid"),
        ("to=2026-02-30", "date_invalid"),
        ("by=hour", "by_invalid"),
        ("status=paid", "status_invalid"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(desk: Desk, query: str, code: str) -> None:
    answer = desk.ask("GET", f"/v1/stats?{query}", key="readonly")
    assert (answer.status, answer.json["code"]) == (422, code)


@pytest.mark.usefixtures("sold")
def test_statistics_of_a_month_ask_each_days_slots_twice_and_no_more(desk: Desk) -> None:
    """For its clicks and for its conversions: what a page of figures costs does not depend on how long the box has run."""
    inside, asked = desk.inside, list[str]()
    today = datetime.fromtimestamp(inside.now() / 1000, UTC).date()
    held = sum(1 for _ in inside.conversions.newest(today - timedelta(days=30), today))  # other tests' too
    events = tables.connection().client.meta.events

    def note(**sent: Any) -> None:
        asked.append(sent["request"].headers["X-Amz-Target"].decode().partition(".")[2])

    events.register("before-send.dynamodb", note)
    try:
        report.stats(inside, {}, None)
    finally:
        events.unregister("before-send.dynamodb", note)
    assert asked.count("Query") == 2 * 31 * tables.DAY_SLOTS
    assert len(asked) - asked.count("Query") <= 4 * (1 + held // report.READ_AHEAD), asked
