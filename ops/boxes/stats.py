"""`box rebuild-stats`: the attributes that statistics are read by, worked out again from the conversions themselves.

Statistics are computed when they are asked for, from the `byDay` indexes; the only thing that could be wrong in them is an index
attribute - after an import from an older version, or a repair by hand. Each is derived from the body here and written where it differs.
So is the outbox's marker where it is missing: on what was held off the network, once the config holds nothing any more.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from pynamodb.exceptions import UpdateError

from chalicelib.adapters.stores.conversions import outbox_slot
from chalicelib.adapters.stores.days import day_slot
from chalicelib.adapters.stores.item import condition_failed
from chalicelib.adapters.tables import Clicks, Conversions
from chalicelib.bootstrap import Box
from chalicelib.domain.click import Click
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.decoding import decode
from chalicelib.domain.outbox import next_operation
from ops.boxes.opened import open_box
from ops.boxes.output import explains_failures, json_option, show
from ops.boxes.project import Project

Repair = tuple[list[Any], Any]
"""What makes an item's index attributes right, nothing where they are; and the condition on which it is done."""


@click.command("rebuild-stats")
@click.argument("merchant")
@click.option("--dry-run", is_flag=True, help="Count what is wrong, change nothing.")
@json_option
@explains_failures
def rebuild_stats(merchant: str, dry_run: bool, as_json: bool) -> None:
    """Put right every index attribute that differs from its conversion or click; and let go what an earlier config held off the network.

    Example: box rebuild-stats acme --dry-run
    """
    seen, wrong = rebuild(open_box(Project(), merchant), dry_run=dry_run)
    answer = {"merchant": merchant, "looked": seen, "wrong": wrong, "changed": 0 if dry_run else wrong}
    show(answer, as_json, lambda: click.echo(f"{seen} looked at, {wrong} {'wrong' if dry_run else 'put right'}"))


def rebuild(box: Box, *, dry_run: bool) -> tuple[int, int]:
    """(how many were looked at, how many were wrong)."""
    box.bind_tables()
    seen = wrong = 0
    for repair, rows in ((partial(_of_conversion, box), Conversions.scan()), (_of_click, Clicks.scan())):
        for row in rows:
            seen += 1
            actions, unchanged = repair(row)
            wrong += bool(actions)
            if actions and not dry_run:
                _put_right(row, actions, unchanged)
    return seen, wrong


def _of_conversion(box: Box, item: Any) -> Repair:
    held = decode(item.body, Conversion)
    publisher = held.attribution.publisher_id
    right = (day_slot(held.created_at, held.conversion_id), held.created_at, publisher)
    actions: list[Any] = []
    if (item.day_slot, int(item.created_at), item.publisher_id) != right:
        who = Conversions.publisher_id.set(publisher) if publisher else Conversions.publisher_id.remove()
        actions += [Conversions.day_slot.set(right[0]), Conversions.created_at.set(held.created_at), who]
    wants = next_operation(held, hold_unverified=box.config.tracking.hold_unverified) is not None
    if wants and item.outbox_slot is None:
        actions += [Conversions.outbox_slot.set(outbox_slot(held)), Conversions.outbox_since.set(box.now())]
    unchanged_since_read = Conversions.version == item.version
    return actions, unchanged_since_read


def _of_click(item: Any) -> Repair:
    held = decode(item.body, Click)
    right = (day_slot(held.clicked_at, held.click_id), held.clicked_at, held.publisher_id)
    if (item.day_slot, int(item.clicked_at), item.publisher_id) == right:
        return [], None
    slot, clicked_at, publisher = right
    actions = [Clicks.day_slot.set(slot), Clicks.clicked_at.set(clicked_at), Clicks.publisher_id.set(publisher)]
    still_there = Clicks.click_id.exists()
    return actions, still_there


def _put_right(item: Any, actions: list[Any], unchanged: Any) -> None:
    """A conversion that changed meanwhile was put right by that; what is gone stays gone."""
    try:
        item.update(actions=actions, condition=unchanged)
    except UpdateError as error:
        if not condition_failed(error):
            raise
