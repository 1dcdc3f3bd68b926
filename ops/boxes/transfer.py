"""`box export` and `box import`: a whole box as one file, to move it, to leave, or to start over somewhere else.

One line an item, gzipped: `{"table": …, "item": {…}}` in DynamoDB's own typed JSON, after a first line that says what it is. Not in
it: the signing key, passwords and RPC addresses - those are no data. API keys are in it as what the box has of them, their hashes.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from chalicelib.adapters.tables import MODELS, State
from chalicelib.bootstrap import Box
from chalicelib.settings import VERSION
from ops.boxes.output import Failed, WrongInput, console, explains_failures, json_option, show
from ops.boxes.project import Project

FORMAT = 1
PASSING = ("lease_holder", "lease_until")
"""A lease is about a process, not about the box: the importing one must not wait for it."""


@click.command("export")
@click.argument("merchant")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@explains_failures
def export_command(merchant: str, file: Path, as_json: bool) -> None:
    """Everything a box knows, into one file (gzipped JSON lines). It holds salts and order ids: keep it like the tables.

    Example: box export acme acme.jsonl.gz
    """
    from ops.boxes.opened import open_box

    count = export(open_box(Project(), merchant), file)
    show(
        {"merchant": merchant, "items": count, "file": str(file)},
        as_json,
        lambda: click.echo(f"{count} items in {file}"),
    )


@click.command("import")
@click.argument("merchant")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--over", is_flag=True, help="Write over a box that is not empty.")
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
    """How many items. The file is there whole or not at all."""
    box.bind_tables()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.part")
    count = 0
    with gzip.open(unfinished, "wt") as out:
        head = {"format": FORMAT, "version": VERSION, "merchant": box.config.merchant.id, "at": int(time.time())}
        out.write(json.dumps(head) + "\n")
        for model in MODELS:
            for item in model.scan(consistent_read=True):
                out.write(json.dumps({"table": model.__name__.lower(), "item": item.to_dynamodb_dict()}) + "\n")
                count += 1
        out.write(json.dumps({"items": count}) + "\n")
    unfinished.chmod(0o600)
    unfinished.replace(file)
    return count


def import_(box: Box, file: Path, *, over: bool = False) -> int:
    """How many items. Raises WrongInput for a file that is not a whole export of this merchant, Failed for a box in use."""
    box.bind_tables()
    with gzip.open(file, "rt") as held:
        _check_head(held, box.config.merchant.id)
        if _last_line(file) is None:
            raise WrongInput(f"{file} breaks off: export again")
        if not over and next(iter(State.scan(limit=1)), None) is not None:
            raise Failed("this box has data already: import into an empty one, or say --over")
        count = 0
        models = {model.__name__.lower(): model for model in MODELS}
        for line in held:
            read = json.loads(line)
            if "table" not in read:
                continue
            if read["table"] not in models:
                raise WrongInput(
                    f"{file} holds a table '{read['table']}' that this version does not have: upgrade first"
                )
            model: Any = models[read["table"]]
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


def _check_head(held: IO[str], merchant: str) -> None:
    try:
        head = json.loads(held.readline())
    except ValueError:
        raise WrongInput("this is not an export of a box") from None
    if head.get("format") != FORMAT:
        raise WrongInput(f"this export has format {head.get('format')}; this version reads {FORMAT}")
    if head.get("merchant") != merchant:
        raise WrongInput(f"this is an export of '{head.get('merchant')}', not of '{merchant}'")


def _last_line(file: Path) -> int | None:
    """How many items the file says it has, None when it breaks off."""
    last = ""
    try:
        for line in _lines(file):
            last = line
        return int(json.loads(last)["items"])
    except (EOFError, OSError, ValueError, KeyError):
        return None


def _lines(file: Path) -> Iterator[str]:
    with gzip.open(file, "rt") as held:
        yield from held
