"""`box new`: a merchant's config, stage and policies, from a few answers."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from ops.boxes.given import is_web_address, read_json
from ops.boxes.output import WrongInput, json_option, show
from ops.boxes.project import Project, write

if TYPE_CHECKING:
    from chalicelib.domain.config import Config

QUESTIONS = {
    "name": "The merchant's name",
    "site": "The shop's landing page (URL)",
    "account": "The merchant's account (0x…)",
    "chain_id": "Chain id of the network",
    "contract": "Address of the network contract",
}
"""What has no default, and how it is asked for."""
LISTED = ("merchant", *QUESTIONS, "currency", "time_zone", "sale_percent", "signer")
MERCHANT = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")


@click.command()
@click.argument("merchant", required=False)
@click.option(
    "--from",
    "listed",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Many at once, from a JSON list: see above.",
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
@click.option(
    "--elsewhere", is_flag=True, help="With --keep-config: forget the region, account and keys that the box stood on."
)
@json_option
def new(
    merchant: str | None,
    listed: Path | None,
    as_json: bool,
    keep_config: bool,
    elsewhere: bool,
    architecture: str,
    **answers: Any,
) -> None:
    """Add a merchant: configs/MERCHANT.json, its stage in .chalice/config.json, its policies. With --from, a JSON list of objects
    `{"merchant": "acme", "name": …, "site": …, "account": …}`, each completed by the options given here.

    Example: box new acme --name "Acme" --site https://shop.acme.example/ --account 0x… --chain-id 8453 --contract 0x…
    """
    project = Project()
    if (merchant is None) == (listed is None):
        raise WrongInput("name one merchant, or give --from FILE")
    if elsewhere and not keep_config:
        raise WrongInput("--elsewhere is for a merchant that has a config: say --keep-config too")
    if listed is not None:
        done = create_many(project, read_json(listed, list), architecture, answers)
        show(
            done,
            as_json,
            lambda: click.echo(f"{len(done)} merchants are written; next: box provision, box deploy --all"),
        )
        return
    assert merchant is not None
    if elsewhere:
        _forget_place(project, merchant)
    made = create(project, merchant, architecture, None if keep_config else _asked(merchant, project, answers))
    show(made, as_json, lambda: _tell(made))


def _forget_place(project: Project, merchant: str) -> None:
    """What an operator set by hand on the stage stays, and its architecture. Raises WrongInput."""
    from ops.aws import releases
    from ops.aws.provision import config_of
    from ops.boxes.stages import Stage, read_stage, write_stage

    signer = config_of(project, merchant).signer
    stage = read_stage(project, merchant, signer)
    if stage is None:
        raise WrongInput(f"{merchant} has no stage: `box new {merchant} --keep-config` writes one")
    write_stage(project, Stage(merchant, signer, stage.architecture))
    project.forget_deployed(merchant)
    releases.forget(project, merchant)


def _asked(merchant: str, project: Project, answers: dict[str, Any]) -> dict[str, Any]:
    """The answers, the missing ones asked for: on a terminal only, else the option's name is the refusal."""
    if project.config_file(merchant).exists():
        raise WrongInput(f"configs/{merchant}.json exists: edit it, or use --keep-config")
    for key, question in QUESTIONS.items():
        if answers[key] is None:
            if not sys.stdin.isatty():
                raise WrongInput(f"give --{key.replace('_', '-')}")
            answers[key] = click.prompt(question, type=int if key == "chain_id" else str)
    return answers


def create_many(project: Project, listed: list[Any], architecture: str, common: dict[str, Any]) -> list[dict[str, Any]]:
    """As `create`, for each; .chalice/config.json is written once. Raises WrongInput when one of them cannot be, and writes none then."""
    merchants = [_of_list(number, one, common) for number, one in enumerate(listed, start=1)]
    names = [given["merchant"] for given in merchants]
    for name in names:
        if names.count(name) > 1:
            raise WrongInput(f"'{name}' stands in the list more than once")
    made = [_sound(project, given["merchant"], given) for given in merchants]
    with project.changing_stages():
        return [_written(project, one, architecture) for one in made]


def _of_list(number: int, one: Any, common: dict[str, Any]) -> dict[str, Any]:
    """One of the list, completed by what is common to all. Raises WrongInput."""
    if not isinstance(one, dict):
        raise WrongInput(f'number {number} of the list is no object: write {{"merchant": …, "name": …}}')
    named = one.get("merchant", f"number {number} of the list")
    if unknown := sorted(one.keys() - LISTED):
        raise WrongInput(f"{named}: there is no '{unknown[0]}' in such a list. It takes {', '.join(LISTED)}")
    given = {**common, **one}
    if missing := [key for key in ("merchant", *QUESTIONS) if given.get(key) is None]:
        raise WrongInput(f"{named}: {', '.join(missing)} is missing")
    return given


def create(project: Project, merchant: str, architecture: str, answers: dict[str, Any] | None) -> dict[str, Any]:
    """Write what a new merchant needs; with `answers` None its config is there already. Raises WrongInput, and leaves nothing then."""
    return _written(project, _sound(project, merchant, answers), architecture)


@dataclass(frozen=True)
class _Sound:
    """A config without a mistake, and its file's text where that is still to be written."""

    config: Config
    text: str | None


def _sound(project: Project, merchant: Any, answers: dict[str, Any] | None) -> _Sound:
    """Raises WrongInput."""
    from chalicelib.adapters import time_zones
    from chalicelib.domain.config_check import check
    from ops.aws.functions import names as function_names
    from ops.aws.names import longest_merchant

    longest = longest_merchant(function_names())
    if not MERCHANT.fullmatch(str(merchant)) or len(str(merchant)) > longest:
        raise WrongInput(f"'{merchant}': a merchant's id has 3 to {longest} of a-z, 0-9 and '-'")
    file = project.config_file(merchant)
    if file.exists() != (answers is None):
        raise WrongInput(
            f"there is no configs/{file.name}: leave --keep-config out"
            if answers is None
            else f"configs/{file.name} exists: edit it, or use --keep-config"
        )
    text = None if answers is None else json.dumps(document(merchant, answers), indent=2) + "\n"
    held = file.read_bytes() if text is None else text.encode()
    config, mistakes = check(held, f"configs/{file.name}", merchant, time_zones.known())
    if config is None or mistakes:
        raise WrongInput("\n".join(str(mistake) for mistake in mistakes))
    return _Sound(config, text)


def _written(project: Project, made: _Sound, architecture: str) -> dict[str, Any]:
    from ops.boxes.stages import Stage, read_stage, write_stage

    merchant = made.config.merchant.id
    file = project.config_file(merchant)
    if made.text is not None:
        write(file, made.text)
    known = read_stage(project, merchant, made.config.signer)
    write_stage(project, known or Stage(merchant, made.config.signer, architecture))
    return {
        "merchant": merchant,
        "config": f"configs/{file.name}",
        "stage": f".chalice/config.json: stages.{merchant}",
        "policies": f".chalice/policies/{merchant}/",
    }


def document(merchant: str, answers: dict[str, Any]) -> dict[str, Any]:
    """The config file of a new merchant; its other keys have defaults that configs/schema.json tells. Raises WrongInput."""
    if not is_web_address(answers["site"]):
        raise WrongInput(
            f"{merchant}: '{answers['site']}' is no site: give the landing page, such as https://shop.example/"
        )
    site = urlsplit(answers["site"])
    host = site.netloc.lower()  # browsers send it so
    if not host.isascii():
        raise WrongInput(
            f"{merchant}: write the host of '{answers['site']}' as browsers send it, in ASCII: it begins with xn--"
        )
    return {
        "$schema": "./schema.json",
        "version": 1,
        "merchant": {"id": merchant, "name": answers["name"], "account": answers["account"]},
        "site": {
            "landingPage": answers["site"],
            "origins": [f"{site.scheme}://{host}"],
            "hosts": [host],
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
