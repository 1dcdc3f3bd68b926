"""What each function may do, and nothing else: one IAM policy a function and box.

`ACCESS` is the one table to edit. tests/aws/test_policies.py holds it against the calls that the running code makes, both ways:
a call without a grant fails, and so does a grant that no call needs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.adapters.keystore import parameters
from chalicelib.domain.config import Signer
from ops.aws.functions import Function
from ops.aws.names import Names

ITEM_ACTIONS = {
    "get": ("GetItem",),
    "batchGet": ("BatchGetItem",),
    "put": ("PutItem",),
    "update": ("UpdateItem",),
    "delete": ("DeleteItem",),
    "query": ("Query",),
    "scan": ("Scan",),
    "check": ("ConditionCheckItem",),
}
"""TransactWriteItems is no action of its own: it needs those of its parts."""
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")


@dataclass(frozen=True)
class Access:
    """`tables`: what it does to the items of each; the indexes of a table may be queried where the table may.

    `parameters` are names under the box's path in the parameter store; `signs` = may use the signing keys: KMS's, or read the keystores.
    """

    tables: dict[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    signs: bool = False


_SIGNING = Access(
    tables={
        "clicks": "update batchGet query",
        "conversions": "get put batchGet query",
        "transactions": "get put batchGet query",
        "agreements": "get",
        "state": "get put update check",
    },
    parameters=("rpc-urls",),
    signs=True,
)

ACCESS: dict[str, Access] = {
    "api_handler": Access(
        tables={
            "agreements": "get query",
            "clicks": "get put update query",
            "conversions": "get put batchGet query",
            "deliveries": "get put query",
            "keys": "get update",
            "limits": "get put update",
            "postbacks": "get put delete query",
            "publishers": "get scan",
            "state": "get put update",
            "transactions": "get batchGet query",
            "vouchers": "get",
        }
    ),
    "notice_on_change": Access(tables={"notices": "update", "postbacks": "scan"}),
    "notify_on_schedule": Access(
        tables={
            "agreements": "get",
            "clicks": "get",
            "conversions": "get",
            "deliveries": "put query batchGet",
            "notices": "get update query",
            "postbacks": "get put query",
            "transactions": "get batchGet",
        }
    ),
    "sign_on_change": _SIGNING,
    "sign_on_schedule": _SIGNING,
    "confirm_on_schedule": replace(
        _SIGNING, tables={**_SIGNING.tables, "agreements": "get put", "publishers": "get put"}
    ),
    "anchor_on_schedule": _SIGNING,
}


class NoAccessDeclared(Exception):
    """A function of app.py that ACCESS does not name; the message says what to add."""


def access_of(function: str) -> Access:
    if function not in ACCESS:
        raise NoAccessDeclared(f"add '{function}' to ACCESS in ops/aws/policies.py: what it may do to which table")
    return ACCESS[function]


@dataclass(frozen=True)
class Place:
    """Where the box stands. Before it is provisioned account and region are not known and the ARNs leave them open; the names of
    the resources never are."""

    region: str = "*"
    account: str = "*"
    key_arns: tuple[str, ...] = ()

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def policy(names: Names, function: Function, signer: Signer, place: Place) -> dict[str, Any]:
    """The IAM policy of one function. `signer` is the config's: without KMS nobody may use a key."""
    access = access_of(function.name)
    statements = [_logs(names, function, place)]
    statements += [_items(names, place, table, actions) for table, actions in sorted(access.tables.items())]
    if function.kind == "stream":
        statements += _stream(names, place)
    if access.signs and signer.kind == "kms":
        statements.append(_keys(names, place, signer.keys))
    wanted = [*access.parameters]
    if access.signs and signer.kind == "keystore":
        wanted += [name for number in range(1, signer.keys + 1) for name in parameters(number)]
    if wanted:
        resources = [place.arn("ssm", f"parameter{names.parameters}/{name}") for name in wanted]
        statements.append({"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": resources})
    return {"Version": "2012-10-17", "Statement": statements}


def _logs(names: Names, function: Function, place: Place) -> dict[str, Any]:
    group = place.arn("logs", f"log-group:{names.log_group(function.name)}")
    return {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": [f"{group}:*"],
    }


def _items(names: Names, place: Place, table: str, does: str) -> dict[str, Any]:
    arn = place.arn("dynamodb", f"table/{names.prefix}-{table}")
    actions = [f"dynamodb:{action}" for word in does.split() for action in ITEM_ACTIONS[word]]
    resources = [arn, f"{arn}/index/*"] if "query" in does.split() else [arn]
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": resources}


def _stream(names: Names, place: Place) -> list[dict[str, Any]]:
    stream = place.arn("dynamodb", f"table/{names.prefix}-conversions/stream/*")
    queue = place.arn("sqs", f"{names.prefix}-dead-letters")
    return [
        {"Effect": "Allow", "Action": [f"dynamodb:{name}" for name in STREAM_ACTIONS], "Resource": [stream]},
        {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": [queue]},
    ]


def _keys(names: Names, place: Place, keys: int) -> dict[str, Any]:
    """By their ARNs once they are known; before that, any key as long as it bears an alias of this box."""
    grant: dict[str, Any] = {
        "Effect": "Allow",
        "Action": ["kms:GetPublicKey", "kms:Sign"],
        "Resource": [*(place.key_arns or [place.arn("kms", "key/*")])],
    }
    if not place.key_arns:
        aliases = [names.key_alias(number) for number in range(1, keys + 1)]
        grant["Condition"] = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}}
    return grant


def as_file(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"
