"""A merchant's box as an operator's command opens it: the same stores that its functions use, with the operator's credentials.

`DYNAMODB_URL` and `RPC_URLS` in the environment lead to a box on this machine instead (`box up` prints both).
"""

from __future__ import annotations

import os

from chalicelib.bootstrap import Box
from chalicelib.settings import Settings
from ops.aws.names import Names
from ops.boxes.output import WrongInput
from ops.boxes.project import Project
from ops.boxes.stages import environment, read_stage


def open_box(project: Project, merchant: str) -> Box:
    """Raises WrongInput when there is no such merchant."""
    from ops.aws.provision import config_of

    config = config_of(project, merchant)
    stage = read_stage(project, merchant, config.signer.kind)
    local = os.environ.get("DYNAMODB_URL") or None
    if stage is None and local is None:
        raise WrongInput(f"{merchant} has no stage: run `box new {merchant} --keep-config`")
    held = environment(stage) if stage is not None else {}
    names = Names(merchant)
    file = os.environ.get("CONFIG_FILE")
    return Box(
        Settings(
            merchant=merchant,
            config_file=project.root / file if file else project.config_file(merchant),
            table_prefix=held.get("TABLE_PREFIX", names.prefix),
            region=os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
            or (stage.region if stage else "")
            or "eu-west-1",
            dynamodb_url=local,
            rpc_urls=tuple(url for url in os.environ.get("RPC_URLS", "").split(",") if url),
            signer_key_file=None,
            kms_key_id=held.get("KMS_KEY_ID"),
            parameter_path=held.get("PARAMETER_PATH", names.parameters),
            conversions_stream=held.get("CONVERSIONS_STREAM_ARN", ""),
            signer_address=held.get("SIGNER_ADDRESS") or os.environ.get("SIGNER_ADDRESS"),
            crash_at=None,
        )
    )
