"""`box verify`: checks a receipt or a click's proof against the chain alone. The box it came from is not asked."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from ops.boxes.output import Unknown, WrongInput
from ops.chain_reader import ODD, Chain, ChainUnreadable
from ops.printable import printable
from ops.receipt_checks import CHECKS, Check, Mismatch, Receipt
from ops.receipt_shape import BadShape, check_receipt
from ops.verify_click import verify_click


def verify_receipt(receipt: Any, rpc_url: str, contract: str | None = None) -> list[Check]:
    """The checks in order, up to the first that fails; the receipt holds when the last one is ok.

    `contract` is the network contract you trust, else the receipt's own word is taken (its code is compared either way).
    Raises ChainUnreadable when the node does not answer: then nothing is known.
    """
    made: list[Check] = []
    try:
        check_receipt(receipt)
    except BadShape as fault:
        return [Check("receipt", False, str(fault))]
    subject = Receipt(receipt, Chain(rpc_url, receipt["contract"]))
    if contract is not None and contract.lower() != subject.chain.contract:
        return [Check("contract", False, f"the receipt is of {subject.chain.contract}, not of {contract}")]
    for name, check in CHECKS:
        try:
            found = check(subject)
            made.append(Check(name, True, found, subject.is_older))
        except Mismatch as mismatch:
            made.append(Check(name, False, str(mismatch)))
            break
        except ODD as odd:
            made.append(Check(name, False, f"what it names cannot be read: {odd!r}"))
            break
    subject.chain.stands_still()
    return made


@click.command("verify", epilog="Example: box verify receipt.json --rpc https://rpc.example.org")
@click.argument("receipt", type=click.File("r"))
@click.option("--rpc", required=True, help="A node you trust: yours, or a public one.")
@click.option("--contract", help="The network contract you expect; otherwise the receipt names it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def verify(receipt: Any, rpc: str, contract: str | None, as_json: bool) -> None:
    """Check RECEIPT (a file, - for standard input) against the chain alone. A click's proof is taken as well.

    Exit code 0: everything matches. 1: something does not, and is named. 2: the node cannot be read, so nothing is known.
    """
    try:
        document = json.load(receipt)
        is_of_click = isinstance(document, dict) and ("proof" in document or "clickId" in document)
        check = verify_click if is_of_click else verify_receipt
        checks = check(document, rpc, contract)
    except (ValueError, RecursionError) as error:
        raise WrongInput(f"the receipt is no JSON: {error}") from error
    except ChainUnreadable as silence:
        raise Unknown(f"not checked: {printable(str(silence))}") from silence
    holds = checks[-1].ok
    if as_json:
        click.echo(json.dumps({"ok": holds, "checks": [asdict(made) for made in checks]}))
    else:
        for made in checks:
            click.echo(f"{'ok  ' if made.ok else 'FAIL'} {made.name:<12} {printable(made.detail)}")
        what = "proof" if check is verify_click else "receipt"
        older = ", and is older than the chain: see amendments and status" if checks[-1].older else ""
        click.echo(f"the {what} holds{older}" if holds else f"the {what} does not hold: {checks[-1].name}")
    sys.exit(0 if holds else 1)
