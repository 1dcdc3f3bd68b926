"""`box set-aside`: conversions that the network refused for good. What caused that may be over, so each can be tried again."""

from __future__ import annotations

from collections.abc import Iterator

import click

from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.decoding import decode
from chalicelib.domain.payload import rfc3339
from ops.boxes.opened import open_box
from ops.boxes.output import WrongInput, explains_failures, json_option, rows, show
from ops.boxes.project import Project


@click.group("set-aside")
def set_aside() -> None:
    """Conversions that the network refused: list, try again."""


@set_aside.command("list")
@click.argument("merchant")
@json_option
@explains_failures
def list_set_aside(merchant: str, as_json: bool) -> None:
    """Every conversion that was set aside, and why. Reads all conversions.

    Example: box set-aside list acme
    """
    found = [_shown(conversion) for conversion in listed(open_box(Project(), merchant))]
    columns = ("conversionId", "createdAt", "publisherId", "reason")
    show({"merchant": merchant, "setAside": found}, as_json, lambda: rows("", columns, found))


@set_aside.command()
@click.argument("merchant")
@click.argument("conversion_ids", nargs=-1, metavar="CONVERSION_ID...")
@click.option("--all", "every", is_flag=True, help="Every conversion that was set aside.")
@json_option
@explains_failures
def retry(merchant: str, conversion_ids: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Offer them to the network once more. What it refuses still is set aside again.

    Example: box set-aside retry acme --all
    """
    from chalicelib.services import aside

    if every == bool(conversion_ids):
        raise WrongInput("Name the conversions to try again, or give --all.")
    box = open_box(Project(), merchant)
    wanted = [conversion.conversion_id for conversion in listed(box)] if every else list(conversion_ids)
    tried = [{"conversionId": name, "reason": aside.try_again(box, name)} for name in wanted]
    columns = ("conversionId", "reason")
    show({"merchant": merchant, "triedAgain": tried}, as_json, lambda: rows("", columns, tried))


def listed(box: Box) -> Iterator[Conversion]:
    """Those that can be tried again. Nothing else ever asks for them, so there is no index of them."""
    from chalicelib.adapters.tables import Conversions

    box.bind_tables()
    for item in Conversions.scan(consistent_read=True):
        held = decode(item.body, Conversion)
        if held.set_aside is not None and held.erased_at is None:
            yield held


def _shown(conversion: Conversion) -> dict[str, str | None]:
    return {
        "conversionId": conversion.conversion_id,
        "createdAt": rfc3339(conversion.created_at),
        "publisherId": conversion.attribution.publisher_id,
        "reason": conversion.set_aside,
    }
