"""`box agreement`: terms offered, signed by both parties with their own keys, put on the network.

The offer is a file that travels: EIP-712 typed data, as any wallet signs it, and the signatures so far. Who has it can check it;
nobody can change a word of it without voiding the signatures.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from chalicelib.bootstrap import Box
from chalicelib.domain.party import Agreement
from ops.boxes.account import OwnAccount, keystore_option, open_account, password_option
from ops.boxes.given import read_json
from ops.boxes.opened import open_box, rpc_url
from ops.boxes.output import WrongInput, explains_failures, json_option, rows, show
from ops.boxes.project import Project, write

OFFER_DAYS = 14
SIGNATURE = re.compile(r"0x([0-9a-fA-F]{2})+")
file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def agreement() -> None:
    """Agreements: offer, sign, register, list, end."""


@agreement.command("list")
@click.argument("merchant")
@click.argument("publisher_id", required=False)
@json_option
@explains_failures
def list_agreements(merchant: str, publisher_id: str | None, as_json: bool) -> None:
    """Every agreement, the newest of each publisher first.

    Example: box agreement list acme slow-table
    """
    box = open_box(Project(), merchant)
    publishers = [publisher_id] if publisher_id else [one.publisher_id for one in box.publishers.all()]
    found = [
        {
            "publisherId": held.publisher_id,
            "version": held.terms.version,
            "state": held.state,
            "agreementId": held.agreement_id,
            "transaction": held.registered_in,
        }
        for one in publishers
        for held in box.agreements.of(one)
    ]
    show(
        {"merchant": merchant, "agreements": found},
        as_json,
        lambda: rows("", ("publisherId", "version", "state", "agreementId"), found),
    )


@agreement.command()
@click.argument("merchant")
@click.argument("publisher_id")
@click.option(
    "--out", "file", type=click.Path(path_type=Path, dir_okay=False), help="[default: PUBLISHER_ID.offer.json]"
)
@click.option(
    "--days",
    type=click.IntRange(1, 90),
    default=OFFER_DAYS,
    show_default=True,
    help="How long the signatures can be used.",
)
@json_option
@explains_failures
def offer(merchant: str, publisher_id: str, file: Path | None, days: int, as_json: bool) -> None:
    """Write the config's default terms as an offer to a publisher, for both to sign.

    Example: box agreement offer acme slow-table --out slow-table.json
    """
    from chalicelib.domain.agreement import agreement_id, eip712
    from chalicelib.domain.offer import offered_terms

    box = open_box(Project(), merchant)
    held = box.publishers.get(publisher_id)
    if held is None:
        raise WrongInput(f"{merchant} has no publisher '{publisher_id}': box publisher add {merchant} {publisher_id} …")
    nonce, version = box.views.next_agreement(box.config.merchant.account, held.account)
    terms = offered_terms(
        box.config,
        held.account,
        nonce=nonce,
        version=version,
        deadline=int(time.time()) + days * 86_400,
        hosted=held.hosted,
    )
    network = box.config.network
    made = {
        "agreementId": "0x" + agreement_id(terms, network.chain_id, network.contract).hex(),
        "publisherId": publisher_id,
        "typedData": eip712(terms, network.chain_id, network.contract),
        "signatures": {},
    }
    to = file or Path(f"{publisher_id}.offer.json")
    write(to.resolve(), json.dumps(made, indent=1) + "\n")
    show(
        {"file": str(to), "agreementId": made["agreementId"]},
        as_json,
        lambda: click.echo(f"{to}: sign it with `box agreement sign {to}`"),
    )


@agreement.command()
@file_argument
@keystore_option
@password_option
@json_option
@explains_failures
def sign(file: Path, keystore: Path | None, password_file: Path | None, as_json: bool) -> None:
    """Sign an offer as merchant or publisher, with that party's own key. Needs neither AWS nor the network.

    Example: box agreement sign slow-table.json --keystore merchant-key.json
    """
    read, terms, digest = _offer(file)
    account = open_account(keystore, password_file)
    party = _party(terms, account.address)
    read["signatures"][party] = "0x" + account.sign_digest(digest).hex()
    write(file.resolve(), json.dumps(read, indent=1) + "\n")
    missing = [one for one in ("merchant", "publisher") if one not in read["signatures"]]
    said = f"signed as {party}; {'still to sign: ' + missing[0] if missing else 'both have signed'}"
    show({"file": str(file), "signedAs": party, "missing": missing}, as_json, lambda: click.echo(said))


@agreement.command()
@click.argument("merchant")
@file_argument
@keystore_option
@password_option
@json_option
@explains_failures
def register(merchant: str, file: Path, keystore: Path | None, password_file: Path | None, as_json: bool) -> None:
    """Put an offer that both signed onto the network; the publisher's links work from then on. Any account may pay for it.

    Example: box agreement register acme slow-table.json --keystore merchant-key.json
    """
    from chalicelib.adapters.contract import encode_register
    from chalicelib.domain.party import Link

    box = open_box(Project(), merchant)
    read, terms, digest = _offer(file)
    if terms.merchant.lower() != box.config.merchant.account.lower():
        raise WrongInput(f"this offer is of {terms.merchant}, not of {merchant}")
    if terms.currency != box.config.currency:
        raise WrongInput(
            f"this offer is in {terms.currency}; {merchant} counts in {box.config.currency} now: write a new one"
        )
    publisher = box.publishers.get(read["publisherId"])
    if publisher is None or publisher.account.lower() != terms.publisher.lower():
        raise WrongInput(f"{merchant} has no publisher '{read['publisherId']}' with the account {terms.publisher}")
    name, network = f"0x{digest.hex()}", box.config.network
    known = box.views.agreement(terms.merchant, digest)
    if known.closes_at:
        raise WrongInput(
            f"{name} is ended: write a new offer, `box agreement offer {merchant} {publisher.publisher_id}`"
        )
    before = box.agreements.get(name)
    registered_in, registered_at = (before.registered_in, before.registered_at) if before else (None, box.now())
    if not known.registered:
        signatures = [bytes.fromhex(_signature(read, party)[2:]) for party in ("merchant", "publisher")]
        payer = open_account(keystore, password_file, box.settings.signer_addresses)
        receipt = payer.send(rpc_url(box), network.contract, encode_register(terms, signatures[0], signatures[1]))
        registered_in = receipt["transactionHash"]
    box.agreements.put(
        Agreement(
            agreement_id=name,
            publisher_id=publisher.publisher_id,
            terms=terms,
            state="active",
            registered_in=registered_in,
            registered_at=registered_at,
        )
    )
    box.publishers.put(replace(publisher, link=Link(agreement_id=name, attribution_window_days=terms.window_days)))
    show({"agreementId": name, "transaction": registered_in}, as_json, lambda: click.echo(f"{name} is on the network"))


@agreement.command()
@click.argument("merchant")
@click.argument("publisher_id")
@keystore_option
@password_option
@json_option
@explains_failures
def end(merchant: str, publisher_id: str, keystore: Path | None, password_file: Path | None, as_json: bool) -> None:
    """End the agreement in force, as either party. Clicks so far keep their terms; later ones are not counted.

    Example: box agreement end acme slow-table --keystore merchant-key.json
    """
    from chalicelib.services.ends import stop_links

    box = open_box(Project(), merchant)
    held = _in_force(box, publisher_id)
    if held is None:
        raise WrongInput(f"'{publisher_id}' has no agreement in force with {merchant}")
    account = open_account(keystore, password_file, box.settings.signer_addresses)
    _party(held.terms, account.address)
    # The network first: it may refuse. Clicks until the links stop are taken there, by the days of grace after the window.
    ended_in = _end_on_network(box, held, account)
    stop_links(box, held, box.now())
    show(
        {"agreementId": held.agreement_id, "transaction": ended_in},
        as_json,
        lambda: click.echo(f"{held.agreement_id} is ended"),
    )


def _in_force(box: Box, publisher_id: str) -> Agreement | None:
    """The newest that is not ended as the box knows it: also one whose end broke off, on the network or here."""
    return next((held for held in box.agreements.of(publisher_id) if held.state == "active"), None)


def _end_on_network(box: Box, held: Agreement, account: OwnAccount) -> str | None:
    """The transaction; None when the network has it ended already."""
    from chalicelib.adapters.contract import encode_end

    merchant, name = box.config.merchant.account, bytes.fromhex(held.agreement_id[2:])
    if box.views.agreement(merchant, name).closes_at:
        return None
    receipt = account.send(rpc_url(box), box.config.network.contract, encode_end(merchant, name))
    return str(receipt["transactionHash"])


def _offer(file: Path) -> tuple[dict[str, Any], Any, bytes]:
    """The file, its terms and the digest to sign, worked out anew: what the file says its id is must be it. Raises WrongInput."""
    from chalicelib.domain.agreement import BadTerms, agreement_id, eip712, from_message

    if not file.exists():
        raise WrongInput(f"there is no {file}: `box agreement offer` writes one")
    read = read_json(file, dict)
    try:
        typed, _ = read["typedData"], read["publisherId"]
        if not all(SIGNATURE.fullmatch(one) for one in read["signatures"].values()):
            raise ValueError("a signature in it is not 0x and hex digits")
        terms = from_message(typed["message"])
        chain_id, contract = typed["domain"]["chainId"], typed["domain"]["verifyingContract"]
        digest = agreement_id(terms, chain_id, contract)
    except KeyError as missing:
        raise WrongInput(f"{file} is no offer: it has no {missing}. `box agreement offer` writes one") from None
    except (BadTerms, ValueError, TypeError, AttributeError) as error:
        raise WrongInput(f"{file} is no offer: {error}") from None
    if read.get("agreementId") != f"0x{digest.hex()}" or eip712(terms, chain_id, contract) != typed:
        raise WrongInput(f"{file} was changed after it was written: its terms do not make the id that it names")
    return read, terms, digest


def _party(terms: Any, address: str) -> str:
    for party in ("merchant", "publisher"):
        if getattr(terms, party).lower() == address.lower():
            return party
    raise WrongInput(
        f"{address} is neither the merchant ({terms.merchant}) nor the publisher ({terms.publisher}) of this agreement"
    )


def _signature(read: dict[str, Any], party: str) -> str:
    found = read["signatures"].get(party)
    if not found:
        raise WrongInput(f"the {party} has not signed yet")
    return str(found)
