"""Secrets from the parameter store (SSM, decrypted): RPC URLs, the keystore and its password. Read once per process."""

from functools import cache

import boto3

from chalicelib.settings import Settings


@cache
def parameter(settings: Settings, name: str) -> str:
    """The value under `<parameter path>/<name>`. Raises botocore's ParameterNotFound where an operator has not set it."""
    client = boto3.client("ssm", region_name=settings.region)
    answer = client.get_parameter(Name=f"{settings.parameter_path}/{name}", WithDecryption=True)
    return str(answer["Parameter"]["Value"])
