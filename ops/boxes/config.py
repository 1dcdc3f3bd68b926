"""`box config`: is every merchant's file right, what would a deploy change, what may be written there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ops.boxes.given import read_json
from ops.boxes.output import Failed, WrongInput, explains_failures, json_option, rows, show
from ops.boxes.project import Project, write


@click.group()
def config() -> None:
    """Integration configs: check, compare, migrate."""


@config.command()
@click.argument("merchants", nargs=-1)
@json_option
def check(merchants: tuple[str, ...], as_json: bool) -> None:
    """Every mistake in the configs and stages, with file, path and remedy; what a config's values mean is judged once its form is
    right. Exit code 2 when there is a mistake.

    Example: box config check acme
    """
    from ops.boxes.checking import mistakes

    project = Project()
    chosen = list(merchants) or project.merchants()
    found = mistakes(project, chosen)
    shown = {
        "checked": chosen,
        "mistakes": [{"file": m.file, "path": m.path, "fault": m.fault, "remedy": m.remedy} for m in found],
    }

    def people() -> None:
        for mistake in found:
            click.echo(f"{mistake.file}: {mistake.path}: {mistake.fault}\n  {mistake.remedy}")
        click.echo(f"{len(chosen)} configs checked, {len(found)} mistakes")

    show(shown, as_json, people)
    sys.exit(2 if found else 0)


@config.command()
@click.option("--write", "to_file", is_flag=True, help="Write configs/schema.json instead of printing it.")
@json_option
def schema(to_file: bool, as_json: bool) -> None:
    """The JSON Schema of a config, generated from the model. What it prints is JSON with --json and without.

    Example: box config schema --write
    """
    from chalicelib.domain.config import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if not to_file:
        click.echo(text, nl=False)
        return
    file = Project().configs / "schema.json"
    write(file, text)
    show({"written": str(file)}, as_json, lambda: None)


@config.command()
@click.argument("merchant")
@json_option
def migrate(merchant: str, as_json: bool) -> None:
    """Rewrite a config of an older version in today's form; today's is left as it is.

    Example: box config migrate acme
    """
    from chalicelib.domain import config_versions
    from chalicelib.domain.config import VERSION

    file = Project().config_file(merchant)
    document = _read(file)
    try:
        moved = config_versions.migrate(document)
    except config_versions.TooNew as error:
        raise WrongInput(str(error)) from None
    if moved.get("version") != VERSION:
        raise WrongInput(f"configs/{file.name} is of no version there was: `box config check {merchant}` says more")
    said = f"{file.name} is of today's version"
    if moved is not document:
        write(file, json.dumps(moved, indent=2) + "\n")
        said = f"{file.name} is now of version {moved['version']}; look at it with `box config check {merchant}`"
    answer = {"merchant": merchant, "version": moved["version"], "changed": moved is not document}
    show(answer, as_json, lambda: click.echo(said))


@config.command()
@click.argument("merchant")
@json_option
@explains_failures
def diff(merchant: str, as_json: bool) -> None:
    """What a deploy would change: the file here against the config that the deployed box has in its bundle.

    Example: box config diff acme
    """
    from ops.aws.bundle import deployed_config

    project = Project()
    here = _read(project.config_file(merchant))
    deployed = deployed_config(project, merchant)
    if deployed is None:
        raise Failed(f"{merchant} is not deployed yet: a deploy would bring all of it (`box deploy {merchant}`)")
    found = differences(json.loads(deployed), here)

    def people() -> None:
        if found:
            rows("", ("path", "deployed", "here"), found)
        else:
            click.echo("nothing: the deployed config is this one")

    show({"merchant": merchant, "changes": found}, as_json, people)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise WrongInput(f"there is no {file.name} in configs/: run `box new {file.stem}`")
    return read_json(file, dict, f"configs/{file.name}")


def differences(before: Any, after: Any, path: str = "$") -> list[dict[str, Any]]:
    """Every path whose value differs, as {path, deployed, here}; a missing value is None."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [line for key in keys for line in differences(before.get(key), after.get(key), f"{path}.{key}")]
    return [] if before == after else [{"path": path, "deployed": before, "here": after}]
