"""The only reader of the environment.

Every value comes from the stage's environment variables in `.chalice/config.json` (or from `box up` locally). No secret is read here:
RPC URLs and signer passwords are named by parameter and fetched by `adapters.secrets`, unless `RPC_URLS` is given, which only a local
box does.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VERSION = "0.1.0"


@dataclass(frozen=True)
class Settings:
    merchant: str
    config_file: Path
    table_prefix: str
    region: str
    dynamodb_url: str | None
    """Endpoint of an embedded DynamoDB; None means AWS."""
    rpc_urls: tuple[str, ...]
    """RPC endpoints in order of preference; empty means they are in the parameter store."""
    signer_key_files: tuple[Path, ...]
    """Where the `local` signer keeps its keys; only a local box has any."""
    kms_key_ids: tuple[str, ...]
    """The `kms` signer's keys, in the order of their lanes; names, ids or ARNs."""
    parameter_path: str
    """Prefix of this box's secrets in the parameter store, e.g. `/merchant-box/demo`."""
    conversions_stream: str
    """The ARN of the conversions table's stream; refused empty when packaging for AWS (`box config check`)."""
    signer_addresses: tuple[str, ...]
    """Public addresses of the operational keys, in the order of the keys, so that nothing has to load a key to show it."""
    allow_private_postbacks: bool = False
    """Lets postbacks go to loopback and private addresses: for a local box and the tests, never on AWS."""
    crash_at: str | None = None
    """A named point at which a test wants this process to die; never set elsewhere."""
    function: str | None = None
    """The Lambda function this runs as; None on any other machine."""

    @property
    def signer_address(self) -> str | None:
        """The first key's."""
        return next(iter(self.signer_addresses), None)


@cache
def settings() -> Settings:
    """This process's settings."""
    return read_settings()


def read_settings() -> Settings:
    """As the environment says now."""
    merchant = os.environ.get("MERCHANT", "demo")
    prefix = os.environ.get("TABLE_PREFIX", f"merchant-box-{merchant}")
    return Settings(
        merchant=merchant,
        config_file=Path(os.environ.get("CONFIG_FILE") or _bundled_config(merchant)),
        table_prefix=prefix,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "eu-west-1",
        dynamodb_url=os.environ.get("DYNAMODB_URL") or None,
        rpc_urls=listed(os.environ.get("RPC_URLS", "")),
        signer_key_files=tuple(map(Path, listed(os.environ.get("SIGNER_KEY_FILE", "")))),
        kms_key_ids=listed(os.environ.get("KMS_KEY_ID", "")),
        parameter_path=os.environ.get("PARAMETER_PATH", f"/merchant-box/{merchant}"),
        conversions_stream=os.environ.get(
            "CONVERSIONS_STREAM_ARN", f"arn:aws:dynamodb:local:000000000000:table/{prefix}-conversions/stream/local"
        ),
        signer_addresses=listed(os.environ.get("SIGNER_ADDRESS", "")),
        allow_private_postbacks=os.environ.get("ALLOW_PRIVATE_POSTBACKS") == "1",
        crash_at=os.environ.get("CRASH_AT"),
        function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME"),
    )


def listed(text: str) -> tuple[str, ...]:
    """By commas; nothing for an empty text."""
    return tuple(part for part in text.split(",") if part)


def _bundled_config(merchant: str) -> Path:
    """`vendor/configs` puts configs/ at the bundle's root, so the same relative path holds here and in Lambda."""
    return Path(__file__).parent.parent / "configs" / f"{merchant}.json"
