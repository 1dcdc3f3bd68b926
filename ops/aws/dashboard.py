"""The CloudWatch dashboard of one box: is it taking sales, do they reach the network, can the signer pay."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.adapters.telemetry import NAMESPACE
from ops.aws.functions import functions
from ops.aws.names import Names

WIDTH, HEIGHT = 12, 6
FIVE_MINUTES = 300


def dashboard(names: Names) -> str:
    """Its body, with ${AWS::Region} where the region belongs."""
    ours = ["Merchant", names.merchant]
    of_functions = [function.name for function in functions()]
    widgets = [
        _graph("Conversions and clicks", "Sum", [[NAMESPACE, "Conversions", *ours], [NAMESPACE, "Clicks", *ours]]),
        _graph("Waiting for the network, seconds", "Maximum", [[NAMESPACE, "OldestUnsentSeconds", *ours]]),
        _graph("Signer's balance, gwei", "Minimum", [[NAMESPACE, "SignerBalanceGwei", *ours]]),
        _graph(
            "Transactions in flight; 1 = paused",
            "Maximum",
            [[NAMESPACE, "InFlight", *ours], [NAMESPACE, "Paused", *ours]],
        ),
        _graph(
            "Answers",
            "Sum",
            [[NAMESPACE, "Requests", *ours], [NAMESPACE, "Refusals", *ours], [NAMESPACE, "ServerErrors", *ours]],
        ),
        _graph("Answer time, ms (p95)", "p95", [[NAMESPACE, "Milliseconds", *ours]]),
        _graph(
            "Functions: errors",
            "Sum",
            [["AWS/Lambda", "Errors", "FunctionName", names.function(n)] for n in of_functions],
        ),
        _graph(
            "Functions: duration, ms (p95)",
            "p95",
            [["AWS/Lambda", "Duration", "FunctionName", names.function(n)] for n in of_functions],
        ),
        _graph(
            "Dead letters",
            "Maximum",
            [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", f"{names.prefix}-dead-letters"]],
        ),
    ]
    for number, widget in enumerate(widgets):
        row, column = divmod(number, 2)
        widget.update(x=column * WIDTH, y=row * HEIGHT, width=WIDTH, height=HEIGHT)
    return json.dumps({"widgets": widgets})


def _graph(title: str, statistic: str, metrics: list[list[str]]) -> dict[str, Any]:
    properties = {
        "title": title,
        "metrics": metrics,
        "stat": statistic,
        "period": FIVE_MINUTES,
        "region": "${AWS::Region}",
        "view": "timeSeries",
    }
    return {"type": "metric", "properties": properties}
