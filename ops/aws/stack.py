"""A CloudFormation stack brought to what a template says, through change sets, so that what would change is known before it does."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from ops.aws.clients import client
from ops.local.process import PartFailed

READY = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed", "no changes")
NEVER_MADE = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
"""Its creation failed. AWS changes such a stack no more; it can only be deleted."""
BEGINS = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}
"""Of the stack itself: the first event of each operation on it."""
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
    exists = _stands(name, say, dry_run=dry_run)
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


def _stands(name: str, say: Say, *, dry_run: bool) -> bool:
    """Whether there is a stack to update, as soon as AWS is through with what a `box` that was killed had it do. Raises PartFailed."""
    stack = _settled(name, say)
    if stack is None or stack["StackStatus"] not in NEVER_MADE:
        return stack is not None
    if dry_run:
        raise PartFailed(f"{name} is {stack['StackStatus']}: its creation failed. Without --dry-run it is made anew")
    remove(name, say)
    return False


def _settled(name: str, say: Say) -> dict[str, Any] | None:
    deadline = time.monotonic() + WAIT_SECONDS
    told = False
    while (stack := describe(name)) is not None and stack["StackStatus"].endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise PartFailed(f"{name} is still {stack['StackStatus']} after {WAIT_SECONDS:.0f} s")
        if not told:
            say(f"{name} is {stack['StackStatus']}: waiting for its end")
        told = True
        time.sleep(POLL_SECONDS)
    return stack


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
    """What went wrong first in the last operation: the events, newest first, are those of the stack's whole life."""
    pages = client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=name)
    newest_first = (event for page in pages for event in page["StackEvents"])
    last = takewhile(lambda event: not _begins(event), newest_first)
    failed = [event for event in last if event["ResourceStatus"].endswith("FAILED")]
    return (
        "see its events"
        if not failed
        else f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', '')}"
    )


def _begins(event: dict[str, Any]) -> bool:
    return event.get("PhysicalResourceId") == event["StackId"] and event["ResourceStatus"] in BEGINS


def remove(name: str, say: Say) -> bool:
    """The stack and all in it, protection taken off first. False when there was none. Raises PartFailed."""
    if describe(name) is None:
        return False
    cloud, dynamodb = client("cloudformation"), client("dynamodb")
    cloud.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    for table in _tables(name):
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


def _tables(name: str) -> list[str]:
    """Those that the stack made - not one that was there before, and made its creation fail."""
    held = client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    tables = [one for one in held if one["ResourceType"] == "AWS::DynamoDB::Table"]
    return [
        one["PhysicalResourceId"] for one in tables if one["ResourceStatus"] not in ("CREATE_FAILED", "DELETE_COMPLETE")
    ]
