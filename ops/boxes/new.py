"""`box new`: a merchant's config, stage and policies, from a few answers."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from ops.boxes.output import WrongInput, json_option, show
from ops.boxes.project import Project, write

MERCHANT = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")


@click.command()
@click.argument("merchant", required=False)
@click.option(
    "--from", "listed", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Many at once: see below."
)
@click.option("--name", help="The merchant's name, as publishers read it.")
@click.option("--site", metavar="URL", help="The shop's landing page.")
@click.option("--account", metavar="0x…", help="The merchant's own account on the network.")
@click.option("--currency", default="EUR", show_default=True)
@click.option("--time-zone", default="UTC", show_default=True)
@click.option("--sale-percent", default="10", show_default=True, help="Commission of a sale offered to publishers.")
@click.option("--chain-id", type=int, help="The network's chain id.")
@click.option("--contract", metavar="0x…", help="The network contract's address.")
@click.option("--signer", type=click.Choice(["kms", "keystore", "local"]), default="kms", show_default=True)
@click.option("--architecture", type=click.Choice(["arm64", "x86_64"]), default="arm64", show_default=True)
@click.option("--keep-config", is_flag=True, help="The config exists: write stage and policies anew, nothing else.")
@json_option
def new(
    merchant: str | None, listed: Path | None, as_json: bool, keep_config: bool, architecture: str, **answers: Any
) -> None:
    """Add a merchant: configs/MERCHANT.json, its stage in .chalice/config.json, its policies. With --from, a JSON list of objects
    `{"merchant": "acme", "name": …, "site": …, "account": …}`, each completed by the options given here.

    Example: box new acme --name "Acme" --site https://shop.acme.example/ --account 0x… --chain-id 8453 --contract 0x…
    """
    project = Project()
    if (merchant is None) == (listed is None):
        raise WrongInput("name one merchant, or give --from FILE")
    if listed is not None:
        done = create_many(project, json.loads(listed.read_text()), architecture, answers)
        show(
            done,
            as_json,
            lambda: click.echo(f"{len(done)} merchants are written; next: box provision, box deploy --all"),
        )
        return
    assert merchant is not None
    made = create(project, merchant, architecture, None if keep_config else _asked(merchant, project, answers))
    show(made, as_json, lambda: _tell(made))


def _asked(merchant: str, project: Project, answers: dict[str, Any]) -> dict[str, Any]:
    """The answers, the missing ones asked for: on a terminal only, else the option's name is the refusal."""
    if project.config_file(merchant).exists():
        raise WrongInput(f"configs/{merchant}.json exists: edit it, or use --keep-config")
    questions = {
        "name": "The merchant's name",
        "site": "The shop's landing page (URL)",
        "account": "The merchant's account (0x…)",
        "chain_id": "Chain id of the network",
        "contract": "Address of the network contract",
    }
    for key, question in questions.items():
        if answers[key] is None:
            if not sys.stdin.isatty():
                raise WrongInput(f"give --{key.replace('_', '-')}")
            answers[key] = click.prompt(question, type=int if key == "chain_id" else str)
    return answers


def create_many(
    project: Project, listed: list[dict[str, Any]], architecture: str, common: dict[str, Any]
) -> list[dict[str, Any]]:
    """As `create`, for each; .chalice/config.json is written once. Raises WrongInput at the first that cannot be."""
    with project.changing_stages():
        done = []
        for one in listed:
            given = {**common, **one}
            missing = [
                key for key in ("merchant", "name", "site", "account", "chain_id", "contract") if given.get(key) is None
            ]
            if missing:
                raise WrongInput(f"{given.get('merchant', 'one of the list')}: {', '.join(missing)} is missing")
            done.append(create(project, given["merchant"], architecture, given))
        return done


def create(project: Project, merchant: str, architecture: str, answers: dict[str, Any] | None) -> dict[str, Any]:
    """Write what a new merchant needs; with `answers` None its config is there already. Raises WrongInput, and leaves nothing then."""
    from chalicelib.adapters import time_zones
    from chalicelib.domain.config_check import check
    from ops.aws.functions import names as function_names
    from ops.aws.names import longest_merchant
    from ops.boxes.stages import Stage, read_stage, write_stage

    longest = longest_merchant(function_names())
    if not MERCHANT.fullmatch(merchant) or len(merchant) > longest:
        raise WrongInput(f"'{merchant}': a merchant's id has 3 to {longest} of a-z, 0-9 and '-'")
    file = project.config_file(merchant)
    text = file.read_text() if answers is None else json.dumps(document(merchant, answers), indent=2) + "\n"
    config, mistakes = check(text.encode(), f"configs/{file.name}", merchant, time_zones.known())
    if config is None or mistakes:
        raise WrongInput("\n".join(str(mistake) for mistake in mistakes))
    if answers is not None:
        write(file, text)
    known = read_stage(project, merchant, config.signer)
    stage = known or Stage(merchant, config.signer, architecture)
    write_stage(project, stage)
    return {
        "merchant": merchant,
        "config": f"configs/{file.name}",
        "stage": f".chalice/config.json: stages.{merchant}",
        "policies": f".chalice/policies/{merchant}/",
    }


def document(merchant: str, answers: dict[str, Any]) -> dict[str, Any]:
    """The config file of a new merchant; its other keys have defaults that configs/schema.json tells."""
    site = urlsplit(answers["site"])
    return {
        "$schema": "./schema.json",
        "version": 1,
        "merchant": {"id": merchant, "name": answers["name"], "account": answers["account"]},
        "site": {
            "landingPage": answers["site"],
            "origins": [f"{site.scheme}://{site.netloc}"],
            "hosts": [site.netloc],
            "parameters": {"utm_source": "affiliate"},
        },
        "currency": answers["currency"],
        "timeZone": answers["time_zone"],
        "agreementDefaults": {
            "attributionWindowDays": 30,
            "validationDays": 14,
            "lockDays": 30,
            "rules": [{"action": "sale", "percent": answers["sale_percent"]}],
        },
        "network": {"chainId": answers["chain_id"], "contract": answers["contract"]},
        "signer": {"kind": answers["signer"]},
    }


def _tell(made: dict[str, Any]) -> None:
    merchant = made["merchant"]
    click.echo(f"{made['config']}, {made['stage']} and {made['policies']} are written.\n")
    click.echo("Next:")
    click.echo(f"  box provision {merchant} --rpc https://…   tables, key, queue and alarms on AWS")
    click.echo(f"  box deploy {merchant}                      or: chalice deploy --stage {merchant}")
