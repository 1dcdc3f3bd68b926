"""`box voucher`: codes that belong to one publisher. An order that names one is that publisher's, click or no click."""

from __future__ import annotations

from typing import Any

import click

from ops.boxes.opened import open_box
from ops.boxes.output import explains_failures, json_option, rows, show
from ops.boxes.project import Project


@click.group()
def voucher() -> None:
    """Vouchers: list, assign, withdraw."""


@voucher.command("list")
@click.argument("merchant")
@json_option
@explains_failures
def list_vouchers(merchant: str, as_json: bool) -> None:
    """Every code, whose it is, and whether it wins over another publisher's click.

    Example: box voucher list acme
    """
    from chalicelib.services import vouchers

    found = [_shown(one) for one in vouchers.listed(open_box(Project(), merchant))]
    columns = ("code", "publisherId", "exclusive")
    show({"merchant": merchant, "vouchers": found}, as_json, lambda: rows("", columns, found))


@voucher.command()
@click.argument("merchant")
@click.argument("code")
@click.argument("publisher_id")
@click.option("--exclusive", is_flag=True, help="Wins over a click of another publisher.")
@json_option
@explains_failures
def assign(merchant: str, code: str, publisher_id: str, exclusive: bool, as_json: bool) -> None:
    """From now on CODE is PUBLISHER_ID's, in capitals or not; earlier orders stay as they are.

    Example: box voucher assign acme SUMMER10 slow-table
    """
    from chalicelib.services import vouchers

    made = _shown(vouchers.assign(open_box(Project(), merchant), code, publisher_id, exclusive=exclusive))
    show(made, as_json, lambda: click.echo(f"{code} is {publisher_id}'s"))


@voucher.command()
@click.argument("merchant")
@click.argument("code")
@json_option
@explains_failures
def withdraw(merchant: str, code: str, as_json: bool) -> None:
    """From now on CODE is nobody's; earlier orders stay as they are.

    Example: box voucher withdraw acme SUMMER10
    """
    from chalicelib.services import vouchers

    vouchers.withdraw(open_box(Project(), merchant), code)
    show({"code": code, "withdrawn": True}, as_json, lambda: click.echo(f"{code} is nobody's now"))


def _shown(voucher: Any) -> dict[str, Any]:
    return {"code": voucher.code, "publisherId": voucher.publisher_id, "exclusive": voucher.exclusive}
