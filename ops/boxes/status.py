"""`box status`: how a box fares, from what it says itself and - with credentials - from AWS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import click

from ops.boxes.opened import config_file, local_merchant, local_url
from ops.boxes.output import WrongInput, explains_failures, json_option, rows, show
from ops.boxes.project import Project

FIELDS = (
    "status",
    "paused",
    "rpc",
    "oldestUnsent",
    "inFlight",
    "oldestInFlight",
    "signerBalance",
    "configHash",
    "version",
)


@click.command()
@click.argument("merchants", nargs=-1)
@json_option
@explains_failures
def status(merchants: tuple[str, ...], as_json: bool) -> None:
    """Every box, or those named: does it accept, does its signer send, does it run the config that lies here. Exit code 1 when not.

    Example: box status acme
    """
    project = Project()
    found = [of(project, merchant) for merchant in _chosen(project, merchants)]
    show({"boxes": found}, as_json, lambda: rows("", ("merchant", *FIELDS, "config"), found))
    sys.exit(0 if all(one["status"] in ("ok", "starting") for one in found) else 1)


def _chosen(project: Project, merchants: Sequence[str]) -> Sequence[str]:
    """Those named, else all there are: the one on this machine, if the environment leads to it."""
    here = local_merchant()
    for merchant in merchants:
        if here is not None and merchant != here:
            raise WrongInput(f"the environment leads to {here}'s box on this machine, not to {merchant}'s")
        if here is None and not project.config_file(merchant).exists():
            raise WrongInput(f"there is no configs/{merchant}.json: run `box new {merchant}`")
    if merchants:
        return tuple(dict.fromkeys(merchants))
    return (here,) if here is not None else [one for one in project.merchants() if project.deployed(one)]


def of(project: Project, merchant: str) -> dict[str, Any]:
    from ops.asking import DoesNotHold, ask
    from ops.aws.smoke import config_hash

    url = local_url() or _deployed_url(project, merchant)
    if url is None:
        return {"merchant": merchant, "status": "not deployed"}
    try:
        told = ask("GET", f"{url}/v1/status").json
    except DoesNotHold as failure:
        return {"merchant": merchant, "url": url, "status": "no answer", "said": str(failure)}
    flat = {**(told.get("network") or {}), **{key: value for key, value in told.items() if key != "network"}}
    here = config_hash(config_file(project, merchant))
    held = "as here" if told.get("configHash") == here else "another than here"
    return {"merchant": merchant, "url": url, **{key: flat.get(key) for key in FIELDS}, "config": held}


def _deployed_url(project: Project, merchant: str) -> str | None:
    from ops.aws.clients import gateway_url
    from ops.aws.gateway import stage_name

    api = project.deployed(merchant).get("rest_api")
    if api is None:
        return None
    # Its own region, as Chalice wrote it down: boxes may stand in several, and this command is given one at most.
    at = (urlsplit(api.get("rest_api_url", "")).hostname or "").removeprefix(f"{api['rest_api_id']}.execute-api.")
    return gateway_url(api["rest_api_id"], stage_name(project), at.partition(".")[0] or None)
