"""The committed ABI and bytecode of the network contract, read once. `make contract` writes the file, a test rebuilds it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.domain.keccak import keccak256

_ARTIFACT = Path(__file__).with_name("affiliate_network.json")


@cache
def artifact() -> dict[str, Any]:
    """{contract, compiler, sourceSha256, abi, bytecode, runtime}; the bytecodes are 0x hex."""
    loaded: dict[str, Any] = json.loads(_ARTIFACT.read_text())
    return loaded


def abi_type(item: dict[str, Any]) -> str:
    """The canonical type of an ABI parameter: tuples written out."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(abi_type(part) for part in item["components"]) + ")" + kind[len("tuple") :]


def signature(item: dict[str, Any]) -> str:
    return f"{item['name']}({','.join(abi_type(part) for part in item['inputs'])})"


@cache
def functions() -> dict[str, tuple[bytes, list[str], list[str]]]:
    """name -> (selector, argument types, answer types)."""
    return {
        item["name"]: (
            keccak256(signature(item).encode())[:4],
            [abi_type(part) for part in item["inputs"]],
            [abi_type(part) for part in item["outputs"]],
        )
        for item in artifact()["abi"]
        if item["type"] == "function"
    }


@cache
def events() -> dict[bytes, dict[str, Any]]:
    """First topic -> ABI entry."""
    return {keccak256(signature(item).encode()): item for item in artifact()["abi"] if item["type"] == "event"}


@cache
def errors() -> dict[bytes, dict[str, Any]]:
    """Selector -> ABI entry of a custom error."""
    return {keccak256(signature(item).encode())[:4]: item for item in artifact()["abi"] if item["type"] == "error"}


def topic(event: str) -> bytes:
    """The first topic of an event's logs."""
    return next(found for found, item in events().items() if item["name"] == event)
