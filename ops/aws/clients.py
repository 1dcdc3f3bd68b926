"""AWS clients of the operator's machine. Credentials and region are whatever the AWS tools would take (profile, SSO, environment)."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(retries={"mode": "adaptive", "max_attempts": 10}, connect_timeout=5, read_timeout=90)
"""Many boxes at once run into the control planes' rates: wait and try again rather than fail."""


@cache
def client(service: str) -> Any:
    return boto3.client(service, config=_CONFIG)


def region() -> str:
    """Not STS's, which has one of its own for whoever named none. Raises NoRegionError."""
    return str(client("cloudformation").meta.region_name)


@cache
def account() -> str:
    return str(client("sts").get_caller_identity()["Account"])


def gateway_url(api_id: str, stage: str, at: str | None = None) -> str:
    """The address of an API deployed in the region `at`, by default this command's. With AWS_ENDPOINT_URL set (a local AWS) it is reached
    through that."""
    local = os.environ.get("AWS_ENDPOINT_URL")
    if local:
        return f"{local.rstrip('/')}/_aws/execute-api/{api_id}/{stage}"
    return f"https://{api_id}.execute-api.{at or region()}.amazonaws.com/{stage}"
