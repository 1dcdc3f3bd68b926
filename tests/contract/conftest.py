"""A node whose clock these tests move, so none of the others may share it."""

from collections.abc import Iterator

import pytest

from ops.local.anvil import throwaway_node
from tests.contract.network_on_anvil import Merchant, Network


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a node with prague rules, a block a transaction, finality one block behind."""
    part, url = throwaway_node(tmp_path_factory.mktemp("contract-node"))
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
