"""`box tail`: a box's events as they happen, from its conversions - what came in, what was decided, what reached the network."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from chalicelib.bootstrap import Box
from ops.boxes.opened import open_box
from ops.boxes.output import explains_failures
from ops.boxes.project import Project

POLL_SECONDS = 2.0
RECENT = 500
"""Conversions looked at a round: the newest ones, for an event on an old one is rare and `box status` counts those."""


@click.command()
@click.argument("merchant")
@click.option(
    "--since", type=click.IntRange(0, 1440), default=10, show_default=True, metavar="MINUTES", help="Begin so far back."
)
@click.option("--once", is_flag=True, help="Print what there is and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@explains_failures
def tail(merchant: str, since: int, once: bool, as_json: bool) -> None:
    """Follow a box's events until Ctrl-C. No order id is shown, for a terminal's scrollback is a log too.

    Example: box tail acme --since 60
    """
    box = open_box(Project(), merchant)
    for event in events(box, box.now() - since * 60_000, once):
        if as_json:
            click.echo(json.dumps(event))
        else:
            click.echo(
                f"{event['at']}  {event['conversionId'][:12]}  {event['event']:14} {event['by']:10} {event['detail']}"
            )


def events(box: Box, since: int, once: bool) -> Iterator[dict[str, Any]]:
    """Each line of a conversion's history after `since` (milliseconds), by time, once."""
    from chalicelib.domain.payload import rfc3339

    seen: set[tuple[str, int, str]] = set()
    while True:
        today = datetime.now(UTC).date()
        newest = box.conversions.newest(today - timedelta(days=1), today)
        ids = [row[1] for row, _ in zip(newest, range(RECENT), strict=False)]
        found = []
        for conversion_id, held in box.conversions.many(ids).items():
            for line in held.history:
                key = (conversion_id, line.at, line.event)
                if line.at >= since and key not in seen:
                    seen.add(key)
                    found.append((line.at, conversion_id, line))
        for at, conversion_id, line in sorted(found, key=lambda one: one[0]):
            yield {
                "at": rfc3339(at),
                "conversionId": conversion_id,
                "event": line.event,
                "by": line.by,
                "detail": line.detail,
            }
        if once:
            return
        time.sleep(POLL_SECONDS)
