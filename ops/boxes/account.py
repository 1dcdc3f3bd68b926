"""A party's own account - merchant or publisher - opened from a keystore file (encrypted JSON V3) with its password.

It signs agreements, authorises and revokes the box's operational key, and pays for that. It is never the operational key, and
nothing of it is kept. Who signs with a hardware wallet or several people takes `--print`, which gives the call to sign elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ops.boxes.given import read_json, read_text
from ops.boxes.output import WrongInput
from ops.local.wallet import Wallet

F = TypeVar("F", bound=Callable[..., Any])

keystore_option = click.option(
    "--keystore",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The party's own keystore file (JSON V3).",
)
password_option = click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Else BOX_KEYSTORE_PASSWORD, else it is asked for.",
)


class OwnAccount(Wallet):
    """Signs and sends like a wallet whose key lies in a file; here the file is encrypted."""

    def __init__(self, keystore: Path, password: str) -> None:
        from eth_account import Account

        self.key_file = keystore
        held = read_json(keystore, dict)
        try:
            key = Account.decrypt(held, password)
        except (KeyError, TypeError, AttributeError, AssertionError, NotImplementedError):
            raise WrongInput(f"{keystore} is no keystore: that is encrypted JSON V3, as a wallet exports it") from None
        except ValueError as error:
            raise WrongInput(f"{keystore} does not open with this password ({error})") from None
        self._account = Account.from_key(key)
        self.address = str(self._account.address)


def open_account(keystore: Path | None, password_file: Path | None, operational: Sequence[str] = ()) -> OwnAccount:
    """`operational` are the box's keys: none may stand in for a party. Raises WrongInput."""
    if keystore is None:
        raise WrongInput("give --keystore FILE, the party's own key (or --print, to sign elsewhere)")
    account = OwnAccount(keystore, _password(password_file))
    if account.address.lower() in map(str.lower, operational):
        raise WrongInput(f"{account.address} is an operational key of the box: parties sign with accounts of their own")
    return account


def _password(file: Path | None) -> str:
    if file is not None:
        return read_text(file).rstrip("\n")
    given = os.environ.get("BOX_KEYSTORE_PASSWORD")
    return given if given is not None else str(click.prompt("The keystore's password", hide_input=True, err=True))
