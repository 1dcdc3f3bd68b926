"""Keccak-256, the hash of the EVM (not the later SHA3-256), without the import time of the eth packages."""

from Crypto.Hash import keccak as _keccak


def keccak256(data: bytes) -> bytes:
    return _keccak.new(digest_bits=256, data=data).digest()
