"""What a `chalice deploy` that failed or was killed has made and not written down: Chalice writes at its end alone.

It would make the event sources and the REST API a second time - AWS refuses the first, and the shop's pages know another address -, and
`chalice delete` would leave all of it. So what stands on AWS under the box's names is written down before either.
"""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError

from ops.aws.clients import account, client, gateway_url
from ops.aws.functions import Function, functions
from ops.aws.gateway import stage_name
from ops.aws.names import REST_HANDLER, RULE_SUFFIX, Names
from ops.boxes.project import Project

Resource = dict[str, Any]
NOT_THERE = ("ResourceNotFoundException", "NoSuchEntity", "NotFoundException")
OUR_API = re.compile(r":execute-api:[^:]*:[^:]*:([a-z0-9]+)/")


def write_down(project: Project, merchant: str) -> None:
    """Into Chalice's own file, each after what it stands on, for Chalice deletes from the end. A whole file is left as it is."""
    held = project.deployed(merchant)
    names, found = Names(merchant), dict[str, Resource]()
    for function in functions():
        if any(name not in held for name in _wanted(function)):
            found |= {one["name"]: one for one in _of_function(names, function)}
    if "rest_api" not in held:
        found |= {one["name"]: one for one in _rest_api(project, names)}
    if found.keys() - held.keys():
        order = [name for function in functions() for name in _wanted(function)]
        both = {**found, **held}
        known = [both[name] for name in (*order, "rest_api") if name in both]
        project.write_deployed(merchant, [*known, *(one for name, one in held.items() if one not in known)])


def _wanted(function: Function) -> list[str]:
    """What Chalice calls a function's resources."""
    source = {"web": [], "stream": [f"{function.name}-dynamodb-event-source"], "schedule": [f"{function.name}-event"]}
    return [f"{function.name}_role", function.name, *source[function.kind]]


def _of_function(names: Names, function: Function) -> list[Resource]:
    found = []
    role, event = names.role(function.name), f"{names.role(function.name)}{RULE_SUFFIX}"
    if _there(client("iam").get_role, RoleName=role):
        arn = f"arn:aws:iam::{account()}:role/{role}"
        found.append({"name": f"{function.name}_role", "resource_type": "iam_role", "role_arn": arn, "role_name": role})
    made = _there(client("lambda").get_function_configuration, FunctionName=names.function(function.name))
    if made:
        arn = made["FunctionArn"]
        found.append({"name": function.name, "resource_type": "lambda_function", "lambda_arn": arn})
        found += _event_sources(function, arn) if function.kind == "stream" else []
    if function.kind == "schedule" and _there(client("events").describe_rule, Name=event):
        found.append({"name": f"{function.name}-event", "resource_type": "cloudwatch_event", "rule_name": event})
    return found


def _event_sources(function: Function, arn: str) -> list[Resource]:
    told = client("lambda").list_event_source_mappings(FunctionName=arn)["EventSourceMappings"]
    return [
        {
            "name": f"{function.name}-dynamodb-event-source",
            "resource_type": "dynamodb_event",
            "stream_arn": one["EventSourceArn"],
            "event_uuid": one["UUID"],
            "lambda_arn": arn,
        }
        for one in told
    ]


def _rest_api(project: Project, names: Names) -> list[Resource]:
    """By the leave that the function gives it to be called: the API's own name says nothing yet."""
    told = _there(client("lambda").get_policy, FunctionName=names.function(REST_HANDLER))
    for statement in json.loads(told["Policy"])["Statement"] if told else []:
        source = json.dumps(statement.get("Condition", {}))
        for api_id in OUR_API.findall(source):
            if _there(client("apigateway").get_rest_api, restApiId=api_id):
                url = gateway_url(api_id, stage_name(project))
                return [
                    {"name": "rest_api", "resource_type": "rest_api", "rest_api_id": api_id, "rest_api_url": f"{url}/"}
                ]
    return []


def _there(call: Any, **named: str) -> Any:
    """The answer; None where there is no such thing."""
    try:
        return call(**named)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_THERE:
            return None
        raise
