"""A merchant's stage in .chalice/config.json, and its policies: generated, so that 200 of them cannot drift apart.

What an operator set by hand on a stage (memory, tags, a custom domain …) stays; the environment, the functions and their policies are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.domain.config import Signer
from chalicelib.settings import listed
from ops.aws.functions import Function, functions
from ops.aws.names import APP, Names
from ops.aws.policies import Place, as_file, policy
from ops.boxes.project import Project, write

COMMON: dict[str, Any] = {
    "version": "2.0",
    "app_name": APP,
    "autogen_policy": False,
    "automatic_layer": False,
    "api_gateway_stage": "api",
    "api_gateway_endpoint_type": "REGIONAL",
    "minimum_compression_size": 1024,
    "lambda_memory_size": 1024,
    "lambda_timeout": 60,
}
"""Memory: below 1 GB a Lambda has so little CPU that a cold start doubles. REGIONAL: the quota of EDGE endpoints is 120 an account."""
GATEWAY_SECONDS = 29
"""API Gateway waits no longer for an answer."""


def signers_at_once(signer: Signer) -> int:
    """Reserved concurrency of the stream's function: a key's lease admits one process at a time, so more than there are keys would wait
    and be paid for; and under load each key may have a process to itself."""
    return signer.keys


@dataclass(frozen=True)
class Stage:
    """`architecture` is x86_64 or arm64. The rest is known once the box is provisioned, and empty before."""

    merchant: str
    signer: Signer
    architecture: str
    conversions_stream: str = ""
    signer_addresses: tuple[str, ...] = ()
    region: str = ""
    account: str = ""
    key_arns: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        return Place(self.region or "*", self.account or "*", self.key_arns)


def write_stage(project: Project, stage: Stage) -> None:
    """The stage's entry and its policies, as they should be now."""
    with project.changing_stages() as held:
        kept = {**COMMON, **{name: value for name, value in held.items() if name != "stages"}}
        stages = held.get("stages", {})
        stages[stage.merchant] = _entry(stage, stages.get(stage.merchant, {}))
        held.clear()
        held.update({**kept, "stages": dict(sorted(stages.items()))})
    for name, text in policy_files(stage).items():
        write(project.policies(stage.merchant) / name, text)


def policy_files(stage: Stage) -> dict[str, str]:
    names = Names(stage.merchant)
    return {f"{f.name}.json": as_file(policy(names, f, stage.signer, stage.place)) for f in functions()}


def remove_stage(project: Project, merchant: str) -> None:
    with project.changing_stages() as held:
        held.get("stages", {}).pop(merchant, None)
    folder = project.policies(merchant)
    for file in folder.glob("*.json"):
        file.unlink()
    if folder.exists():
        folder.rmdir()


def read_stage(project: Project, merchant: str, signer: Signer) -> Stage | None:
    """The stage as it was last written; None when the merchant has none."""
    entry = project.stage(merchant)
    if entry is None:
        return None
    held = entry.get("environment_variables", {})
    stream = held.get("CONVERSIONS_STREAM_ARN", "")
    parts = stream.split(":")
    region, account = (parts[3], parts[4]) if len(parts) > 5 else ("", "")
    return Stage(
        merchant=merchant,
        signer=signer,
        architecture=entry.get("lambda_architecture", "x86_64"),
        conversions_stream=stream,
        signer_addresses=listed(held.get("SIGNER_ADDRESS", "")),
        region=region,
        account=account,
        key_arns=tuple(key for key in listed(held.get("KMS_KEY_ID", "")) if key.startswith("arn:")),
    )


def environment(stage: Stage) -> dict[str, str]:
    """What chalicelib.settings reads. No secret: those stand in the parameter store, under PARAMETER_PATH."""
    names = Names(stage.merchant)
    held = {
        "MERCHANT": stage.merchant,
        "TABLE_PREFIX": names.prefix,
        "PARAMETER_PATH": names.parameters,
        "CONVERSIONS_STREAM_ARN": stage.conversions_stream,
        "SIGNER_ADDRESS": ",".join(stage.signer_addresses),
    }
    if stage.signer.kind == "kms":
        aliases = [names.key_alias(number) for number in range(1, stage.signer.keys + 1)]
        held["KMS_KEY_ID"] = ",".join(stage.key_arns or aliases)
    return held


def _entry(stage: Stage, kept: dict[str, Any]) -> dict[str, Any]:
    return {
        **kept,
        "lambda_architecture": stage.architecture,
        "tags": {**kept.get("tags", {}), "merchant-box": stage.merchant},
        "environment_variables": {**kept.get("environment_variables", {}), **environment(stage)},
        "lambda_functions": {f.name: _function(stage, f, kept) for f in functions()},
    }


def _function(stage: Stage, function: Function, kept: dict[str, Any]) -> dict[str, Any]:
    by_hand = kept.get("lambda_functions", {}).get(function.name, {})
    made: dict[str, Any] = {"iam_policy_file": f"policies/{stage.merchant}/{function.name}.json"}
    if function.kind == "web":
        made["lambda_timeout"] = GATEWAY_SECONDS
    if function.kind == "stream":
        made["reserved_concurrency"] = signers_at_once(stage.signer)
    return {**made, **by_hand, "iam_policy_file": made["iam_policy_file"]}
