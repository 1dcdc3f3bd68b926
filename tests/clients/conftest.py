from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import languages
from tests.clients.languages import Language
from tests.clients.recording_box import RecordingBox, recording_box


@pytest.fixture(scope="session")
def dotnet(tmp_path_factory: pytest.TempPathFactory) -> Language:
    return languages.dotnet(Path(tmp_path_factory.mktemp("dotnet")))


@pytest.fixture(params=["node", "php", "dotnet"])
def client(request: pytest.FixtureRequest) -> Language:
    if request.param == "dotnet":
        compiled: Language = request.getfixturevalue("dotnet")
        return compiled
    return languages.node() if request.param == "node" else languages.php()


@pytest.fixture
def recorder() -> Iterator[RecordingBox]:
    with recording_box() as box:
        yield box
