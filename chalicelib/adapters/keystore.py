"""The `keystore` signer's key: an encrypted JSON V3, opened with a password that is kept apart from it."""

import json

from eth_account import Account

from chalicelib.adapters.secrets import parameter
from chalicelib.settings import Settings


def private_key(settings: Settings, number: int = 1) -> bytes:
    """Decrypts `<path>/keystore` - or `<path>/keystore-2` and so on - with `<path>/keystore-password`. Raises ValueError("MAC mismatch") on
    a wrong password."""
    held = json.loads(parameter(settings, parameter_of(number)))
    return bytes(Account.decrypt(held, parameter(settings, "keystore-password")))


def parameter_of(number: int) -> str:
    """The name of the `number`th keystore's parameter, from 1."""
    return "keystore" if number == 1 else f"keystore-{number}"
