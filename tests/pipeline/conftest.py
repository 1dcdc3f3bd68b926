"""A ground for each test: its own tables in the shared dynoxide, its own merchant and contract on a node that mines when told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.local.dynoxide import Dynoxide
from tests.rig.ground import Ground, node


@pytest.fixture
def node_url(tmp_path: Path) -> Iterator[str]:
    """A node of the test's own: others would see its reorganisations and its clock."""
    part, url = node(tmp_path)
    yield url
    part.stop()


@pytest.fixture
def grounds(tmp_path: Path, dynamodb: Dynoxide, node_url: str) -> Iterator[Callable[..., Ground]]:
    """Makes grounds with other options than the usual."""
    made: list[Ground] = []

    def make(**options: Any) -> Ground:
        made.append(Ground(tmp_path, dynamodb.url, node_url, **options))
        return made[-1]

    yield make
    for ground in made:
        ground.close()


@pytest.fixture
def ground(grounds: Callable[..., Ground]) -> Ground:
    return grounds()
