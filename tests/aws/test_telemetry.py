"""What a function tells about itself: lines that CloudWatch makes metrics of, with nobody's data in them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import Any

from chalicelib.adapters.telemetry import NAMESPACE, JsonLines, emit
from chalicelib.routes.observed import counted, seen
from ops.aws.template import template
from ops.local.process import ROOT

EVENT: dict[str, Any] = {
    "resource": "/v1/beacon/conversion",
    "path": "/v1/beacon/conversion",
    "httpMethod": "POST",
    "headers": {
        "content-type": "text/plain",
        "x-forwarded-for": "203.0.113.7",
        "authorization": "Bearer box_" + "S3cret" * 5,
    },
    "multiValueHeaders": {"content-type": ["text/plain"]},
    "queryStringParameters": {"email": "ada@example.com"},
    "multiValueQueryStringParameters": {"email": ["ada@example.com"]},
    "pathParameters": None,
    "stageVariables": None,
    "requestContext": {
        "requestId": "request-1",
        "httpMethod": "POST",
        "resourcePath": "/v1/beacon/conversion",
        "identity": {"sourceIp": "203.0.113.7"},
    },
    "body": '{"action":"sale","values":["12,50"],"metadata":{"orderId":"ORDER-4711","email":"ada@example.com"}}',
    "isBase64Encoded": False,
}


def lines_of_a_call(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON lines that the real handler prints as a Lambda, for one event."""
    code = "import json, sys, app; app.app(json.loads(sys.stdin.read()), None)"
    environment = {
        **os.environ,
        "AWS_LAMBDA_FUNCTION_NAME": "box-demo",
        "MERCHANT": "demo",
        "DYNAMODB_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]


def test_a_request_leaves_one_line_that_is_a_metric_and_names_nobody() -> None:
    lines = lines_of_a_call(EVENT)
    [told] = [line for line in lines if "_aws" in line]
    assert told["Requests"] == 1
    assert told["requestId"] == "request-1"
    assert told["route"] == "/v1/beacon/conversion"
    assert told["status"] >= 400
    assert told["Milliseconds"] > 0
    [metrics] = told["_aws"]["CloudWatchMetrics"]
    assert metrics["Dimensions"] == [["Merchant"]]
    assert {one["Name"] for one in metrics["Metrics"]} <= told.keys()
    text = json.dumps(lines)
    for personal in ("ada@example.com", "203.0.113.7", "ORDER-4711", "S3cret", "12,50"):
        assert personal not in text


def asking_for_a_receipt(conversion_id: str) -> dict[str, Any]:
    resource = "/v1/receipts/{conversion_id}"
    return EVENT | {
        "resource": resource,
        "path": f"/v1/receipts/{conversion_id}",
        "httpMethod": "GET",
        "headers": {},
        "multiValueHeaders": {},
        "pathParameters": {"conversion_id": conversion_id},
        "requestContext": EVENT["requestContext"] | {"httpMethod": "GET", "resourcePath": resource},
        "body": None,
    }


def test_a_request_that_fails_leaves_two_lines_with_its_id() -> None:
    """The error's own, by the app's logger, and the metric's."""
    broken, counted_as = lines_of_a_call(asking_for_a_receipt("a" * 26))
    assert broken["message"].startswith("unexpected "), broken
    assert (broken["level"], broken["merchant"]) == ("ERROR", "demo")
    assert (counted_as["ServerErrors"], counted_as["conversionId"]) == (1, "a" * 26)
    assert broken["requestId"] == counted_as["requestId"] == "request-1"


def test_what_somebody_wrote_in_the_place_of_a_conversions_id_is_not_logged() -> None:
    assert "ada" not in json.dumps(lines_of_a_call(asking_for_a_receipt("ada@example.com")))


def test_a_line_of_a_function_that_answers_no_request_names_its_run() -> None:
    record = logging.LogRecord("chalicelib.services.turn", logging.WARNING, __file__, 1, "it ended early", None, None)
    record.aws_request_id = "run-1"  # as Lambda's handler gives it to each record
    assert json.loads(JsonLines("demo").format(record))["requestId"] == "run-1"


def test_a_failure_is_logged_by_kind_and_place_without_its_text() -> None:
    try:
        raise ValueError("the order of ada@example.com")
    except ValueError:
        record = logging.LogRecord("merchant-box", logging.ERROR, __file__, 1, "it failed", None, sys.exc_info())
    record.email = "ada@example.com"
    line = json.loads(JsonLines("demo").format(record))
    assert line["error"] == "ValueError"
    assert line["merchant"] == "demo"
    assert "test_telemetry.py" in line["at"]
    assert "ada" not in json.dumps(line)


def test_fields_nobody_listed_are_dropped() -> None:
    written: list[str] = []
    emit("demo", {"Requests": 1}, {"orderId": "ORDER-4711", "requestId": "r"}, written.append)
    line = json.loads(written[0])
    assert line["requestId"] == "r"
    assert "orderId" not in line


def test_a_request_counts_as_what_it_came_to() -> None:
    assert counted("/v1/beacon/conversion", "POST", 202) == {"Requests": 1, "Conversions": 1}
    assert counted("/v1/beacon/conversion", "POST", 200) == {"Requests": 1}
    assert counted("/click/{publisher_id}", "GET", 302) == {"Requests": 1, "Clicks": 1}
    assert counted("/v1/conversions", "POST", 409) == {"Requests": 1, "Refusals": 1}
    assert counted("/v1/conversions", "POST", 500) == {"Requests": 1, "ServerErrors": 1}


def test_every_alarm_on_our_own_metrics_is_about_one_that_is_emitted() -> None:
    report = {"oldestUnsent": 1_000, "balance": str(5 * 10**9), "inFlight": 2, "paused": None, "rpc": "ok"}
    emitted = seen(report, 61_000) | counted("/", "GET", 500)
    assert emitted["OldestUnsentSeconds"] == 60
    assert seen({**report, "oldestUnsent": None, "oldestInFlight": 31_000}, 61_000)["OldestUnsentSeconds"] == 30
    assert emitted["SignerBalanceGwei"] == 5
    ours = [
        one["Properties"]
        for one in template("acme", "kms", 1)["Resources"].values()
        if one["Type"] == "AWS::CloudWatch::Alarm" and one["Properties"]["Namespace"] == NAMESPACE
    ]
    assert len(ours) >= 4
    assert {one["MetricName"] for one in ours} <= emitted.keys()


def test_observing_imports_nothing_that_a_function_has_not_anyway() -> None:
    code = "import sys, app; before = set(sys.modules); import chalicelib.adapters.telemetry; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"chalicelib.adapters", "chalicelib.adapters.telemetry"}
