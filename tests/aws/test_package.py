"""What `chalice package` puts together: everything the functions need, not more than Lambda should carry, and no mistake in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ops.aws.bundle import UNZIPPED_LIMIT, ZIPPED_LIMIT, sizes
from ops.aws.functions import names
from ops.aws.template import template
from ops.local.process import ROOT
from tests.aws.operating import Operator

STREAM = "arn:aws:dynamodb:eu-central-1:123456789012:table/merchant-box-{}-conversions/stream/2026-11-23T00:00:00.000"
AARCH64 = 183
"""In an ELF file's head: what machine it is for."""
COLD_START_SECONDS = 3.0
"""Of `import app` without bytecode on a busy CI machine; on an idle one it takes a quarter of a second."""


def operator(tmp_path: Path, architecture: str = "x86_64") -> Operator:
    """With one merchant whose tables stand, as far as its stage knows."""
    made = Operator(tmp_path / "project", {"AWS_DEFAULT_REGION": "eu-central-1"})
    made.box(
        "new",
        "acme",
        *(
            "--name",
            "Acme",
            "--site",
            "https://acme.example/",
            "--account",
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        ),
        *(
            "--chain-id",
            "8453",
            "--contract",
            "0x5FbDB2315678afecb367f032d93F642f64180aa3",
            "--architecture",
            architecture,
        ),
    )
    set_stream(made, STREAM.format("acme"))
    return made


def set_stream(made: Operator, stream: str) -> None:
    file = made.project / ".chalice" / "config.json"
    held = json.loads(file.read_text())
    held["stages"]["acme"]["environment_variables"]["CONVERSIONS_STREAM_ARN"] = stream
    file.write_text(json.dumps(held))


def lint(*files: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), *map(str, files)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    done = operator(folder).chalice("package", "--stage", "acme", str(folder / "out"))
    assert done.returncode == 0, done.stderr
    return folder / "out"


def contents(out: Path) -> set[str]:
    with zipfile.ZipFile(out / "deployment.zip") as held:
        return set(held.namelist())


def test_the_bundle_carries_configs_code_contract_and_tag(packaged: Path) -> None:
    held = contents(packaged)
    for needed in (
        "app.py",
        "configs/acme.json",
        "chalicelib/adapters/affiliate_network.json",
        "chalicelib/web/tag/mtag.js",
        "web3/__init__.py",
        "pynamodb/models.py",
    ):
        assert needed in held
    assert not {name for name in held if name.startswith(("ops/", "tests/", "chalice/cli"))}


def test_the_bundle_stays_small(packaged: Path) -> None:
    zipped, unzipped = sizes(packaged / "deployment.zip")
    print(f"bundle x86_64: {zipped / 1e6:.1f} MB zipped, {unzipped / 1e6:.1f} MB unzipped")
    assert zipped < ZIPPED_LIMIT
    assert unzipped < UNZIPPED_LIMIT


def test_a_function_starts_from_the_bundle_alone(packaged: Path, tmp_path: Path) -> None:
    """With what is in the zip and nothing of this machine's site-packages, without bytecode, as in Lambda."""
    with zipfile.ZipFile(packaged / "deployment.zip") as held:
        held.extractall(tmp_path)
    code = "import sys, time; t = time.perf_counter(); import app; print(time.perf_counter() - t); print(*sys.modules)"
    environment = {"PATH": os.environ["PATH"], "MERCHANT": "acme", "CONVERSIONS_STREAM_ARN": STREAM.format("acme")}
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    done = subprocess.run(
        [str(base), "-B", "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, modules = done.stdout.splitlines()
    print(f"cold import of app: {float(seconds) * 1000:.0f} ms")
    assert float(seconds) < COLD_START_SECONDS
    assert not {"boto3", "pynamodb", "web3", "eth_account"} & set(modules.split())


def test_cloudformation_takes_both_templates(packaged: Path, tmp_path: Path) -> None:
    files = []
    for signer in ("kms", "keystore"):
        file = tmp_path / f"{signer}.json"
        file.write_text(json.dumps(template("acme", signer, 1)))
        files.append(file)
    lint(packaged / "sam.json", *files)


def test_every_function_has_a_role_and_no_role_may_do_everything(packaged: Path) -> None:
    resources: dict[str, Any] = json.loads((packaged / "sam.json").read_text())["Resources"]
    roles = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::IAM::Role"]
    functions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Serverless::Function"]
    assert len(functions) == len(names()) == len({json.dumps(one["Role"]) for one in functions})
    statements = [
        statement
        for role in roles
        for policy in role.get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert len(statements) > len(functions)
    for statement in statements:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        assert not [action for action in actions if "*" in action], statement
        resources_named = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
        assert "*" not in resources_named, statement


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_bundle_for_arm64_is_complete_too(tmp_path: Path) -> None:
    made = operator(tmp_path, "arm64")
    done = made.chalice("package", "--stage", "acme", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "Could not install" not in done.stdout + done.stderr
    zipped, unzipped = sizes(tmp_path / "out" / "deployment.zip")
    print(f"bundle arm64: {zipped / 1e6:.1f} MB zipped, {unzipped / 1e6:.1f} MB unzipped")
    assert zipped < ZIPPED_LIMIT
    assert unzipped < UNZIPPED_LIMIT
    with zipfile.ZipFile(tmp_path / "out" / "deployment.zip") as held:
        libraries = {name: held.read(name)[:20] for name in held.namelist() if ".so" in Path(name).suffixes}
    assert len(libraries) > 30
    assert {(head[:4], int.from_bytes(head[18:], "little")) for head in libraries.values()} == {(b"\x7fELF", AARCH64)}


def test_a_stage_without_its_stream_is_not_packaged(tmp_path: Path) -> None:
    made = operator(tmp_path)
    for stream in ("", STREAM.format("globex")):
        set_stream(made, stream)
        done = made.chalice("package", "--stage", "acme", str(tmp_path / "out"))
        assert done.returncode != 0
        assert "box provision acme" in done.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [("currency", "euro", "configs/schema.json"), ("timeZone", "Europe/Nowhere", "Europe/Amsterdam")],
)
def test_a_mistake_in_any_config_stops_the_package_with_file_path_and_remedy(
    tmp_path: Path, key: str, value: str, remedy: str
) -> None:
    made = operator(tmp_path)
    made.write_config("acme", {**made.config("acme"), key: value})
    done = made.chalice("package", "--stage", "acme", str(tmp_path / "out"))
    assert done.returncode != 0
    assert f"configs/acme.json: $.{key}" in done.stderr
    assert remedy in done.stderr


def test_the_committed_demo_stage_packages() -> None:
    """Up to the point where Chalice would fetch the dependencies: the app loads and its checks pass under this stage."""
    held = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]["demo"]
    code = "import sys; sys.argv = ['chalice', 'package']; import chalice.cli; import app; print(len(app.app.routes))"
    environment = {**os.environ, **held["environment_variables"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
    assert set(held["lambda_functions"]) == set(names())
