"""`box export` and `box import`: a whole box as one file, to move it, to leave, or to start over somewhere else.

One line an item, gzipped: `{"table": …, "item": {…}}` in DynamoDB's own typed JSON, after a first line that says what it is. Not in
it: the signing key, passwords and RPC addresses - those are no data. API keys are in it as what the box has of them, their hashes.
"""

from __future__ import annotations

import gzip
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import click

from chalicelib.adapters.tables import MODELS, State
from chalicelib.bootstrap import Box
from chalicelib.settings import VERSION
from ops.boxes.output import Failed, WrongInput, console, explains_failures, json_option, show
from ops.boxes.project import Project

FORMAT = 1
BY_NAME: dict[str, Any] = {model.__name__.lower(): model for model in MODELS}
PASSING = ("lease_holder", "lease_until")
"""A lease is about a process, not about the box: the importing one must not wait for it."""


@click.command("export")
@click.argument("merchant")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--tables", metavar="PREFIX", help="From tables of another name: a backup's, restored as PREFIX-clicks and so on."
)
@json_option
@explains_failures
def export_command(merchant: str, file: Path, tables: str | None, as_json: bool) -> None:
    """Everything a box knows, into one file (gzipped JSON lines). It holds salts and order ids: keep it like the tables.

    Example: box export acme acme.jsonl.gz
    """
    from ops.boxes.opened import open_box

    count = export(open_box(Project(), merchant, tables), file)
    show(
        {"merchant": merchant, "items": count, "file": str(file)},
        as_json,
        lambda: click.echo(f"{count} items in {file}"),
    )


@click.command("import")
@click.argument("merchant")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--over", is_flag=True, help="Into a box that is not empty: all it holds is deleted first.")
@json_option
@explains_failures
def import_command(merchant: str, file: Path, over: bool, as_json: bool) -> None:
    """Put an export into a provisioned, empty box. Its receipts verify as before: ids, salts and entries are the same.

    Example: box import acme acme.jsonl.gz
    """
    from ops.boxes.opened import open_box

    count = import_(open_box(Project(), merchant), file, over=over)
    show({"merchant": merchant, "items": count}, as_json, lambda: click.echo(f"{count} items imported"))


def export(box: Box, file: Path) -> int:
    """How many items. The file is there whole or not at all, and its owner's alone from its first byte on."""
    box.bind_tables()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.part")
    unfinished.unlink(missing_ok=True)
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as private, gzip.open(private, "wt") as out:
            count = _write(out, box.config.merchant.id)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _write(out: IO[str], merchant: str) -> int:
    head = {"format": FORMAT, "version": VERSION, "merchant": merchant, "at": int(time.time())}
    out.write(json.dumps(head) + "\n")
    count = 0
    for model in MODELS:
        for item in model.scan(consistent_read=True):
            out.write(json.dumps({"table": model.__name__.lower(), "item": item.to_dynamodb_dict()}) + "\n")
            count += 1
    out.write(json.dumps({"items": count}) + "\n")
    return count


def import_(box: Box, file: Path, *, over: bool = False) -> int:
    """How many items. With `over`, what the tables hold is deleted first; they themselves stay, with their name and stream.
    Raises WrongInput for a file that is not a whole export of this merchant, Failed for a box in use: nothing is changed then."""
    box.bind_tables()
    _check(file, box.config.merchant.id)
    if over:
        _empty()
    elif next(iter(State.scan(limit=1)), None) is not None:
        raise Failed("this box has data already: import into an empty one, or say --over")
    count = 0
    for read in _lines(file):
        if "table" not in read:
            continue
        model: Any = BY_NAME[read["table"]]
        item = model()
        item.deserialize(read["item"])
        for name in PASSING:
            if name in model.get_attributes():
                setattr(item, name, None)
        item.save()
        count += 1
        if count % 1_000 == 0:
            console.print(f"{count} items")
    return count


def _empty() -> None:
    for model in MODELS:
        with model.batch_write() as batch:
            for item in model.scan(consistent_read=True):
                batch.delete(item)


def _check(file: Path, merchant: str) -> None:
    """Of this merchant, of tables that this version has, whole: before anything is written."""
    lines = _lines(file)
    _check_head(lines, merchant)
    last: dict[str, Any] = {}
    with suppress(EOFError, zlib.error, ValueError):
        for last in lines:
            if "table" in last and last["table"] not in BY_NAME:
                raise WrongInput(
                    f"{file} holds a table '{last['table']}' that this version does not have: upgrade first"
                )
    if "items" not in last:
        raise WrongInput(f"{file} breaks off: export again")


def _check_head(lines: Iterator[dict[str, Any]], merchant: str) -> None:
    try:
        head = next(lines, {})
    except (OSError, EOFError, zlib.error, ValueError):
        raise WrongInput("this is not an export of a box") from None
    if head.get("format") != FORMAT:
        raise WrongInput(f"this export has format {head.get('format')}; this version reads {FORMAT}")
    if head.get("merchant") != merchant:
        raise WrongInput(f"this is an export of '{head.get('merchant')}', not of '{merchant}'")


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt") as held:
        yield from map(json.loads, held)
