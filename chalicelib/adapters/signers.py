"""The merchant's operational key: it records and decides, and signs nothing else. The key never leaves this module's objects.

`local` keeps the key in a file and is for a private network only; `keystore` is an encrypted JSON V3 whose password comes from the
parameter store; `kms` never shows the key to anybody.
"""

import logging
from pathlib import Path
from typing import NoReturn, Protocol

from eth_account import Account

from chalicelib.domain import config
from chalicelib.settings import Settings

log = logging.getLogger(__name__)

PRIVATE_CHAINS = (31337, 1337)
"""Chain ids of development networks; anything else counts as public."""


class SignerRefused(Exception):
    """The configured signer may not be used here; the message says why and what to use."""


class Signer(Protocol):
    @property
    def address(self) -> str: ...

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        """(y parity, r, s) over 32 bytes, with the low s that networks demand."""
        ...


class KeySigner:
    """Signs with a key held in memory, and gives it to nobody: not to a log, a traceback or a pickle. Raises SignerRefused for no key."""

    def __init__(self, private_key: bytes) -> None:
        try:
            self._account = Account.from_key(private_key)
        except Exception:  # noqa: BLE001 - whatever it says of the key, it says too much
            raise SignerRefused("the signer's key is not a private key of 32 bytes") from None

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        if len(digest) != 32:
            raise ValueError("a digest has 32 bytes")
        signed = self._account.unsafe_sign_hash(digest)
        return signed.v - 27, signed.r, signed.s

    def __repr__(self) -> str:
        return f"KeySigner({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer's key is not to be copied")


def build(wanted: config.Signer, chain_id: int, settings: Settings) -> tuple[Signer, ...]:
    """A signer for each key that the config asks for, as far as they are provisioned; no two of the same key. Raises SignerRefused."""
    made = {signer.address: signer for signer in _made(wanted, chain_id, settings)}
    if not made:
        raise SignerRefused("no key is provisioned to sign with: run `box provision`")
    if len(made) < wanted.keys:
        log.warning(
            "the config asks for %d signer keys, %d are provisioned: run `box provision`", wanted.keys, len(made)
        )
    return tuple(made.values())


def _made(wanted: config.Signer, chain_id: int, settings: Settings) -> list[Signer]:
    if wanted.kind == "local":
        if chain_id not in PRIVATE_CHAINS:
            raise SignerRefused(f"the local signer is for a private network, not chain {chain_id}: use keystore or kms")
        if not settings.signer_key_files:
            raise SignerRefused("the local signer needs SIGNER_KEY_FILE; `box up` sets it")
        return [KeySigner(key) for key in map(_key_in, settings.signer_key_files[: wanted.keys])]
    if wanted.kind == "keystore":
        from chalicelib.adapters import keystore

        provisioned = max(1, min(wanted.keys, len(settings.signer_addresses)))
        return [KeySigner(keystore.private_key(settings, number)) for number in range(1, provisioned + 1)]
    from chalicelib.adapters.kms import KmsSigner

    return [KmsSigner(settings, key) for key in settings.kms_key_ids[: wanted.keys]]


def _key_in(file: Path) -> bytes:
    try:
        return bytes.fromhex(file.read_text().strip().removeprefix("0x"))
    except ValueError:
        raise SignerRefused("the signer's key file does not hold a key in hex") from None
