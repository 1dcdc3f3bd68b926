"""What was last deployed and passed its smoke test, per merchant: what a roll-back goes back to."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ops.aws.clients import client
from ops.boxes.project import Project, write


@dataclass(frozen=True)
class Release:
    """`package` is the bundle's file, `deployment` the gateway's deployment, `at` seconds since 1970."""

    merchant: str
    version: str
    config_hash: str
    package: str
    deployment: str
    environment: dict[str, str]
    at: int = 0


def _file(project: Project, merchant: str) -> Path:
    return project.releases / f"{merchant}.json"


def last(project: Project, merchant: str) -> Release | None:
    """None before the first, and when its bundle is gone: then there is nothing to go back to."""
    file = _file(project, merchant)
    if not file.exists():
        return None
    found = Release(**json.loads(file.read_text()))
    return found if Path(found.package).exists() else None


def keep(project: Project, release: Release) -> None:
    held = {**asdict(release), "at": int(time.time())}
    write(_file(project, release.merchant), json.dumps(held, indent=1) + "\n")


def forget(project: Project, merchant: str) -> None:
    _file(project, merchant).unlink(missing_ok=True)


def go_back(project: Project, release: Release, stage: str) -> None:
    """Code, environment and gateway deployment of every function as they were. The tables stay: every release reads older data."""
    functions = client("lambda")
    code = Path(release.package).read_bytes()
    runtime, architecture = _built_for(release.package)
    deployed = project.deployed(release.merchant)
    for resource in deployed.values():
        if resource["resource_type"] != "lambda_function":
            continue
        name = resource["lambda_arn"]
        functions.update_function_code(FunctionName=name, ZipFile=code, Architectures=[architecture])
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
        functions.update_function_configuration(
            FunctionName=name, Runtime=runtime, Environment={"Variables": release.environment}
        )
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    client("apigateway").update_stage(
        restApiId=deployed["rest_api"]["rest_api_id"],
        stageName=stage,
        patchOperations=[{"op": "replace", "path": "/deploymentId", "value": release.deployment}],
    )


def _built_for(package: str) -> tuple[str, str]:
    """(runtime, architecture) of a bundle, by the name that Chalice gave it: what is compiled in it runs on nothing else."""
    _, _, told = Path(package).stem.partition("-")
    runtime, _, architecture = told.partition("-")
    return runtime, architecture or "x86_64"
