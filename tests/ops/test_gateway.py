"""`box gateway` against what AWS answers while it is still at work on what `chalice deploy` left."""

from __future__ import annotations

import boto3
import pytest
from botocore.stub import Stubber

from ops.aws import gateway
from ops.aws.names import Names

MAPPING = {"resource_type": "dynamodb_event", "event_uuid": "5f1f7d0e-0000-4000-8000-000000000000"}
BUSY = "Cannot update the event source mapping because it is in use."


def test_a_stream_that_aws_is_still_at_work_on_gets_its_retries_as_soon_as_aws_is_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = {
        name: boto3.client(
            name, region_name="eu-west-1", aws_access_key_id="a key that opens nothing", aws_secret_access_key="none"
        )
        for name in ("lambda", "sqs")
    }
    monkeypatch.setattr(gateway, "client", clients.__getitem__)
    monkeypatch.setattr(gateway, "SETTLING_POLL_SECONDS", 0)
    queue, functions = Stubber(clients["sqs"]), Stubber(clients["lambda"])
    queue.add_response("get_queue_url", {"QueueUrl": "https://queue.example/acme"})
    queue.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn:aws:sqs:eu-west-1:1:acme"}})
    for _ in range(3):
        functions.add_client_error("update_event_source_mapping", "ResourceInUseException", BUSY, 400)
    functions.add_response("update_event_source_mapping", {})
    with queue, functions:
        gateway._event_sources(Names("acme"), {"sign_on_change": MAPPING})
        functions.assert_no_pending_responses()
