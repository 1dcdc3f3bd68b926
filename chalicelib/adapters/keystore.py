"""The `keystore` signer's key: an encrypted JSON V3, opened with a password that is kept apart from it."""

import json

from eth_account import Account

from chalicelib.adapters.secrets import parameter
from chalicelib.settings import Settings


def private_key(settings: Settings, number: int = 1) -> bytes:
    """Decrypts the `number`th keystore of the box, from 1. Raises ValueError("MAC mismatch") on a wrong password."""
    file, password = parameters(number)
    return bytes(Account.decrypt(json.loads(parameter(settings, file)), parameter(settings, password)))


def parameters(number: int) -> tuple[str, str]:
    """(encrypted file, its password): their names under the box's path, `keystore` and `keystore-password`, `keystore-2` and so on."""
    suffix = "" if number == 1 else f"-{number}"
    return f"keystore{suffix}", f"keystore-password{suffix}"
