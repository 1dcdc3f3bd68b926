"""`box costs`: what a box costs a month on AWS, from counted units."""

from __future__ import annotations

from decimal import Decimal

import click

from ops.boxes.output import json_option, rows, show


@click.command()
@click.option("--signer", type=click.Choice(["kms", "keystore"]), default="kms", show_default=True)
@click.option("--conversions", type=click.IntRange(0), default=0, show_default=True, help="A month.")
@json_option
def costs(signer: str, conversions: int, as_json: bool) -> None:
    """A month of a box: idle, and with conversions. Gas is not in it: docs/scale.md.

    Example: box costs --conversions 10000
    """
    from ops.aws.costs import Line, idle, per_thousand_conversions, total, visited

    lines: list[Line] = idle(signer)
    for line in visited() if conversions else []:
        lines.append(Line(f"{line.what}, of requests", line.units, line.dollars))
    for line in per_thousand_conversions(signer):
        lines.append(
            Line(f"{line.what}, for sales", line.units * conversions / 1000, line.dollars * conversions / 1000)
        )
    shown = [
        {"unit": one.what, "count": _count(one.units), "US$": f"{one.dollars:.2f}"} for one in lines if one.units > 0
    ]
    answer = {"signer": signer, "conversions": conversions, "lines": shown, "dollarsAMonth": f"{total(lines):.2f}"}

    def people() -> None:
        rows("", ("unit", "count", "US$"), shown)
        click.echo(f"\nUS$ {answer['dollarsAMonth']} a month, list prices, no free tier")

    show(answer, as_json, people)


def _count(units: Decimal) -> str:
    """Of few units two digits that count: of a gigabyte a month some hundredths are used."""
    return f"{units:,.0f}" if units >= 10 else f"{units.normalize():.2g}"
