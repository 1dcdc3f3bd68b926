"""Merchants' boxes on a local AWS, set up once, by the commands an operator has: two by `box deploy`, one by plain `chalice deploy`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from ops.local.anvil import Anvil
from ops.local.wallet import Wallet
from tests.aws.local_aws import LocalAws
from tests.aws.operating import Network, Operator, new_merchant

PASSWORD = "correct horse"
BY_BOX, BESIDE_IT, BY_CHALICE = "acme", "globex", "initech"
SIGNERS = {BY_BOX: "kms", BESIDE_IT: "keystore", BY_CHALICE: "keystore"}
KEYS = {BESIDE_IT: 2}
"""How many keys sign, where it is not one."""


@dataclass
class Boxes:
    aws: LocalAws
    network: Network
    operator: Operator
    urls: dict[str, str]
    keys: dict[str, str]
    """Each merchant's server key."""
    files: dict[str, Path]
    """The parties' keystore files, by name."""


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    part = LocalAws(tmp_path_factory.mktemp("aws"))
    yield part
    part.stop()


@pytest.fixture(scope="session")
def mined_each_second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    part = Anvil(tmp_path_factory.mktemp("aws-chain"), usual_port=0, block_seconds=1)
    yield part
    part.stop()


@pytest.fixture(scope="session")
def boxes(aws: LocalAws, mined_each_second: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Boxes:
    folder = tmp_path_factory.mktemp("operator")
    operator = Operator(folder / "project", {**aws.environment, "BOX_KEYSTORE_PASSWORD": PASSWORD})
    network = Network(mined_each_second.url, folder / "accounts")
    found = Boxes(aws, network, operator, {}, {}, {"publisher": keystore(network.account("publisher"), folder)})
    # Every config is there before the first deployment: each bundle carries all of them, so one build does for the three.
    for merchant, signer in SIGNERS.items():
        found.files[f"{merchant}-owner"] = keystore(new_merchant(operator, network, merchant, signer), folder)
    for merchant, keys in KEYS.items():
        config = operator.config(merchant)
        operator.write_config(merchant, {**config, "signer": {**config["signer"], "keys": keys}})
        operator.box("new", merchant, "--keep-config")  # each key is a right of the functions that sign
    operator.box("deploy", BY_BOX, BESIDE_IT, "--rpc", network.url)
    operator.box("provision", BY_CHALICE, "--rpc", network.url)
    plainly = operator.chalice("deploy", "--stage", BY_CHALICE)
    assert plainly.returncode == 0, plainly.stderr
    operator.box("gateway", BY_CHALICE)
    with ThreadPoolExecutor() as at_once:
        for opened in [at_once.submit(open_for_business, found, merchant) for merchant in SIGNERS]:
            opened.result()
    return found


def open_for_business(boxes: Boxes, merchant: str) -> None:
    """Smoke-tested, with a server key for the shop and an agreement with a publisher."""
    boxes.urls[merchant] = boxes.operator.box("smoke", merchant)["url"]
    boxes.keys[merchant] = boxes.operator.box("keys", "new", merchant, "--name", "shop", "--scope", "server")["key"]
    onboard(boxes, merchant)


def onboard(boxes: Boxes, merchant: str) -> None:
    """Fund and authorise the box's key, sign the config's terms with both parties' own keys, register them."""
    operator, owner = boxes.operator, str(boxes.files[f"{merchant}-owner"])
    operator.box("signer", "fund", merchant, "--amount", "1", "--keystore", owner)
    assert operator.box("signer", "authorise", merchant, "--keystore", owner)["authorised"]
    account = "0x" + json.loads(boxes.files["publisher"].read_text())["address"]
    operator.box("publisher", "add", merchant, "slow-table", "--name", "The Slow Table", "--account", account)
    offer = f"{merchant}.offer.json"
    operator.box("agreement", "offer", merchant, "slow-table", "--out", offer)
    operator.box("agreement", "sign", offer, "--keystore", owner)
    operator.box("agreement", "sign", offer, "--keystore", str(boxes.files["publisher"]))
    operator.box("agreement", "register", merchant, offer, "--keystore", owner)


def keystore(wallet: Wallet, folder: Path) -> Path:
    """The wallet's key as its owner would keep it: encrypted."""
    encrypted: dict[str, Any] = Account.encrypt(
        bytes.fromhex(wallet.key_file.read_text().strip()[2:]), PASSWORD, kdf="pbkdf2", iterations=1_000
    )
    path = folder / f"{wallet.key_file.stem}.json"
    path.write_text(json.dumps(encrypted))
    return path
