"""`box publisher`: the publishers a box knows. A publisher's links work once an agreement with it is active (`box agreement`)."""

from __future__ import annotations

import re
from typing import Any

import click

from ops.boxes.given import ACCOUNT
from ops.boxes.opened import open_box
from ops.boxes.output import WrongInput, explains_failures, json_option, rows, show
from ops.boxes.project import Project

PUBLISHER = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")


@click.group()
def publisher() -> None:
    """Publishers: list, add."""


@publisher.command("list")
@click.argument("merchant")
@json_option
@explains_failures
def list_publishers(merchant: str, as_json: bool) -> None:
    """Every publisher, and whether its links work.

    Example: box publisher list acme
    """
    found = [shown(one) for one in open_box(Project(), merchant).publishers.all()]
    columns = ("publisherId", "name", "account", "hosted", "agreementId")
    show({"merchant": merchant, "publishers": found}, as_json, lambda: rows("", columns, found))


@publisher.command()
@click.argument("merchant")
@click.argument("publisher_id")
@click.option("--name", required=True)
@click.option(
    "--account", type=ACCOUNT, required=True, metavar="0x…", help="The publisher's own account on the network."
)
@json_option
@explains_failures
def add(merchant: str, publisher_id: str, name: str, account: str, as_json: bool) -> None:
    """Note a publisher. Its links count clicks from the moment an agreement is registered.

    Example: box publisher add acme slow-table --name "The Slow Table" --account 0x…
    """
    from chalicelib.domain.party import Publisher

    if not PUBLISHER.fullmatch(publisher_id):
        raise WrongInput(f"'{publisher_id}': a publisher's id has 3 to 64 of a-z, 0-9 and '-'")
    box = open_box(Project(), merchant)
    if box.publishers.get(publisher_id) is not None:
        raise WrongInput(f"{merchant} has a publisher '{publisher_id}' already")
    made = Publisher(publisher_id=publisher_id, name=name, account=account, hosted=False)
    box.publishers.put(made)
    show(shown(made), as_json, lambda: click.echo(f"next: box agreement offer {merchant} {publisher_id}"))


def shown(publisher: Any) -> dict[str, Any]:
    return {
        "publisherId": publisher.publisher_id,
        "name": publisher.name,
        "account": publisher.account,
        "hosted": publisher.hosted,
        "agreementId": publisher.link.agreement_id if publisher.link else None,
    }
