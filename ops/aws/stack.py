"""A CloudFormation stack brought to what a template says, through change sets, so that what would change is known before it does."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from ops.aws.clients import client
from ops.local.process import PartFailed

READY = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed", "no changes")
WAIT_SECONDS = 1_200.0
POLL_SECONDS = 2.0

Say = Callable[[str], None]
Change = dict[str, str]


def describe(name: str) -> dict[str, Any] | None:
    """The stack, None where there is none."""
    try:
        found: dict[str, Any] = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if found["StackStatus"] in ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS") else found


def outputs(name: str) -> dict[str, str]:
    stack = describe(name)
    return {} if stack is None else {found["OutputKey"]: found["OutputValue"] for found in stack.get("Outputs", [])}


def bring_to(name: str, template: dict[str, Any], tags: dict[str, str], say: Say, *, dry_run: bool) -> list[Change]:
    """Create or update the stack; the changes as {action, resource, type}. With `dry_run` nothing is changed. Raises PartFailed."""
    cloud = client("cloudformation")
    exists = describe(name) is not None
    change_set = f"box-{uuid.uuid4().hex[:12]}"
    cloud.create_change_set(
        StackName=name,
        ChangeSetName=change_set,
        ChangeSetType="UPDATE" if exists else "CREATE",
        TemplateBody=json.dumps(template, separators=(",", ":")),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    changes = _planned(name, change_set)
    if dry_run or not changes:
        cloud.delete_change_set(StackName=name, ChangeSetName=change_set)
        if not exists:
            cloud.delete_stack(StackName=name)
        return changes
    cloud.execute_change_set(StackName=name, ChangeSetName=change_set)
    say(f"{len(changes)} changes to {name}")
    _wait(name)
    cloud.update_termination_protection(StackName=name, EnableTerminationProtection=True)
    return changes


def _planned(name: str, change_set: str) -> list[Change]:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = client("cloudformation").describe_change_set(StackName=name, ChangeSetName=change_set)
        if found["Status"] == "CREATE_COMPLETE":
            planned = (change["ResourceChange"] for change in found["Changes"])
            return [
                {"action": one["Action"].lower(), "resource": one["LogicalResourceId"], "type": one["ResourceType"]}
                for one in planned
            ]
        if found["Status"] == "FAILED":
            reason = str(found.get("StatusReason", ""))
            if any(phrase in reason for phrase in NOTHING_TO_DO):
                return []
            raise PartFailed(f"CloudFormation refuses the changes to {name}: {reason}")
        if time.monotonic() > deadline:
            raise PartFailed(f"CloudFormation did not plan the changes to {name} in {WAIT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS / 10)


def _wait(name: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    pause = 0.2
    while True:
        stack = describe(name)
        status = "gone" if stack is None else stack["StackStatus"]
        if status in READY - {"UPDATE_ROLLBACK_COMPLETE"}:
            return
        if not status.endswith("_IN_PROGRESS"):
            raise PartFailed(f"{name} is {status}: {_first_failure(name)}")
        if time.monotonic() > deadline:
            raise PartFailed(f"{name} is still {status} after {WAIT_SECONDS:.0f} s")
        time.sleep(pause)
        pause = min(POLL_SECONDS, pause * 1.5)


def _first_failure(name: str) -> str:
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return (
        "see its events"
        if not failed
        else f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', '')}"
    )


def remove(name: str, tables: list[str], say: Say) -> bool:
    """The stack and all in it, protection taken off first. False when there was none. Raises PartFailed."""
    if describe(name) is None:
        return False
    cloud, dynamodb = client("cloudformation"), client("dynamodb")
    cloud.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    for table in tables:
        try:
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        except dynamodb.exceptions.ResourceNotFoundException:
            continue
    say(f"deleting {name}")
    cloud.delete_stack(StackName=name)
    deadline = time.monotonic() + WAIT_SECONDS
    while (stack := describe(name)) is not None:
        if stack["StackStatus"] == "DELETE_FAILED":
            raise PartFailed(f"{name} could not be deleted: {_first_failure(name)}")
        if time.monotonic() > deadline:
            raise PartFailed(f"{name} is not deleted after {WAIT_SECONDS:.0f} s")
        time.sleep(0.5)
    return True
