"""The `keystore` signer's key: an encrypted JSON V3, opened with a password that is kept apart from it."""

import json

from eth_account import Account

from chalicelib.adapters.secrets import parameter
from chalicelib.settings import Settings


def private_key(settings: Settings) -> bytes:
    """Decrypts `<path>/keystore` with `<path>/keystore-password`. Raises ValueError("MAC mismatch") on a wrong password."""
    return bytes(Account.decrypt(json.loads(parameter(settings, "keystore")), parameter(settings, "keystore-password")))
