"""`box rebuild-stats`: the attributes that statistics are read by, worked out again from the conversions themselves.

Statistics are computed when they are asked for, from the `byDay` indexes; the only thing that could be wrong in them is an index
attribute - after an import from an older version, or a repair by hand. Each is derived from the body here and written where it differs.
"""

from __future__ import annotations

import click

from chalicelib.bootstrap import Box
from chalicelib.domain.decoding import decode
from ops.boxes.opened import open_box
from ops.boxes.output import explains_failures, json_option, show
from ops.boxes.project import Project


@click.command("rebuild-stats")
@click.argument("merchant")
@click.option("--dry-run", is_flag=True, help="Count what is wrong, change nothing.")
@json_option
@explains_failures
def rebuild_stats(merchant: str, dry_run: bool, as_json: bool) -> None:
    """Put right every index attribute that differs from its conversion or click.

    Example: box rebuild-stats acme --dry-run
    """
    seen, wrong = rebuild(open_box(Project(), merchant), dry_run=dry_run)
    answer = {"merchant": merchant, "looked": seen, "wrong": wrong, "changed": 0 if dry_run else wrong}
    show(answer, as_json, lambda: click.echo(f"{seen} looked at, {wrong} {'wrong' if dry_run else 'put right'}"))


def rebuild(box: Box, *, dry_run: bool) -> tuple[int, int]:
    """(how many were looked at, how many were wrong)."""

    from chalicelib.adapters.stores.days import day_slot
    from chalicelib.adapters.tables import Clicks, Conversions
    from chalicelib.domain.click import Click
    from chalicelib.domain.conversion import Conversion

    box.bind_tables()
    seen = wrong = 0
    for item in Conversions.scan():
        held = decode(item.body, Conversion)
        right = (day_slot(held.created_at, held.conversion_id), held.created_at, held.attribution.publisher_id)
        seen += 1
        if (item.day_slot, int(item.created_at), item.publisher_id) != right:
            wrong += 1
            if not dry_run:
                slot, created, publisher = right
                who = Conversions.publisher_id.set(publisher) if publisher else Conversions.publisher_id.remove()
                unchanged_since_read = Conversions.version == item.version
                item.update(
                    actions=[Conversions.day_slot.set(slot), Conversions.created_at.set(created), who],
                    condition=unchanged_since_read,
                )
    for row in Clicks.scan():
        click_held = decode(row.body, Click)
        slot = day_slot(click_held.clicked_at, click_held.click_id)
        seen += 1
        if (row.day_slot, int(row.clicked_at), row.publisher_id) != (
            slot,
            click_held.clicked_at,
            click_held.publisher_id,
        ):
            wrong += 1
            if not dry_run:
                row.update(
                    actions=[
                        Clicks.day_slot.set(slot),
                        Clicks.clicked_at.set(click_held.clicked_at),
                        Clicks.publisher_id.set(click_held.publisher_id),
                    ]
                )
    return seen, wrong
