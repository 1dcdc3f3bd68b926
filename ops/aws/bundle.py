"""The zip that every function of a box runs: built by Chalice, kept per release, looked into."""

from __future__ import annotations

import fcntl
import io
import json
import os
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

from boto3.session import Session
from botocore.exceptions import ClientError

from ops.aws.clients import client
from ops.aws.names import Names
from ops.aws.stack import Say
from ops.boxes.output import Failed
from ops.boxes.project import Project

ZIPPED_LIMIT = 40_000_000
UNZIPPED_LIMIT = 120_000_000
"""Ours; Lambda's own are 50 MB for a direct upload and 250 MB."""


NO_WHEELS = "Could not install dependencies:"
KEPT_SECONDS = 7 * 86_400


def run_chalice(project: Project, *arguments: str) -> str:
    """What the command printed. Raises Failed with its last lines, which name the mistake."""
    command = [str(Path(sys.executable).with_name("chalice")), *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if Session().region_name is None:  # to package there has to be one, whichever; it would take a profile's place
        environment["AWS_DEFAULT_REGION"] = "eu-west-1"
    done = subprocess.run(
        command,
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=project.locks,
    )
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(f"chalice {arguments[0]} failed:\n" + "\n".join(told[-12:]))
    return done.stdout


def package_file(project: Project, architecture: str) -> Path:
    """Where Chalice keeps the zip of the project as it is now."""
    from chalice.deploy.packager import LambdaDeploymentPackager
    from chalice.utils import OSUtils

    packager = LambdaDeploymentPackager(OSUtils(), None, None, architecture)  # type: ignore[arg-type]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(packager.deployment_package_filename(str(project.root), version))


def build(project: Project, merchant: str, architecture: str, say: Say) -> None:
    """The zip that `chalice deploy` will find. One process builds it, whoever else needs it meanwhile waits: they would write one file.
    Raises Failed when it is larger than our functions should carry."""
    package = package_file(project, architecture)
    package.parent.mkdir(parents=True, exist_ok=True)
    with (package.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if package.exists() and not zipfile.is_zipfile(package):
            package.unlink()  # a build that was killed left half of it, which Chalice would take for whole
        if not package.exists():
            _build(project, merchant, package)
        _forget_older(project, package)
    zipped, unzipped = sizes(package)
    told = f"the bundle has {zipped / 1e6:.1f} MB zipped, {unzipped / 1e6:.1f} MB unzipped"
    if zipped > ZIPPED_LIMIT or unzipped > UNZIPPED_LIMIT:
        most = f"{ZIPPED_LIMIT / 1e6:.0f} and {UNZIPPED_LIMIT / 1e6:.0f} MB"
        raise Failed(f"{told}: more than {most}. Take out of requirements.txt or chalicelib/ what no function needs")
    say(f"{merchant}: {told}")


def _build(project: Project, merchant: str, package: Path) -> None:
    """Chalice leaves out what there is no wheel of for Lambda, says so, and ends well. Raises Failed then, and leaves no bundle."""
    told = run_chalice(project, "package", "--stage", merchant, str(package.parent / "warm"))
    if NO_WHEELS in told:
        package.unlink(missing_ok=True)
        missing = told.partition(NO_WHEELS)[2].partition("You will")[0].split()
        raise Failed(
            f"there is no wheel for Lambda of {', '.join(missing)}: pin versions in requirements.txt that have one"
        )


def _forget_older(project: Project, package: Path) -> None:
    """Every edit makes a bundle of 35 MB. Kept are those that a box runs, which a roll-back goes back to, and whatever is young."""
    kept = {package, *(Path(json.loads(file.read_text())["package"]) for file in project.releases.glob("*.json"))}
    for file in package.parent.glob("*.zip"):
        if file not in kept and file.stat().st_mtime < time.time() - KEPT_SECONDS:
            file.unlink()


def sizes(package: Path) -> tuple[int, int]:
    """(zipped, unzipped) in bytes."""
    with zipfile.ZipFile(package) as held:
        return package.stat().st_size, sum(entry.file_size for entry in held.infolist())


def deployed_config(project: Project, merchant: str) -> bytes | None:
    """The config in the bundle that AWS runs now; None when the merchant is not deployed."""
    if not project.deployed(merchant):
        return None
    try:
        found = client("lambda").get_function(FunctionName=Names(merchant).function("api_handler"))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    with urllib.request.urlopen(found["Code"]["Location"], timeout=60) as answer:
        held = zipfile.ZipFile(io.BytesIO(answer.read()))
    return held.read(f"configs/{merchant}.json")
