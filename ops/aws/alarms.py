"""When an operator is woken: what the confirmer saw of the network, the box's own mistakes, dead letters, functions that fail."""

from __future__ import annotations

from typing import Any

from chalicelib.adapters.telemetry import NAMESPACE
from ops.aws.functions import functions
from ops.aws.names import Names

Metric = dict[str, Any]
OLDEST_UNSENT_SECONDS = 1_800
"""A conversion that waits this long for its transaction is not just waiting for its batch."""
SERVER_ERRORS, FUNCTION_ERRORS = 5, 3
"""In five minutes."""


def alarms(names: Names, low_balance_gwei: int) -> dict[str, Any]:
    """CloudFormation resources. `low_balance_gwei`: below it the signer's balance wakes somebody."""
    found = {
        "OldestUnsent": (
            "oldest-unsent",
            "A conversion waits too long for the network: docs/operations.md, 'Nothing is sent'.",
            {**_ours(names, "OldestUnsentSeconds", "Maximum"), "Threshold": OLDEST_UNSENT_SECONDS},
        ),
        "SignerBalance": (
            "signer-balance",
            "The signer runs out of funds: docs/operations.md, 'Signer out of funds'.",
            {**_ours(names, "SignerBalanceGwei", "Minimum"), **_below(low_balance_gwei)},
        ),
        "RpcSilent": (
            "rpc-silent",
            "No RPC node has answered for some minutes: docs/operations.md, 'RPC gone'.",
            # The least of a period: of nodes that answer now and then, now and then is enough.
            {**_ours(names, "RpcSilent", "Minimum"), "Threshold": 1},
        ),
        "NoReport": (
            "no-report",
            "The confirmer has not run to its end for 15 minutes: docs/operations.md, 'Nothing is sent'.",
            {**_ours(names, "OldestUnsentSeconds", "SampleCount"), **_below(1), "TreatMissingData": "breaching"},
        ),
        "ServerErrors": (
            "5xx",
            "The box answered with a mistake of its own.",
            {**_ours(names, "ServerErrors", "Sum"), "Threshold": SERVER_ERRORS},
        ),
        "DeadLetterAlarm": (
            "dead-letters",
            "Records of the stream could not be handled; the schedule sends what they spoke of, but look why.",
            {**_dead_letters(), "Threshold": 1},
        ),
    }
    for function in functions():
        found[f"{function.name.title().replace('_', '')}Errors"] = (
            f"{function.name}-errors",
            f"{function.name} failed or ran out of time.",
            {**_errors(names.function(function.name)), "Threshold": FUNCTION_ERRORS},
        )
    return {resource: _alarm(names, *alarm) for resource, alarm in found.items()}


def _ours(names: Names, metric: str, statistic: str) -> Metric:
    dimensions = [{"Name": "Merchant", "Value": names.merchant}]
    return {"Namespace": NAMESPACE, "Dimensions": dimensions, "MetricName": metric, "Statistic": statistic}


def _dead_letters() -> Metric:
    queue = {"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetters", "QueueName"]}}
    return {
        "Namespace": "AWS/SQS",
        "Dimensions": [queue],
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Statistic": "Maximum",
    }


def _errors(function: str) -> Metric:
    dimensions = [{"Name": "FunctionName", "Value": function}]
    return {"Namespace": "AWS/Lambda", "Dimensions": dimensions, "MetricName": "Errors", "Statistic": "Sum"}


def _below(threshold: int) -> Metric:
    return {"Threshold": threshold, "ComparisonOperator": "LessThanThreshold"}


def _alarm(names: Names, name: str, description: str, metric: Metric) -> dict[str, Any]:
    """Three periods of five minutes, two of them bad: one slow minute wakes nobody."""
    topic = [{"Ref": "Alarms"}]
    properties = {
        "AlarmName": f"{names.prefix}-{name}",
        "AlarmDescription": description,
        "Period": 300,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": topic,
        "OKActions": topic,
        **metric,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
