"""Going back to the last release: what of a function has to be as it was for the old bundle to run. The seam is AWS's clients."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ops.aws import bundle, releases
from ops.aws.releases import Release
from ops.boxes.project import Project

THIS = f"python{sys.version_info.major}.{sys.version_info.minor}"
FUNCTION = {"name": "api_handler", "resource_type": "lambda_function", "lambda_arn": "the-function"}


class Aws:
    """Keeps what it was asked for, by the call's name."""

    def __init__(self) -> None:
        self.asked = dict[str, Any]()

    def __getattr__(self, call: str) -> Any:
        return lambda *_, **named: self.asked.update({call: named}) or self

    def wait(self, **_: Any) -> None: ...


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_an_older_bundle_gets_the_processor_and_the_python_that_it_was_built_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    """The release that failed may have been the first of another Python or processor."""
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "app.py").touch()
    (tmp_path / "chalicelib").mkdir()
    project, aws = Project(tmp_path), Aws()
    monkeypatch.setattr(releases, "client", lambda _: aws)
    project.write_deployed("acme", [FUNCTION, {"name": "rest_api", "resource_type": "rest_api", "rest_api_id": "api"}])
    package = bundle.package_file(project, architecture)
    package = package.with_name(package.name.replace(THIS, "python3.12"))
    package.parent.mkdir(parents=True)
    package.write_bytes(b"an older bundle")

    releases.go_back(project, Release("acme", "0", "0", str(package), "deployment", {"MERCHANT": "acme"}), "api")
    code, configuration = aws.asked["update_function_code"], aws.asked["update_function_configuration"]
    assert (code["ZipFile"], code["Architectures"]) == (b"an older bundle", [architecture])
    assert (configuration["Runtime"], configuration["Environment"]["Variables"]) == ("python3.12", {"MERCHANT": "acme"})
