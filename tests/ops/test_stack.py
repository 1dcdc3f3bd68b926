"""A stack in the states that AWS knows and a local one does not play: made in vain, still being changed, with failures behind it.

The seam is the clients of AWS; what CloudFormation does by itself is told here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ops.aws import stack
from ops.local.process import PartFailed

NAME, STACK_ID = "merchant-box-acme", "arn:aws:cloudformation:eu-west-1:1:stack/merchant-box-acme/1"
Row = dict[str, str]


class Aws:
    """The stack's status at each look, the last of them for good; and in `did` what was asked of AWS that changes anything."""

    def __init__(self, *statuses: str) -> None:
        self.statuses, self.did = list(statuses), list[str]()
        self.resources, self.events = list[Row](), list[Row]()
        self.exceptions = boto3.client("dynamodb", region_name="eu-west-1").exceptions

    def describe_stacks(self, **_: Any) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == "gone":
            told = {"Error": {"Code": "ValidationError", "Message": f"Stack with id {NAME} does not exist"}}
            raise ClientError(told, "DescribeStacks")
        return {"Stacks": [{"StackStatus": status}]}

    def create_change_set(self, ChangeSetType: str, **_: Any) -> None:
        self.did.append(f"plan {ChangeSetType}")

    def describe_change_set(self, **_: Any) -> Any:
        change = {"Action": "Add", "LogicalResourceId": "Table", "ResourceType": "AWS::DynamoDB::Table"}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": change}]}

    def execute_change_set(self, **_: Any) -> None:
        self.did.append("execute")

    def delete_change_set(self, **_: Any) -> None: ...

    def delete_stack(self, **_: Any) -> None:
        self.did.append("delete")

    def update_termination_protection(self, **_: Any) -> None: ...

    def describe_stack_resources(self, **_: Any) -> Any:
        return {"StackResources": self.resources}

    def update_table(self, TableName: str, **_: Any) -> None:
        self.did.append(f"unprotect {TableName}")

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Iterator[Any]:
        """The events, newest first, two a page."""
        for start in range(0, len(self.events), 2):
            yield {"StackEvents": self.events[start : start + 2]}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(stack, "POLL_SECONDS", 0)
    return []


def bring(aws: Aws, said: list[str], monkeypatch: pytest.MonkeyPatch, *, dry_run: bool = False) -> list[stack.Change]:
    monkeypatch.setattr(stack, "client", lambda _: aws)
    return stack.bring_to(NAME, {"Resources": {}}, {}, said.append, dry_run=dry_run)


def table(name: str, status: str) -> Row:
    return {"ResourceType": "AWS::DynamoDB::Table", "PhysicalResourceId": name, "ResourceStatus": status}


def event(resource: str, status: str, reason: str = "") -> Row:
    physical = STACK_ID if resource == NAME else resource
    return {
        "StackId": STACK_ID,
        "PhysicalResourceId": physical,
        "LogicalResourceId": resource,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED"])
def test_a_stack_that_could_not_be_made_is_deleted_and_made_anew(
    said: list[str], monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """A table is protected from its first moment, so AWS cannot take it back; one that was there before is not the stack's."""
    aws = Aws(status, status, "gone", "CREATE_COMPLETE")
    aws.resources = [table("made", "DELETE_FAILED"), table("anothers", "CREATE_FAILED")]
    assert len(bring(aws, said, monkeypatch)) == 1
    assert aws.did == ["unprotect made", "delete", "plan CREATE", "execute"]


def test_a_dry_run_deletes_no_stack_that_could_not_be_made(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws("ROLLBACK_COMPLETE")
    with pytest.raises(PartFailed, match="its creation failed"):
        bring(aws, said, monkeypatch, dry_run=True)
    assert aws.did == []


def test_what_a_killed_command_had_aws_begin_is_waited_for(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
    bring(aws, said, monkeypatch)
    assert aws.did == ["plan UPDATE", "execute"]
    assert said[0] == f"{NAME} is UPDATE_IN_PROGRESS: waiting for its end"


def test_the_failure_that_is_told_is_the_first_of_this_operation_and_of_no_earlier_one(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = Aws("UPDATE_COMPLETE", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
    aws.events = [
        event(NAME, "UPDATE_ROLLBACK_COMPLETE"),
        event("Queue", "UPDATE_FAILED", "cancelled"),
        event("Key", "CREATE_FAILED", "too many keys"),
        event(NAME, "UPDATE_IN_PROGRESS"),
        event(NAME, "UPDATE_ROLLBACK_COMPLETE"),
        event("Table", "UPDATE_FAILED", "a year ago"),
        event(NAME, "UPDATE_IN_PROGRESS"),
    ]
    with pytest.raises(PartFailed, match="UPDATE_ROLLBACK_COMPLETE: Key: too many keys"):
        bring(aws, said, monkeypatch)
