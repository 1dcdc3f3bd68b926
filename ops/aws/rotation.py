"""Replacing a box's operational key without a gap: both keys are authorised for a while, and no transaction is left behind.

    prepare   the next key exists beside the one in use           nothing else changes
    -         the merchant's account authorises it, somebody funds it
    finish    signing stops, what the old key sent becomes final, the box is given the next key, signing goes on
    -         the old key is revoked

Conversions are accepted all the while; they wait in the outbox for the seconds or minutes in which nothing is signed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chalicelib.adapters.keystore import parameters
from chalicelib.adapters.network import NoAnswer
from chalicelib.bootstrap import Box
from chalicelib.domain.config import Signer
from chalicelib.services.follow import follow, look
from chalicelib.services.turn import Turn
from ops.aws import releases, secrets
from ops.aws.clients import client
from ops.aws.names import Names
from ops.aws.policies import ACCESS
from ops.aws.provision import config_of
from ops.aws.signing_keys import NEXT, behind, kms_address, kms_key
from ops.boxes.opened import open_box
from ops.boxes.output import Failed, WrongInput, console
from ops.boxes.project import Project
from ops.boxes.stages import environment, policy_files, read_stage, signers_at_once, write_stage

DRAIN_SECONDS = 900.0
FOLLOWER = "confirm_on_schedule"
"""It goes on while the others stand still: it reports, and sees the transactions of other keys through."""
STREAM = "sign_on_change"


def prepare(project: Project, merchant: str, number: int = 1) -> dict[str, Any]:
    """The key that is to replace the `number`th: made now, or found. Raises WrongInput for a signer that cannot be rotated here."""
    names, signer = Names(merchant), config_of(project, merchant).signer
    _refuse_others(merchant, signer, number)
    address = _next_kms(names, number) if signer.kind == "kms" else _next_keystore(names, number)
    which = f" --key {number}" if number > 1 else ""
    told = [
        f"box signer authorise {merchant} --address {address} --keystore MERCHANT.json",
        f"box signer fund {merchant} --address {address} --keystore ANY.json",
        f"box signer rotate {merchant}{which} --finish",
    ]
    return {"merchant": merchant, "address": address, "next": told}


def _next_kms(names: Names, number: int) -> str:
    return kms_address(kms_key(names, names.key_alias(number) + NEXT))


def _next_keystore(names: Names, number: int) -> str:
    file, password = parameters(number)
    kept = secrets.read(names, file + NEXT)
    if kept is not None:
        return secrets.keystore_address(kept)
    return secrets.put_keystore(names, file + NEXT, password + NEXT)


def _refuse_others(merchant: str, signer: Signer, number: int) -> None:
    """Raises WrongInput for a key that there is not, or none of AWS's."""
    if number > signer.keys:
        raise WrongInput(f"{merchant} signs with {signer.keys} keys: there is no key {number}")
    if signer.kind == "local":
        raise WrongInput("the local signer keeps its key in a file on one machine: there is nothing to rotate on AWS")


def _is_prepared(names: Names, signer: Signer, number: int) -> bool:
    if signer.kind == "kms":
        return behind(names.key_alias(number) + NEXT) is not None
    return secrets.read(names, parameters(number)[0] + NEXT) is not None


def finish(project: Project, merchant: str, number: int = 1) -> dict[str, Any]:
    """Raises Failed while the next key may not act or cannot pay, or when the old one's transactions do not become final in time."""
    names, config = Names(merchant), config_of(project, merchant)
    _refuse_others(merchant, config.signer, number)
    if not _is_prepared(names, config.signer, number):
        raise Failed(
            f"no next key waits for {merchant}: `box signer rotate {merchant}` makes one. After a rotation that was broken off "
            f"at its very end this means that it is finished: `box signer show {merchant}`"
        )
    box = open_box(project, merchant)
    address = prepare(project, merchant, number)["address"]
    old = box.settings.signer_addresses[number - 1]
    if box.views.key_expiry(config.merchant.account, address) <= time.time():
        raise Failed(f"{address} is not authorised yet: box signer authorise {merchant} --address {address} …")
    if box.network.balance(address) == 0:
        raise Failed(f"{address} has no funds yet: box signer fund {merchant} --address {address} …")
    stopped = _stop_signing(names, config.signer)
    turn = Turn(box, old)
    try:
        _drain(box, old, turn)
        _switch(project, names, config.signer, number)
    finally:
        turn.let_go()
        _go_on(stopped)
    # At last, so that a rotation which was killed at whatever moment is finished by doing it again.
    _forget_next(names, config.signer, number)
    # A rotation killed in its last moment has left the next key in the stage: then which one was before is not known here.
    before = old if old != address else "0x…"
    return {
        "merchant": merchant,
        "address": address,
        "before": before,
        "next": [f"box signer revoke {merchant} --address {before} --keystore MERCHANT.json"],
    }


def _stop_signing(names: Names, signer: Signer) -> dict[str, int | None]:
    """Every function that may use the key stands still, but the follower. What each may do at once otherwise, by its name."""
    functions, before = client("lambda"), {}
    for name, access in ACCESS.items():
        if access.signs and name != FOLLOWER:
            function = names.function(name)
            found = functions.get_function_concurrency(FunctionName=function)
            at_once = found.get("ReservedConcurrentExecutions")
            # Still 0 after a rotation that was killed: then what the stage gives it, or it would stand still for good.
            before[function] = at_once or (signers_at_once(signer) if name == STREAM else None)
            functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    return before


def _go_on(before: dict[str, int | None]) -> None:
    for function, at_once in before.items():
        if at_once is None:
            client("lambda").delete_function_concurrency(FunctionName=function)
        else:
            client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=at_once)


def _drain(box: Box, address: str, turn: Turn) -> None:
    """Until all that the key sent is final. The turn is ours from here on: what the follower finds makes it send what waits, and while
    sales come in there would always be a transaction that is not final yet. So we follow them ourselves, and sign nothing."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        ours = turn.take()
        if ours:
            with suppress(NoAnswer):
                follow(box, replace(look(box, address), paused=True))
        left = len(box.transactions.open(address))
        if ours and not left:
            return
        if time.monotonic() > deadline:
            raise Failed(
                f"{left} transactions of {address} are not final after {DRAIN_SECONDS:.0f} s; it stays in use. Try again later"
            )
        console.print(f"{left} transactions of the old key are not final yet")
        time.sleep(3.0)


def _switch(project: Project, names: Names, signer: Signer, number: int) -> None:
    """The secrets or the alias, then each function's environment, at last the stage: a function that starts meanwhile finds either key
    whole, the follower of the wrong one finds nothing to do, and who does a broken switch again still reads which key was before."""
    stage = read_stage(project, names.merchant, signer)
    assert stage is not None, "an operated box has a stage"
    file, password = parameters(number)
    if signer.kind == "keystore":
        moved = {name: secrets.read(names, name + NEXT) for name in (password, file)}
        for name, value in moved.items():
            assert value is not None, "prepared above"
            secrets.put(names, name, value)
        address = secrets.keystore_address(str(moved[file]))
    else:
        arn = kms_key(names, names.key_alias(number) + NEXT)
        client("kms").update_alias(AliasName=names.key_alias(number), TargetKeyId=arn)
        stage = replace(stage, key_arns=_with(stage.key_arns, number, arn))
        address = kms_address(arn)
    stage = replace(stage, signer_addresses=_with(stage.signer_addresses, number, address))
    functions, policies = client("lambda"), policy_files(stage)
    for name in ACCESS:
        found = functions.get_function_configuration(FunctionName=names.function(name))["Environment"]["Variables"]
        variables = {**found, **environment(stage)}
        functions.update_function_configuration(FunctionName=names.function(name), Environment={"Variables": variables})
        functions.get_waiter("function_updated_v2").wait(FunctionName=names.function(name))
        _allow_key(names, name, policies[f"{name}.json"])
    write_stage(project, stage)
    last = releases.last(project, names.merchant)
    if last is not None:  # a roll-back must not bring the old key back
        releases.keep(project, replace(last, environment={**last.environment, **environment(stage)}))


def _forget_next(names: Names, signer: Signer, number: int) -> None:
    if signer.kind == "keystore":
        file, password = parameters(number)
        client("ssm").delete_parameters(Names=[f"{names.parameters}/{name}{NEXT}" for name in (file, password)])
    else:
        client("kms").delete_alias(AliasName=names.key_alias(number) + NEXT)


def _with(held: tuple[str, ...], number: int, value: str) -> tuple[str, ...]:
    return (*held[: number - 1], value, *held[number:])


def _allow_key(names: Names, name: str, document: str) -> None:
    """The role's policy names the key by its ARN, so it has to change with it."""
    iam, role = client("iam"), names.role(name)
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
