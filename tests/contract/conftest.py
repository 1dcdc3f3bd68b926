"""A node whose clock these tests move, so none of the others may share it."""

from collections.abc import Iterator

import pytest

from ops.local import rpc
from ops.local.process import LOOPBACK, Part, free_port, npm_binary
from tests.contract.network_on_anvil import Merchant, Network


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a node with prague rules, a block a transaction, finality one block behind."""
    port = free_port(0)
    url = f"http://{LOOPBACK}:{port}"
    command = [
        npm_binary("@foundry-rs/anvil-linux-amd64/bin/anvil"),
        *("--quiet", "--host", LOOPBACK, "--port", str(port), "--chain-id", "31337"),
        *("--hardfork", "prague", "--slots-in-an-epoch", "1"),
    ]
    part = Part("anvil", command, tmp_path_factory.mktemp("contract-node"))
    part.wait_until(lambda: rpc.answers(url))
    yield url
    part.stop()


@pytest.fixture(scope="session")
def deployed(node: str) -> Network:
    return Network(node)


@pytest.fixture
def network(deployed: Network) -> Iterator[Network]:
    """The contract; what a test does to chain and clock is undone after it."""
    snapshot = deployed.rpc("evm_snapshot")
    yield deployed
    deployed.rpc("evm_revert", snapshot)


@pytest.fixture
def merchant(network: Network) -> Merchant:
    return Merchant(network)
