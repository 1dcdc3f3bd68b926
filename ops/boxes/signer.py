"""`box signer`: the operational key of a box - who it is, whether it may act, whether it can pay; and how it is replaced."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from chalicelib.bootstrap import Box
from ops.boxes.account import keystore_option, open_account, password_option
from ops.boxes.given import ACCOUNT, AMOUNT, COIN
from ops.boxes.opened import open_box, rpc_url
from ops.boxes.output import Failed, WrongInput, explains_failures, json_option, show
from ops.boxes.project import Project

AUTHORISED_DAYS = 365
print_option = click.option(
    "--print", "only_print", is_flag=True, help="Print the transaction to sign elsewhere (hardware wallet, multisig)."
)


@click.group()
def signer() -> None:
    """The operational key: show, authorise, fund, rotate, revoke."""


@signer.command("show")
@click.argument("merchant")
@json_option
@explains_failures
def show_signer(merchant: str, as_json: bool) -> None:
    """Each key's address, funds, and until when the merchant's account lets it act.

    Example: box signer show acme
    """
    box = open_box(Project(), merchant)
    found = [state(box, address) for address in _addresses(box)]
    _show_each(found, as_json, lambda one: "\n".join(f"{key:16} {value}" for key, value in one.items()))


def state(box: Box, address: str) -> dict[str, Any]:
    from chalicelib.domain.payload import rfc3339

    expiry = box.views.key_expiry(box.config.merchant.account, address)
    return {
        "merchant": box.config.merchant.id,
        "kind": box.config.signer.kind,
        "address": address,
        "balance": _coins(box.network.balance(address)),
        "authorised": expiry > time.time(),
        "authorisedUntil": rfc3339(expiry * 1000) if expiry else None,
        "inFlight": len(box.transactions.open(address)),
    }


@signer.command()
@click.argument("merchant")
@click.option("--days", type=click.IntRange(1, 3650), default=AUTHORISED_DAYS, show_default=True)
@click.option(
    "--address",
    type=ACCOUNT,
    metavar="0x…",
    help="This key alone, also one not in use yet: the next one, before a rotation.",
)
@keystore_option
@password_option
@print_option
@json_option
@explains_failures
def authorise(
    merchant: str,
    days: int,
    address: str | None,
    keystore: Path | None,
    password_file: Path | None,
    only_print: bool,
    as_json: bool,
) -> None:
    """Let the operational keys act for the merchant's account, until then and no longer. Signed by the merchant's account.

    Example: box signer authorise acme --keystore merchant-key.json --days 365
    """
    from chalicelib.adapters.contract import encode_authorise

    box = open_box(Project(), merchant)
    until = int(time.time()) + days * 86_400
    calls = {key: encode_authorise(key, until) for key in ([address] if address else _addresses(box))}
    _by_merchant(box, calls, keystore, password_file, only_print, as_json)


@signer.command()
@click.argument("merchant")
@click.option("--address", type=ACCOUNT, metavar="0x…", help="Another key than the one in use.")
@keystore_option
@password_option
@print_option
@json_option
@explains_failures
def revoke(
    merchant: str,
    address: str | None,
    keystore: Path | None,
    password_file: Path | None,
    only_print: bool,
    as_json: bool,
) -> None:
    """Take the key's right to act away, from the next block on. Signed by the merchant's account. The box then keeps everything and
    sends nothing, until another key is authorised.

    Example: box signer revoke acme --keystore merchant-key.json
    """
    from chalicelib.adapters.contract import encode_revoke

    box = open_box(Project(), merchant)
    revoked = address or _only_address(box)
    _by_merchant(box, {revoked: encode_revoke(revoked)}, keystore, password_file, only_print, as_json)


@signer.command()
@click.argument("merchant")
@click.option(
    "--amount", "wei", type=AMOUNT, metavar="AMOUNT", default="0.05", show_default=True, help="In the network's coin."
)
@click.option("--address", type=ACCOUNT, metavar="0x…", help="Another key than the one in use.")
@keystore_option
@password_option
@json_option
@explains_failures
def fund(
    merchant: str, wei: int, address: str | None, keystore: Path | None, password_file: Path | None, as_json: bool
) -> None:
    """Send each operational key what it pays its gas with, from any account.

    Example: box signer fund acme --amount 0.05 --keystore treasury.json
    """
    box = open_box(Project(), merchant)
    payer = open_account(keystore, password_file, box.settings.signer_addresses)
    answers = []
    for to in [address] if address else _addresses(box):
        receipt = payer.send(rpc_url(box), to, value=wei)
        balance = _coins(box.network.balance(to))
        answers.append({"transaction": receipt["transactionHash"], "address": to, "balance": balance})
    _show_each(answers, as_json, lambda answer: f"{answer['address']} has {answer['balance']}")


@signer.command()
@click.argument("merchant")
@click.option(
    "--key", "number", type=click.IntRange(1), default=1, show_default=True, help="Which, where several sign."
)
@click.option("--finish", is_flag=True, help="The second step: the next key is authorised and funded, switch to it.")
@json_option
@explains_failures
def rotate(merchant: str, number: int, finish: bool, as_json: bool) -> None:
    """Replace the key without a gap. First step: makes the next key, beside the one in use. Then authorise and fund it. Second step
    (--finish): lets what the old key sent become final, switches; revoke the old one afterwards.

    Example: box signer rotate acme && box signer authorise acme --address 0x… … && box signer rotate acme --finish
    """
    from ops.aws.provision import config_of
    from ops.aws.rotation import finish as switch_keys
    from ops.aws.rotation import prepare

    project = Project()
    config_of(project, merchant)  # that there is such a merchant
    with project.at_work_on(merchant):
        answer = (switch_keys if finish else prepare)(project, merchant, number)

    def people() -> None:
        for line in answer["next"]:
            click.echo(line)

    show(answer, as_json, people)


def _addresses(box: Box) -> tuple[str, ...]:
    if not box.settings.signer_addresses:
        raise Failed(f"the signer's address is not known yet: `box provision {box.config.merchant.id}` writes it down")
    return box.settings.signer_addresses


def _only_address(box: Box) -> str:
    found = _addresses(box)
    if len(found) > 1:
        raise WrongInput(f"several keys sign for {box.config.merchant.id}: say which, --address {found[0]}")
    return found[0]


def _coins(wei: int) -> str:
    return f"{Decimal(wei) / COIN:f}"


def _by_merchant(
    box: Box,
    calls: dict[str, bytes],
    keystore: Path | None,
    password_file: Path | None,
    only_print: bool,
    as_json: bool,
) -> None:
    """Send calls to the contract, by the key that each is about, from the merchant's own account; or print them for another wallet."""
    owner, network = box.config.merchant.account, box.config.network
    if only_print:
        common = {"from": owner, "to": network.contract, "value": "0x0", "chainId": network.chain_id}
        printed = [{**common, "data": f"0x{data.hex()}"} for data in calls.values()]
        click.echo(json.dumps(printed if len(printed) > 1 else printed[0], indent=1))
        return
    account = open_account(keystore, password_file, box.settings.signer_addresses)
    if account.address.lower() != owner.lower():
        raise WrongInput(
            f"{account.address} is not the merchant's account ({owner}): only that may say who acts for it"
        )
    answers = []
    for address, data in calls.items():
        receipt = account.send(rpc_url(box), network.contract, data)
        answers.append({"transaction": receipt["transactionHash"], **state(box, address)})
    _show_each(answers, as_json, _standing)


def _standing(answer: dict[str, Any]) -> str:
    said = f"authorised until {answer['authorisedUntil']}" if answer["authorised"] else "not authorised"
    return f"{answer['address']} is {said}"


def _show_each(answers: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str]) -> None:
    """An answer for each key; as JSON the first one's fields, and all of them under `keys`."""
    show({**answers[0], "keys": answers}, as_json, lambda: click.echo("\n".join(map(line, answers))))
