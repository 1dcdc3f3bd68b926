"""All that can be wrong before anything is sent to AWS: each config, its stage, its policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chalicelib.adapters import time_zones
from chalicelib.domain.config import Config, ConfigError
from chalicelib.domain.config_check import check
from ops.aws.functions import names as function_names
from ops.aws.names import longest_merchant
from ops.boxes.project import Project
from ops.boxes.stages import policy_files, read_stage

STAGES = ".chalice/config.json"


def mistakes(project: Project, merchants: Sequence[str]) -> list[ConfigError]:
    """In the order of `merchants`. Reads files only."""
    return [mistake for merchant in merchants for mistake in _mistakes(project, merchant)]


def _mistakes(project: Project, merchant: str) -> Iterator[ConfigError]:
    file = project.config_file(merchant)
    shown = f"configs/{file.name}"
    if not file.exists():
        yield ConfigError(shown, "$", "there is no such file", f"Run `box new {merchant}`")
        return
    config, found = check(file.read_bytes(), shown, merchant, time_zones.known())
    yield from found
    if config is None:
        return
    longest = longest_merchant(function_names())
    if len(merchant) > longest:
        told = f"'{merchant}' has {len(merchant)} characters"
        yield ConfigError(shown, "$.merchant.id", told, f"AWS's names leave room for {longest}")
    yield from _stage_mistakes(project, config)


def _stage_mistakes(project: Project, config: Config) -> Iterator[ConfigError]:
    merchant = config.merchant.id
    where = f"$.stages.{merchant}"
    stage = read_stage(project, merchant, config.signer)
    if stage is None:
        yield ConfigError(STAGES, where, "the merchant has no stage", f"Run `box new {merchant} --keep-config`")
        return
    entry = project.stage(merchant) or {}
    missing = [name for name in function_names() if name not in entry.get("lambda_functions", {})]
    if missing:
        told = f"functions without a policy: {', '.join(missing)}"
        yield ConfigError(STAGES, f"{where}.lambda_functions", told, f"Run `box new {merchant} --keep-config`")
    for name, text in policy_files(stage).items():
        file = project.policies(merchant) / name
        if not file.exists() or file.read_text() != text:
            shown = f".chalice/policies/{merchant}/{name}"
            yield ConfigError(
                shown, "$", "it is not what ops/aws/policies.py says", f"Run `box new {merchant} --keep-config`"
            )
