"""Reports and conversions to build tests from."""

from pathlib import Path
from typing import Any

from chalicelib.domain import config
from chalicelib.domain.attribution import Attribution
from chalicelib.domain.click import Click
from chalicelib.domain.conversion import Conversion, open_conversion
from chalicelib.domain.report import Body, Report, Source, normalise

DEMO = Path(__file__).parents[2] / "configs" / "demo.json"
NOW = 1_800_000_000_000
DAY = 86_400_000
LAST_CLICK = Attribution(rule="last_click", publisher_id="p1", agreement_id="a1", click_id="c1", clicked_at=NOW - DAY)


def demo_config() -> config.Config:
    return config.parse(DEMO.read_bytes(), "configs/demo.json")


def body(**fields: Any) -> Body:
    return Body(**{"action": "sale", "values": ["100.00"], "metadata": {"orderId": "B-1"}, "event_id": "e1", **fields})


def report(source: Source = "tag", **fields: Any) -> Report:
    if source == "server":
        fields = {"order_id": "B-1", **fields}
    return normalise(body(**fields), source, demo_config())


def conversion(source: Source = "tag", attribution: Attribution = LAST_CLICK, **fields: Any) -> Conversion:
    return open_conversion(report(source, **fields), attribution, "k" * 26, ("01" * 32, "02" * 32), NOW)


def click(publisher: str = "p1", at: int = NOW - DAY, window_days: int = 30) -> Click:
    return Click(
        click_id="c1",
        publisher_id=publisher,
        agreement_id=f"agreement-of-{publisher}",
        clicked_at=at,
        attributable_until=at + window_days * DAY,
        sub_id=None,
        salt="03" * 32,
        private_salt="04" * 32,
    )
