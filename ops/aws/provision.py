"""`box provision`: everything a box stands on, brought to what it should be. Doing it again changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from chalicelib.adapters.keystore import parameters
from chalicelib.domain.config import Config, parse
from ops.aws import secrets, stack
from ops.aws.clients import account, region
from ops.aws.names import Names
from ops.aws.signing_keys import kms_address, kms_key
from ops.aws.stack import Change, Say
from ops.aws.template import LOW_BALANCE, template
from ops.boxes.given import is_web_address
from ops.boxes.output import Failed, WrongInput
from ops.boxes.project import Project
from ops.boxes.stages import Stage, read_stage, write_stage

LOW_BALANCE_GWEI = 10_000_000
"""0.01 of the network's coin: at 1,400 gas a conversion and 1 gwei that is some 7,000 conversions."""


@dataclass(frozen=True)
class Provisioned:
    merchant: str
    changes: list[Change]
    signers: tuple[str, ...]
    """Addresses of the operational keys."""
    stream: str
    secrets: list[str] = field(default_factory=list)
    """Names of the parameters written now, never their values."""


def provision(
    project: Project,
    merchant: str,
    say: Say,
    *,
    rpc_urls: str | None = None,
    low_balance_gwei: int | None = None,
    dry_run: bool = False,
) -> Provisioned:
    """`rpc_urls`, by commas, are put into the parameter store; needed the first time. `low_balance_gwei` None leaves it as it is.
    Raises WrongInput, Failed, PartFailed."""
    config = config_of(project, merchant)
    names = Names(merchant)
    stage = read_stage(project, merchant, config.signer)
    if stage is None:
        raise WrongInput(f"{merchant} has no stage: run `box new {merchant} --keep-config`")
    same_account(stage)
    if rpc_urls:
        _sound(rpc_urls)
    elif not dry_run and secrets.read(names, secrets.RPC_URLS) is None:
        raise WrongInput("give the network's RPC address once: --rpc https://… (it is kept in the parameter store)")
    if low_balance_gwei is None:
        low_balance_gwei = int(stack.outputs(names.prefix).get(LOW_BALANCE, LOW_BALANCE_GWEI))
    made = template(merchant, config.signer.kind, low_balance_gwei)
    changes = stack.bring_to(names.prefix, made, {"merchant-box": merchant}, say, dry_run=dry_run)
    if dry_run:
        return Provisioned(
            merchant, changes, stage.signer_addresses, stage.conversions_stream, _missing_secrets(names, config)
        )
    outputs = stack.outputs(names.prefix)
    written = _put_secrets(names, config, rpc_urls)
    stage = replace(
        stage,
        conversions_stream=outputs["ConversionsStream"],
        key_arns=_kms_keys(names, config.signer.keys) if config.signer.kind == "kms" else (),
        region=region(),
        account=account(),
    )
    stage = replace(stage, signer_addresses=_signer_addresses(names, config, stage))
    write_stage(project, stage)
    return Provisioned(merchant, changes, stage.signer_addresses, stage.conversions_stream, written)


def config_of(project: Project, merchant: str) -> Config:
    """Raises WrongInput."""
    from chalicelib.domain.config import ConfigError

    file = project.config_file(merchant)
    if not file.exists():
        raise WrongInput(f"there is no configs/{file.name}: run `box new {merchant}`")
    try:
        return parse(file.read_bytes(), f"configs/{file.name}")
    except ConfigError as error:
        raise WrongInput(str(error)) from None


def same_account(stage: Stage) -> None:
    """A stage that stands in one account is not provisioned into another by a forgotten profile, nor looked for there. Raises Failed."""
    if stage.account and (stage.region, stage.account) != (here := (region(), account())):
        raise Failed(
            f"{stage.merchant} stands in {stage.region}, account {stage.account}; these credentials are for {here[0]}, {here[1]}. "
            f"Use its profile, or move the box (`box new {stage.merchant} --keep-config --elsewhere`): docs/operations.md, 'Region gone'"
        )


def _sound(rpc_urls: str) -> None:
    """They may hold API keys, so none is repeated. Raises WrongInput."""
    for number, url in enumerate(rpc_urls.split(","), start=1):
        if not is_web_address(url.strip()):
            raise WrongInput(
                f"number {number} of the RPC addresses is no address: write each whole, such as https://rpc.example/KEY"
            )


def _missing_secrets(names: Names, config: Config) -> list[str]:
    keystores = config.signer.keys if config.signer.kind == "keystore" else 0
    wanted = [secrets.RPC_URLS, *(name for number in range(1, keystores + 1) for name in parameters(number))]
    return [name for name in wanted if secrets.read(names, name) is None]


def _put_secrets(names: Names, config: Config, rpc_urls: str | None) -> list[str]:
    missing = _missing_secrets(names, config)
    written = []
    if rpc_urls:
        secrets.put(names, secrets.RPC_URLS, rpc_urls)
        written.append(secrets.RPC_URLS)
    for file, password in map(parameters, range(1, config.signer.keys + 1)):
        if file in missing:
            secrets.put_keystore(names, file, password)
            written += [password, file]
    return written


def _kms_keys(names: Names, keys: int) -> tuple[str, ...]:
    """The ARNs behind the aliases: after a rotation another key than the stack's. Of the further ones, each that is missing is made."""
    return tuple(kms_key(names, names.key_alias(number)) for number in range(1, keys + 1))


def _signer_addresses(names: Names, config: Config, stage: Stage) -> tuple[str, ...]:
    """The public addresses of the operational keys."""
    if config.signer.kind == "keystore":
        kept = [secrets.read(names, parameters(number)[0]) for number in range(1, config.signer.keys + 1)]
        return tuple(secrets.keystore_address(text) for text in kept if text is not None)
    if config.signer.kind == "kms":
        return tuple(map(kms_address, stage.key_arns))
    return stage.signer_addresses
