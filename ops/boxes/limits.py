"""`box limits`: how often a key or an address may call in a minute. In the table, so they change without a deployment."""

from __future__ import annotations

import click

from ops.boxes.opened import open_box
from ops.boxes.output import explains_failures, json_option, show
from ops.boxes.project import Project

CALLS = click.IntRange(0, 1_000_000)


@click.command()
@click.argument("merchant")
@click.option("--key", type=CALLS, help="Calls a minute with one key; 0 is no limit.")
@click.option("--address", type=CALLS, help="Calls a minute from one address; 0 is no limit.")
@json_option
@explains_failures
def limits(merchant: str, key: int | None, address: int | None, as_json: bool) -> None:
    """Show the limits, or change what is given. A change is in force within a minute.

    Example: box limits acme --key 3000
    """
    from chalicelib.services import limits as service

    box = open_box(Project(), merchant)
    now = service.kept_limits(box)
    if key is not None or address is not None:
        now = service.Limits(now.key if key is None else key, now.address if address is None else address)
        service.set_limits(box, now)
    show(
        {"merchant": merchant, "key": now.key, "address": now.address},
        as_json,
        lambda: click.echo(f"calls a minute: {_said(now.key)} with a key, {_said(now.address)} from an address"),
    )


def _said(calls: int) -> str:
    return str(calls) if calls else "no limit"
