"""`box keys`: a box's API keys. A key is shown once, when it is made; the box keeps its hash alone."""

from __future__ import annotations

from typing import Any

import click

from ops.boxes.opened import open_box
from ops.boxes.output import Failed, WrongInput, explains_failures, json_option, rows, show
from ops.boxes.project import Project


@click.group()
def keys() -> None:
    """API keys: list, make, revoke."""


@keys.command("list")
@click.argument("merchant")
@json_option
@explains_failures
def list_keys(merchant: str, as_json: bool) -> None:
    """The keys, never themselves: name, scopes, last use, whether revoked.

    Example: box keys list acme
    """
    found = [_shown(key) for key in open_box(Project(), merchant).keys.all()]
    show(
        {"merchant": merchant, "keys": found},
        as_json,
        lambda: rows("", ("id", "name", "scopes", "created", "lastUsed", "revoked"), found),
    )


@keys.command()
@click.argument("merchant")
@click.option("--name", required=True, help="Who has it, for people to recognise.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="admin, server, readonly or publisher:<id>; may be given twice.",
)
@json_option
@explains_failures
def new(merchant: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a key and print it, this once.

    Example: box keys new acme --name "shop server" --scope server
    """
    from chalicelib.services.access import create_key

    box = open_box(Project(), merchant)
    for publisher_id in (one.removeprefix("publisher:") for one in scopes if one.startswith("publisher:")):
        if not publisher_id or box.publishers.get(publisher_id) is None:
            raise WrongInput(f"{merchant} has no publisher '{publisher_id}': box publisher add {merchant} …")
    key = create_key(box, name, *scopes)
    show({"merchant": merchant, "key": key, "name": name, "scopes": list(scopes)}, as_json, lambda: click.echo(key))


@keys.command()
@click.argument("merchant")
@click.argument("key_id")
@json_option
@explains_failures
def revoke(merchant: str, key_id: str, as_json: bool) -> None:
    """Make a key worthless from now on. KEY_ID as `box keys list` shows it, or its first 8 characters, or the key itself.

    Example: box keys revoke acme 1f0c9a2b
    """
    from chalicelib.services.access import key_hash

    box = open_box(Project(), merchant)
    wanted = key_hash(key_id) if key_id.startswith("box_") else key_id
    matching = [key for key in box.keys.all() if len(wanted) >= 8 and key.key_hash.startswith(wanted)]
    if len(matching) != 1:
        raise Failed("no key has this id" if not matching else "several keys begin so: give more of the id")
    changed = box.keys.revoke(matching[0].key_hash, box.now())
    said = "revoked" if changed else "was revoked before"
    show({"merchant": merchant, "id": matching[0].key_hash, "revoked": True}, as_json, lambda: click.echo(said))


def _shown(key: Any) -> dict[str, Any]:
    from chalicelib.domain.payload import rfc3339

    return {
        "id": key.key_hash[:16],
        "name": key.name,
        "scopes": " ".join(sorted(key.scopes)),
        "created": rfc3339(key.created_at),
        "lastUsed": rfc3339(key.last_used_at),
        "revoked": rfc3339(key.revoked_at),
    }
