"""What a merchant and a publisher settle before the first sale, done for the demo: keys, terms, agreement,
API keys.

Every step looks first whether it is done, so a start on a kept data directory sends nothing. The keys lie
in `keys/` of the data directory. The demo holds both parties' keys, and so its agreement says `hosted`.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from chalicelib.adapters.contract import NetworkViews, encode_authorise, encode_register
from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import agreement_id
from chalicelib.domain.offer import offered_terms
from chalicelib.domain.party import Agreement, Link, Publisher
from chalicelib.services.access import create_key, key_hash
from ops.local import rpc
from ops.local.wallet import Wallet, fund, write_private

PUBLISHER_ID = "demo-publisher"
PUBLISHER_NAME = "The Slow Table"
ETHER = 10**18
DAY = 86_400
KEY_DAYS = 365
RENEW_DAYS = 30
DEADLINE_SECONDS = 3_600
SCOPES = {
    "admin": "admin",
    "server": "server",
    "readonly": "readonly",
    "publisher": f"publisher:{PUBLISHER_ID}",
}


@dataclass(frozen=True)
class Accounts:
    """`owner` is the merchant's own account, `operational` what the box signs with, `publisher` the demo
    publisher's."""

    owner: Wallet
    operational: tuple[Wallet, ...]
    publisher: Wallet

    @classmethod
    def kept_in(cls, keys: Path, operational: int = 1) -> Accounts:
        """`operational`: how many keys the config asks for."""
        names = ["operational.key", *(f"operational-{number}.key" for number in range(2, operational + 1))]
        return cls(
            Wallet(keys / "merchant.key"),
            tuple(Wallet(keys / name) for name in names),
            Wallet(keys / f"{PUBLISHER_ID}.key"),
        )


@dataclass(frozen=True)
class Network:
    url: str
    chain_id: int
    contract: str

    def views(self) -> NetworkViews:
        def call(data: bytes) -> bytes:
            asked = {"to": self.contract, "data": f"0x{data.hex()}"}
            return bytes.fromhex(rpc.call(self.url, "eth_call", asked, "latest")[2:])

        return NetworkViews(call)


def provision(box: Box, network: Network, accounts: Accounts, keys: Path) -> dict[str, str]:
    """Everything above; the API keys by name. Raises PartFailed when the network refuses a step."""
    for key in accounts.operational:
        _authorise(network, accounts.owner, key)
    _agree(box, network, accounts)
    return _api_keys(box, keys / "api-keys.json")


def _authorise(network: Network, owner: Wallet, key: Wallet) -> None:
    fund(network.url, key.address, ETHER, owner)
    now = int(time.time())
    if network.views().key_expiry(owner.address, key.address) < now + RENEW_DAYS * DAY:
        owner.send(network.url, network.contract, encode_authorise(key.address, now + KEY_DAYS * DAY))


def _agree(box: Box, network: Network, accounts: Accounts) -> None:
    """Signs the config's default terms for both parties and puts them on the network, unless these two have
    an agreement."""
    views = network.views()
    merchant, publisher = accounts.owner.address, accounts.publisher.address
    known = box.publishers.get(PUBLISHER_ID)
    if known and known.link and views.agreement(merchant, bytes.fromhex(known.link.agreement_id[2:])).registered:
        return
    nonce, version = views.next_agreement(merchant, publisher)
    deadline = int(time.time()) + DEADLINE_SECONDS
    terms = offered_terms(box.config, publisher, nonce=nonce, version=version, deadline=deadline, hosted=True)
    digest = agreement_id(terms, network.chain_id, network.contract)
    signatures = accounts.owner.sign_digest(digest), accounts.publisher.sign_digest(digest)
    receipt = accounts.owner.send(network.url, network.contract, encode_register(terms, *signatures))
    name = f"0x{digest.hex()}"
    box.agreements.put(
        Agreement(
            agreement_id=name,
            publisher_id=PUBLISHER_ID,
            terms=terms,
            state="active",
            registered_in=receipt["transactionHash"],
            registered_at=box.now(),
        )
    )
    box.publishers.put(
        Publisher(
            publisher_id=PUBLISHER_ID,
            name=PUBLISHER_NAME,
            account=publisher,
            hosted=True,
            link=Link(agreement_id=name, attribution_window_days=terms.window_days),
        )
    )


def _api_keys(box: Box, kept_in: Path) -> dict[str, str]:
    """One API key a scope. The box keeps their hashes alone; the demo keeps the keys, to print them at
    every start."""
    kept: dict[str, str] = json.loads(kept_in.read_text()) if kept_in.exists() else {}
    keys = {}
    for name, scope in SCOPES.items():
        key = kept.get(name)
        known = box.keys.get(key_hash(key)) if key else None
        keys[name] = key if key and known and not known.revoked_at else create_key(box, f"demo {name}", scope)
    if keys != kept:
        kept_in.unlink(missing_ok=True)
        write_private(kept_in, json.dumps(keys, indent=1) + "\n")
    return keys
