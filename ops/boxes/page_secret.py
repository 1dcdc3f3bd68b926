"""`box page-secret`: what the merchant's server signs its pages with, so that a browser's report counts as the server's."""

from __future__ import annotations

import click

from ops.boxes.opened import open_box
from ops.boxes.output import explains_failures, json_option, show
from ops.boxes.project import Project


@click.group("page-secret")
def page_secret() -> None:
    """The secret of signed pages: renew, withdraw the old one."""


@page_secret.command()
@click.argument("merchant")
@json_option
@explains_failures
def renew(merchant: str, as_json: bool) -> None:
    """Make a new secret and print it, this once. The one before stays valid until the next renewal.

    Example: box page-secret renew acme
    """
    from chalicelib.services import page_secrets

    made = page_secrets.renew(open_box(Project(), merchant))
    show({"merchant": merchant, "pageSecret": made}, as_json, lambda: click.echo(made))


@page_secret.command("withdraw-old")
@click.argument("merchant")
@json_option
@explains_failures
def withdraw_old(merchant: str, as_json: bool) -> None:
    """Make the secret before the newest worthless at once: when it leaked, or when all pages are signed with the new one.

    Example: box page-secret withdraw-old acme
    """
    from chalicelib.services import page_secrets

    page_secrets.withdraw_all_but_newest(open_box(Project(), merchant))
    show({"merchant": merchant, "withdrawn": True}, as_json, lambda: click.echo("only the newest secret is valid now"))
