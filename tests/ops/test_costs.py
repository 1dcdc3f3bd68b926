"""What `box costs` prints is counted from what a box is made of, and adds up."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from chalice.app import Rate
from click.testing import CliRunner

from app import app
from ops.aws.costs import MINUTES, PRICES
from ops.aws.template import template
from ops.cli import main


def costs(*arguments: str) -> Any:
    done = CliRunner().invoke(main, ["costs", "--json", *arguments])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def counts(answer: Any) -> dict[str, Decimal]:
    return {line["unit"]: Decimal(line["count"].replace(",", "")) for line in answer["lines"]}


def test_an_idle_box_is_counted_from_its_schedules_and_its_template() -> None:
    rates = [source.schedule_expression for source in app.event_sources if hasattr(source, "schedule_expression")]
    assert len(rates) >= 4
    # The count takes each schedule to run by the minute: one of another period needs another count.
    assert {rate.to_string() for rate in rates} == {Rate(1, Rate.MINUTES).to_string()}
    counted = counts(costs())
    assert all(counted.values()), "a unit that costs something is not shown as none"
    assert counted["lambda request"] == len(rates) * MINUTES
    made = [one["Type"] for one in template("acme", "kms", 1)["Resources"].values()]
    assert counted["alarm"] == made.count("AWS::CloudWatch::Alarm") > 0
    assert counted["dashboard"] == made.count("AWS::CloudWatch::Dashboard") > 0
    assert counted["kms key"] == made.count("AWS::KMS::Key") == 1


def test_a_keystore_costs_no_key_and_sales_cost_by_their_number() -> None:
    assert "kms key" not in counts(costs("--signer", "keystore"))
    idle, some, many = (costs("--conversions", str(count)) for count in (0, 10_000, 20_000))
    assert not [unit for unit in counts(idle) if unit.endswith("for sales")]
    for unit, count in counts(some).items():
        if unit.endswith("for sales"):
            assert counts(many)[unit] == 2 * count
    dollars = [Decimal(answer["dollarsAMonth"]) for answer in (idle, some, many)]
    assert dollars[0] < dollars[1] < dollars[2]


def test_the_total_is_the_sum_of_what_is_shown_at_the_prices_listed() -> None:
    answer = costs("--conversions", "100000")
    shown = Decimal(0)
    for line in answer["lines"]:
        unit = line["unit"].split(",")[0]
        dollars = Decimal(line["US$"])
        shown += dollars
        if counts(answer)[line["unit"]] >= 100:
            assert abs(dollars - counts(answer)[line["unit"]] * PRICES[unit]) <= Decimal("0.02")
    assert abs(shown - Decimal(answer["dollarsAMonth"])) <= Decimal("0.005") * len(answer["lines"])


def test_requests_add_their_metrics_once_however_many_they_are() -> None:
    idle, few, many = (counts(costs("--conversions", str(count))) for count in (0, 1, 50_000))
    assert "metric, of requests" not in idle
    assert few["metric, of requests"] == many["metric, of requests"] > 0
