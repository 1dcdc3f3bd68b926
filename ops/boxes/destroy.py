"""`box destroy`: a merchant's box gone from AWS, its whole data kept here first."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from chalicelib.bootstrap import Box
from ops.boxes.output import Failed, WrongInput, console, explains_failures, json_option, show
from ops.boxes.project import Project


@click.command()
@click.argument("merchant")
@click.option("--confirm", metavar="MERCHANT", help="The merchant's name again, where nobody can be asked.")
@click.option(
    "--export", "export_to", type=click.Path(path_type=Path, dir_okay=False), help="Where the final export goes."
)
@click.option(
    "--forget-stage", is_flag=True, help="Take the stage and its policies out of .chalice/ too; the config stays."
)
@json_option
@explains_failures
def destroy(merchant: str, confirm: str | None, export_to: Path | None, forget_stage: bool, as_json: bool) -> None:
    """Delete a merchant's functions, API, tables, key and secrets; a final export is kept. What stands on the network stays there.

    Example: box destroy acme --confirm acme
    """
    if confirm is None:
        if not sys.stdin.isatty():
            raise WrongInput(f"say --confirm {merchant}")
        confirm = click.prompt(f"Everything of {merchant} on AWS will be gone. Its name, to go on")
    if confirm != merchant:
        raise WrongInput(f"'{confirm}' is not '{merchant}': nothing was deleted")
    from ops.aws.provision import config_of

    project = Project()
    config_of(project, merchant)  # that there is such a merchant
    with project.at_work_on(merchant):
        done = remove(project, merchant, export_to, forget_stage)
    kept = f"; its data is in {done['export']}" if done["export"] else ""
    show(done, as_json, lambda: click.echo(f"{merchant} is gone{kept}"))


def remove(project: Project, merchant: str, export_to: Path | None, forget_stage: bool) -> dict[str, Any]:
    """In the order in which nothing can be lost: export, no more traffic, then the data. Safe to repeat when it broke off."""
    from ops.aws import left_behind, releases, secrets, stack
    from ops.aws.bundle import run_chalice
    from ops.aws.names import Names
    from ops.aws.provision import config_of, same_account
    from ops.aws.signing_keys import retire_keys
    from ops.boxes.opened import open_box
    from ops.boxes.stages import read_stage, remove_stage

    def say(text: str) -> None:
        console.print(text, markup=False)

    names, signer = Names(merchant), config_of(project, merchant).signer
    stage = read_stage(project, merchant, signer)
    if stage is not None:
        same_account(stage)  # elsewhere nothing of it is found, and it would be called gone
    file = (
        export_to or project.root / "exports" / f"{merchant}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.jsonl.gz"
    )
    found = stack.describe(names.prefix)
    left_behind.write_down(project, merchant)
    deployed = bool(project.deployed(merchant))
    box = open_box(project, merchant) if found and _has_its_tables(found["StackStatus"]) else None
    if box:
        _export(box, file, say, may_be_empty=not deployed)
    if deployed:
        say("chalice delete")
        run_chalice(project, "delete", "--stage", merchant)
    if box:
        _export(box, file, say, may_be_empty=not deployed)  # with what came in until the traffic stopped
    if found:
        stack.remove(names.prefix, say)
    if signer.kind == "kms":
        retire_keys(names)
    removed = secrets.remove_all(names)
    releases.forget(project, merchant)
    project.forget_deployed(merchant)
    if forget_stage:
        remove_stage(project, merchant)
    return {"merchant": merchant, "export": str(file) if box else None, "secrets": removed}


def _has_its_tables(status: str) -> bool:
    """Not where a deletion broke off, for that began after its export; nor where the stack's creation failed."""
    from ops.aws.stack import NEVER_MADE

    return not status.startswith("DELETE_") and status not in NEVER_MADE


def _export(box: Box, file: Path, say: Callable[[str], None], *, may_be_empty: bool) -> None:
    """A box that was never deployed has taken nothing yet; of any other an empty export is a mistake. Raises Failed."""
    from ops.boxes.transfer import export

    say(f"export to {file}")
    if export(box, file) == 0 and not may_be_empty:
        raise Failed("the export is empty: no data was deleted. Look at the tables first")
