"""A merchant's box as an operator's command opens it: the same stores that its functions use, with the operator's credentials.

`DYNAMODB_URL` and `RPC_URLS` in the environment lead to a box on this machine instead; `box up` writes them, and what else is needed, to
`environment` in its data directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chalicelib.bootstrap import Box
from chalicelib.settings import read_settings
from ops.boxes.output import Failed, WrongInput
from ops.boxes.project import Project
from ops.boxes.stages import environment, read_stage


def open_box(project: Project, merchant: str, tables: str | None = None) -> Box:
    """`tables` is the prefix of others than its own, a restored backup's. Raises WrongInput when there is no such merchant."""
    from ops.aws.provision import config_of

    config = config_of(project, merchant)
    stage = read_stage(project, merchant, config.signer)
    local = os.environ.get("DYNAMODB_URL") or None
    if stage is None and local is None:
        raise WrongInput(f"{merchant} has no stage: run `box new {merchant} --keep-config`")
    held = environment(stage) if stage is not None else {"MERCHANT": merchant}
    held.setdefault("CONFIG_FILE", str(config_file(project, merchant)))
    if stage is not None and stage.region:
        held.setdefault("AWS_DEFAULT_REGION", os.environ.get("AWS_DEFAULT_REGION") or stage.region)
    if not held.get("SIGNER_ADDRESS"):
        held["SIGNER_ADDRESS"] = os.environ.get("SIGNER_ADDRESS", "")
    if tables:
        held["TABLE_PREFIX"] = tables
    # The one reader of the environment reads it as the stage's functions would see it.
    with _environment(held):
        return Box(read_settings())


def rpc_url(box: Box) -> str:
    """Where a party's own account sends its transactions. Raises Failed."""
    if not box.rpc_urls:
        raise Failed("no RPC address is known for this box: `box provision MERCHANT --rpc …`")
    return box.rpc_urls[0]


def config_file(project: Project, merchant: str) -> Path:
    """The one of the box on this machine, if that is what the environment leads to: it holds that box's own addresses."""
    named = os.environ.get("CONFIG_FILE")
    return Path(named) if named else project.config_file(merchant)


def local_url() -> str | None:
    """Where the box on this machine answers."""
    return os.environ.get("BOX_URL") or None


def local_merchant() -> str | None:
    """Whose box that is; None when the environment leads to none."""
    from chalicelib.domain.config import parse

    named = os.environ.get("CONFIG_FILE")
    return parse(Path(named).read_bytes(), named).merchant.id if named and local_url() else None


@contextmanager
def _environment(held: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(held)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
