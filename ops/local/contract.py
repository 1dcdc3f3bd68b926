"""Puts the network contract on the local chain, once: the next start finds it there."""

from __future__ import annotations

import json
from pathlib import Path

from eth_utils.address import to_checksum_address

from ops.local import rpc
from ops.local.process import ROOT
from ops.local.wallet import Wallet

_ARTIFACT = ROOT / "chalicelib" / "adapters" / "affiliate_network.json"


def deployed_contract(url: str, kept_in: Path, deployer: Wallet) -> str:
    """The contract's address: the one written in `kept_in` if today's code stands there on this chain, else
    a new one."""
    artifact = json.loads(_ARTIFACT.read_text())
    if kept_in.exists():
        address: str = json.loads(kept_in.read_text())["address"]
        if rpc.call(url, "eth_getCode", address, "latest").startswith(artifact["runtime"]):
            return address
    receipt = deployer.send(url, None, bytes.fromhex(artifact["bytecode"].removeprefix("0x")))
    address = to_checksum_address(receipt["contractAddress"])
    kept_in.write_text(json.dumps({"address": address, "sourceSha256": artifact["sourceSha256"]}) + "\n")
    return address
