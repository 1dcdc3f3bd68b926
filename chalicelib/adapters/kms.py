"""The `kms` signer: AWS KMS holds an ECC_SECG_P256K1 key and gives DER signatures; the rest is done here.

KMS does not sign deterministically and knows neither low s nor the recovery id, so the bytes made once are what is stored and re-sent.
"""

from functools import cached_property
from typing import Any

import boto3
from eth_keys.datatypes import PublicKey, Signature

from chalicelib.settings import Settings

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_POINT_BYTES = 64
"""The uncompressed point stands at the end of the SubjectPublicKeyInfo that KMS gives."""


class KmsSigner:
    def __init__(self, settings: Settings, key_id: str, client: Any = None) -> None:
        self._key_id = key_id
        self._client = client or boto3.client("kms", region_name=settings.region)

    @cached_property
    def _public_key(self) -> PublicKey:
        der = self._client.get_public_key(KeyId=self._key_id)["PublicKey"]
        return PublicKey(der[-_POINT_BYTES:])

    @property
    def address(self) -> str:
        return str(self._public_key.to_checksum_address())

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        answer = self._client.sign(
            KeyId=self._key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
        )
        r, s = split_der(answer["Signature"])
        s = min(s, CURVE_ORDER - s)
        for parity in (0, 1):
            if Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest) == self._public_key:
                return parity, r, s
        raise ValueError("KMS's signature does not recover to its public key")

    def __repr__(self) -> str:
        return "KmsSigner()"


def split_der(der: bytes) -> tuple[int, int]:
    """(r, s) of a DER ECDSA signature: SEQUENCE of two INTEGERs. Raises ValueError for anything else."""
    if len(der) < 8 or der[0] != 0x30 or der[1] != len(der) - 2:
        raise ValueError("not a DER signature")
    r_end = 4 + der[3]
    if der[2] != 0x02 or der[r_end : r_end + 1] != b"\x02" or len(der) != r_end + 2 + der[r_end + 1]:
        raise ValueError("not a DER signature")
    return int.from_bytes(der[4:r_end], "big"), int.from_bytes(der[r_end + 2 :], "big")
