"""`box provision`, `box deploy`, `box gateway`, `box upgrade`: a merchant's box on AWS, brought to what the project says."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import asdict
from typing import Any

import click

from ops.boxes.output import WrongInput, console, explains_failures, json_option, rows, show
from ops.boxes.project import Project


def say(text: str) -> None:
    console.print(text, markup=False)


@click.command()
@click.argument("merchant")
@click.option(
    "--rpc",
    "rpc_urls",
    metavar="URLS",
    help="The network's RPC addresses by commas; `-` reads them from stdin. Kept as a secret.",
)
@click.option(
    "--low-balance-gwei",
    type=click.IntRange(1),
    help="Below it the balance alarm goes off; kept until another is given.  [default: 10000000]",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, change nothing.")
@json_option
@explains_failures
def provision(merchant: str, rpc_urls: str | None, low_balance_gwei: int | None, dry_run: bool, as_json: bool) -> None:
    """Bring a merchant's tables, queue, key, secrets, alarms and dashboard to what they should be. Safe to repeat.

    Example: box provision acme --rpc https://rpc.example/KEY --dry-run
    """
    from ops.aws.provision import provision as bring

    project = Project()
    _for_aws(project, merchant)
    urls = sys.stdin.readline().strip() if rpc_urls == "-" else rpc_urls
    if urls == "":
        raise WrongInput("no RPC address was given: with `--rpc -` one line of them, by commas, is read from stdin")
    with project.at_work_on(merchant):
        done = bring(project, merchant, say, rpc_urls=urls, low_balance_gwei=low_balance_gwei, dry_run=dry_run)

    def people() -> None:
        if done.changes:
            rows("would change" if dry_run else "changed", ("action", "resource", "type"), done.changes)
        else:
            click.echo("nothing to change" if dry_run else "nothing changed")
        if done.secrets:
            click.echo(f"{'missing' if dry_run else 'written'} in the parameter store: {', '.join(done.secrets)}")
        if not dry_run:
            for address in done.signers:
                click.echo(
                    f"signer {address}: fund it and let the merchant's account authorise it (`box signer show {merchant}`)"
                )

    show({**asdict(done), "dryRun": dry_run}, as_json, people)


@click.command()
@click.argument("merchants", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every merchant that has a config.")
@click.option("--at-once", type=click.IntRange(1, 16), default=4, show_default=True, help="How many boxes at a time.")
@click.option("--rpc", "rpc_urls", metavar="URLS", help="For a box that is new: see `box provision`.")
@json_option
@explains_failures
def deploy(merchants: tuple[str, ...], every: bool, at_once: int, rpc_urls: str | None, as_json: bool) -> None:
    """Check, provision, deploy and smoke-test; a box whose smoke test fails goes back to its last release. A broken run goes on
    where it was. Exit code 1 when a box failed, 3 when the only one was rolled back.

    Example: box deploy acme globex
    """
    project = Project()
    chosen = _chosen(project, merchants, every)
    if len(chosen) == 1:
        from ops.aws.deploy import deploy as bring

        done = asdict(bring(project, chosen[0], say, rpc_urls=rpc_urls))
        show(
            done,
            as_json,
            lambda: click.echo(f"{done['merchant']} runs {done['config_hash']} at {done['url']} ({done['seconds']} s)"),
        )
        return
    _many(project, chosen, at_once, rpc_urls, as_json, canary=None)


@click.command()
@click.argument("merchants", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every merchant that has a config.")
@click.option(
    "--canary",
    required=True,
    metavar="MERCHANT",
    help="This box first: the others follow only if its smoke test holds.",
)
@click.option("--at-once", type=click.IntRange(1, 16), default=4, show_default=True)
@json_option
@explains_failures
def upgrade(merchants: tuple[str, ...], every: bool, canary: str, at_once: int, as_json: bool) -> None:
    """Bring this version of the code to the boxes: one first, then the rest; each goes back by itself when its smoke test fails.
    Exit code 3 when the canary went back (the others were not touched), 1 when another box failed.

    Example: box upgrade --all --canary demo-shop
    """
    project = Project()
    chosen = _chosen(project, merchants, every)
    if canary not in chosen:
        raise WrongInput(f"the canary '{canary}' is none of the boxes to upgrade: {', '.join(chosen)}")
    _many(project, chosen, at_once, None, as_json, canary=canary)


def _chosen(project: Project, merchants: tuple[str, ...], every: bool) -> list[str]:
    """Each once."""
    if every == bool(merchants):
        raise WrongInput("name merchants, or use --all")
    if every:
        return [one for one in project.merchants() if not _is_local(project, one)]
    for merchant in merchants:
        _for_aws(project, merchant)
    return list(dict.fromkeys(merchants))


def _for_aws(project: Project, merchant: str) -> None:
    """Raises WrongInput for a merchant that has no config, or whose box is none to deploy."""
    if _is_local(project, merchant):
        raise WrongInput(
            f"{merchant}'s signer is `local`: its box runs on one machine (`box up`), not on AWS. "
            f"For AWS say `kms` or `keystore` in configs/{merchant}.json"
        )


def _is_local(project: Project, merchant: str) -> bool:
    """Whether the box runs on one machine and nowhere else. Raises WrongInput for a config that cannot be read."""
    from ops.aws.provision import config_of

    return config_of(project, merchant).signer.kind == "local"


def _many(
    project: Project, chosen: list[str], at_once: int, rpc_urls: str | None, as_json: bool, *, canary: str | None
) -> None:
    from ops.aws.deploy import Deployed, Many, deploy_many
    from ops.aws.deploy import deploy as bring

    progress = Many.resumed(project.chalice / "deploying.json", _fingerprint(project, chosen))
    if progress.done:
        say(f"going on: {len(progress.done)} of {len(chosen)} were done before")

    def one(merchant: str) -> Deployed:
        # A project of its own: what one box writes into the stages must not be half seen by another at the same time.
        return bring(Project(project.root), merchant, say, rpc_urls=rpc_urls)

    if canary is not None and canary not in progress.done:
        progress.keep(canary, done=one(canary).config_hash)
    deploy_many(chosen, one, at_once, progress, say)
    if not progress.failed:
        progress.file.unlink(missing_ok=True)
    answer = {"done": progress.done, "failed": progress.failed}
    found = [{"merchant": m, "state": "deployed", "said": h} for m, h in progress.done.items()]
    found += [{"merchant": m, "state": "failed", "said": said} for m, said in progress.failed.items()]
    show(answer, as_json, lambda: rows("", ("merchant", "state", "said"), found))
    sys.exit(1 if progress.failed else 0)


def _fingerprint(project: Project, merchants: list[str]) -> str:
    """Of what a run would deploy: an interrupted one is gone on with only while nothing changed."""
    from chalicelib.settings import VERSION

    held = hashlib.sha256(VERSION.encode())
    for merchant in sorted(merchants):
        held.update(project.config_file(merchant).read_bytes())
    bundled = (file for file in (project.root / "chalicelib").rglob("*") if file.is_file() and file.suffix != ".pyc")
    for file in sorted([*bundled, project.root / "app.py", project.root / "requirements.txt"]):
        held.update(file.read_bytes())
    return held.hexdigest()[:16]


@click.command()
@click.argument("merchant")
@json_option
@explains_failures
def gateway(merchant: str, as_json: bool) -> None:
    """After a plain `chalice deploy`: error answers, throttling, and the stream's retries and dead-letter queue.

    Example: chalice deploy --stage acme && box gateway acme
    """
    from ops.aws.gateway import apply

    project = Project()
    _for_aws(project, merchant)
    with project.at_work_on(merchant):
        answer: dict[str, Any] = {"merchant": merchant, "deployment": apply(project, merchant)}
    show(answer, as_json, lambda: click.echo(f"{merchant}: in place"))


@click.command()
@click.argument("merchant")
@json_option
@explains_failures
def smoke(merchant: str, as_json: bool) -> None:
    """Try a deployed box through its public address. Exit code 1 at the first step that does not hold.

    Example: box smoke acme
    """
    from ops.asking import DoesNotHold
    from ops.aws.clients import gateway_url
    from ops.aws.gateway import stage_name
    from ops.aws.provision import config_of
    from ops.aws.smoke import config_hash
    from ops.aws.smoke import smoke as try_it
    from ops.boxes.output import Failed

    project = Project()
    _for_aws(project, merchant)
    deployed = project.deployed(merchant)
    if "rest_api" not in deployed:
        raise Failed(f"{merchant} is not deployed: run `box deploy {merchant}`")
    url = gateway_url(deployed["rest_api"]["rest_api_id"], stage_name(project))
    try:
        held = try_it(url, config_of(project, merchant), config_hash(project.config_file(merchant)))
    except DoesNotHold as failure:
        raise Failed(str(failure)) from None
    show({"merchant": merchant, "url": url, "held": held}, as_json, lambda: click.echo("\n".join(held)))
