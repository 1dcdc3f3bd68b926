"""What Chalice cannot say about the gateway and the stream, put in place after each deployment, for a deployment wipes it.

`chalice deploy` alone works without: unknown paths then answer 403, and a record nobody can handle is tried for a day. `box gateway
MERCHANT` puts it right afterwards; `box deploy` does so itself.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ops.aws.clients import client
from ops.aws.names import Names
from ops.boxes.output import Failed
from ops.boxes.project import Project

REQUESTS_PER_SECOND, BURST = 500, 1_000
STREAM_ATTEMPTS = 8
STREAM_RECORD_SECONDS = 3_600
"""A record only says "look at the outbox", and the schedule looks each minute anyway: an old one need not be tried for a day."""
SETTLING_SECONDS, SETTLING_POLL_SECONDS = 180.0, 2.0

PROBLEMS: dict[str, tuple[int | None, str, str, str]] = {
    "MISSING_AUTHENTICATION_TOKEN": (404, "Not found", "not_found", "There is nothing at this address; see /docs."),
    "RESOURCE_NOT_FOUND": (404, "Not found", "not_found", "There is nothing at this address; see /docs."),
    "REQUEST_TOO_LARGE": (413, "Too large", "body_too_large", "The body is larger than the gateway takes."),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Media type not supported", "media_type_not_supported", "Send application/json."),
    "THROTTLED": (429, "Too many requests", "throttled", "Wait a second, then send the same call again."),
    "QUOTA_EXCEEDED": (429, "Too many requests", "throttled", "Wait, then send the same call again."),
    "INTEGRATION_FAILURE": (
        502,
        "Our mistake",
        "internal",
        "The box failed; nothing is lost by sending the same call again.",
    ),
    "INTEGRATION_TIMEOUT": (
        504,
        "Took too long",
        "timeout",
        "Send the same call again: what is stored is not stored twice.",
    ),
    "DEFAULT_4XX": (None, "The request cannot be read", "bad_request", "See /docs for what this call takes."),
    "DEFAULT_5XX": (None, "Our mistake", "internal", "The box failed; nothing is lost by sending the same call again."),
}
"""Gateway response: status (None keeps the gateway's own), title, code, detail - in the form of chalicelib.routes.problems."""
CORS = {
    # Beacons are sent with credentials, so a browser shows an error's body to the page's origin alone, never to `*`.
    "gatewayresponse.header.Access-Control-Allow-Origin": "method.request.header.Origin",
    "gatewayresponse.header.Access-Control-Allow-Credentials": "'true'",
    "gatewayresponse.header.Vary": "'Origin'",
    "gatewayresponse.header.Cache-Control": "'no-store'",
}


def apply(project: Project, merchant: str) -> str:
    """Put it all in place; the deployment's id that is live then. Raises Failed when the merchant is not deployed."""
    deployed = project.deployed(merchant)
    if "rest_api" not in deployed:
        raise Failed(f"{merchant} is not deployed: run `box deploy {merchant}`")
    names = Names(merchant)
    api_id = str(deployed["rest_api"]["rest_api_id"])
    stage = stage_name(project)
    _event_sources(names, deployed)
    return _gateway(names, api_id, stage)


def stage_name(project: Project) -> str:
    return str(project.read_stages().get("api_gateway_stage", "api"))


def _gateway(names: Names, api_id: str, stage: str) -> str:
    gateway = client("apigateway")
    for kind, (status, title, code, detail) in PROBLEMS.items():
        gateway.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            responseParameters=CORS,
            responseTemplates={
                "application/json": _body(status, title, code, detail),
                "application/problem+json": _body(status, title, code, detail),
            },
            **({"statusCode": str(status)} if status else {}),
        )
    # Chalice names every API after the app; in the console and in the bill each box should have its own.
    gateway.update_rest_api(restApiId=api_id, patchOperations=[_replace("/name", names.prefix)])
    deployment = str(
        gateway.create_deployment(restApiId=api_id, stageName=stage, description="gateway responses")["id"]
    )
    gateway.update_stage(
        restApiId=api_id,
        stageName=stage,
        patchOperations=[
            _replace("/*/*/throttling/rateLimit", str(REQUESTS_PER_SECOND)),
            _replace("/*/*/throttling/burstLimit", str(BURST)),
            _replace("/*/*/metrics/enabled", "true"),
        ],
    )
    return deployment


def _replace(path: str, value: str) -> dict[str, str]:
    return {"op": "replace", "path": path, "value": value}


def _body(status: int | None, title: str, code: str, detail: str) -> str:
    """A template: the gateway knows the status of the two defaults, we do not, so those say none."""
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return json.dumps({key: value for key, value in problem.items() if value is not None})


def _event_sources(names: Names, deployed: dict[str, dict[str, Any]]) -> None:
    """Bounded attempts, bisecting, the dead-letter queue, and partial failures understood - Chalice sets none of them."""
    functions = client("lambda")
    queue = client("sqs").get_queue_url(QueueName=f"{names.prefix}-dead-letters")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for resource in deployed.values():
        if resource["resource_type"] == "dynamodb_event":
            _once_settled(
                functions,
                UUID=resource["event_uuid"],
                FunctionResponseTypes=["ReportBatchItemFailures"],
                BisectBatchOnFunctionError=True,
                MaximumRetryAttempts=STREAM_ATTEMPTS,
                MaximumRecordAgeInSeconds=STREAM_RECORD_SECONDS,
                MaximumBatchingWindowInSeconds=0,
                DestinationConfig={"OnFailure": {"Destination": arn}},
            )


def _once_settled(functions: Any, **mapping: Any) -> None:
    """AWS goes on with a mapping for some seconds after Chalice has made or changed it, and refuses every further change until then."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        try:
            functions.update_event_source_mapping(**mapping)
            return
        except functions.exceptions.ResourceInUseException:
            if time.monotonic() > deadline:
                raise
        time.sleep(SETTLING_POLL_SECONDS)
