"""The gateway of a deployed box: what AWS answers while it is still at work on what `chalice deploy` left, and where the box is asked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoRegionError
from botocore.stub import Stubber

from ops.aws import bundle, gateway
from ops.aws.clients import client, region
from ops.aws.functions import functions
from ops.aws.names import Names
from ops.boxes.project import Project
from ops.boxes.status import _deployed_url

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


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An operator who named no region."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    client.cache_clear()
    yield
    client.cache_clear()


@pytest.mark.usefixtures("nowhere")
def test_a_box_is_asked_in_the_region_that_it_stands_in(tmp_path: Path) -> None:
    project, host = Project(tmp_path), "abc123.execute-api.eu-west-3.amazonaws.com"
    api = {"name": "rest_api", "rest_api_id": "abc123", "rest_api_url": f"https://{host}/api/"}
    project.write_deployed("acme", [api])
    assert _deployed_url(project, "acme") == f"https://{host}/api"


@pytest.mark.usefixtures("nowhere")
def test_who_named_no_region_is_told_so_and_not_led_to_one_that_there_is_not() -> None:
    with pytest.raises(NoRegionError):
        region()


@pytest.mark.usefixtures("nowhere")
def test_the_region_of_a_profile_is_that_of_every_client_and_of_chalice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable in the environment would take its place."""
    profile, used = tmp_path / "config", list[dict[str, str]]()
    profile.write_text("[default]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))

    def chalice(command: list[str], *, env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        used.append(env)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", chalice)
    functions.cache_clear()
    functions()
    bundle.run_chalice(Project(tmp_path), "deploy")
    assert (region(), client("events").meta.region_name) == ("eu-west-3", "eu-west-3")
    assert used[0].get("AWS_DEFAULT_REGION", "eu-west-3") == "eu-west-3"
