"""A box's secrets in the parameter store (SecureString): RPC URLs, and for the keystore signer its key file and password."""

from __future__ import annotations

import json
import secrets

from ops.aws.clients import client
from ops.aws.names import Names

RPC_URLS = "rpc-urls"


def read(names: Names, name: str) -> str | None:
    ssm = client("ssm")
    try:
        return str(ssm.get_parameter(Name=f"{names.parameters}/{name}", WithDecryption=True)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None


def put(names: Names, name: str, value: str) -> None:
    client("ssm").put_parameter(Name=f"{names.parameters}/{name}", Value=value, Type="SecureString", Overwrite=True)


def remove_all(names: Names) -> int:
    """How many there were."""
    held = [one["Name"] for one in _all(names)]
    for start in range(0, len(held), 10):
        client("ssm").delete_parameters(Names=held[start : start + 10])
    return len(held)


def _all(names: Names) -> list[dict[str, str]]:
    pages = client("ssm").get_paginator("get_parameters_by_path").paginate(Path=names.parameters, Recursive=True)
    return [parameter for page in pages for parameter in page["Parameters"]]


def put_keystore(names: Names, file: str, password: str) -> str:
    """Make a key and keep it in these two parameters, the password first: a file without one could never be opened. Its address."""
    keystore, made, address = new_keystore()
    put(names, password, made)
    put(names, file, keystore)
    return address


def new_keystore() -> tuple[str, str, str]:
    """(encrypted V3 file, its password, address) of a key made now; nobody ever sees the key itself."""
    from eth_account import Account

    password = secrets.token_urlsafe(32)
    account = Account.create()
    # The password has 256 bits of its own, so stretching it costs every cold start and buys nothing: the smallest sound scrypt.
    encrypted = Account.encrypt(account.key, password, kdf="scrypt", iterations=2**12)
    return json.dumps(encrypted), password, str(account.address)


def keystore_address(text: str) -> str:
    from eth_utils.address import to_checksum_address

    return str(to_checksum_address("0x" + json.loads(text)["address"].removeprefix("0x")))
