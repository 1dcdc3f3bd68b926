"""Streams and schedules reach the app's own handlers: every change, in order, through failures and
restarts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from chalice.app import Chalice, CloudWatchEvent, DynamoDBEvent, Rate

from ops.local.dynoxide import Dynoxide
from ops.local.event_sources import EventSources, scheduled_event, stream_record, table_of

Received = list[str]


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def table(dynamodb: Dynoxide, request: pytest.FixtureRequest) -> str:
    """A table with a stream; its name is the prefix `table` plus '-conversions'."""
    prefix = f"events-{abs(hash(request.node.name))}"
    client(dynamodb).create_table(
        TableName=f"{prefix}-conversions",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return prefix


def client(dynamodb: Dynoxide) -> Any:
    return boto3.client("dynamodb", endpoint_url=dynamodb.url)


def put(dynamodb: Dynoxide, prefix: str, name: str) -> None:
    client(dynamodb).put_item(TableName=f"{prefix}-conversions", Item={"id": {"S": name}, "raw": {"B": b"\xff"}})


def listening_app(received: Received, fail: Callable[[str], bool] = lambda _: False) -> Chalice:
    app = Chalice(app_name="listener")

    @app.on_dynamodb_record(stream_arn="local")
    def on_change(event: DynamoDBEvent) -> None:
        for record in event:
            name = record.new_image["id"]["S"]
            assert record.new_image["raw"]["B"] == "/w=="
            if fail(name):
                raise RuntimeError("not this time")
            received.append(name)

    return app


def test_every_change_reaches_the_handler_in_order(dynamodb: Dynoxide, table: str, tmp_path: Path) -> None:
    received: Received = []
    sources = EventSources(listening_app(received), dynamodb.url, table, tmp_path, {})
    wanted = [f"c{number:03}" for number in range(250)]
    for name in wanted:
        put(dynamodb, table, name)
    wait_for(lambda: len(received) >= 250)
    sources.stop()
    assert received == wanted


def test_a_restart_goes_on_where_the_last_one_stopped(dynamodb: Dynoxide, table: str, tmp_path: Path) -> None:
    received: Received = []
    put(dynamodb, table, "before")
    sources = EventSources(listening_app(received), dynamodb.url, table, tmp_path, {})
    wait_for(lambda: received == ["before"])
    wait_for(lambda: (tmp_path / "on_change.checkpoint.json").exists())
    sources.stop()
    put(dynamodb, table, "while it was off")
    sources = EventSources(listening_app(received), dynamodb.url, table, tmp_path, {})
    wait_for(lambda: len(received) == 2)
    sources.stop()
    assert received == ["before", "while it was off"]


def test_a_failing_handler_gets_the_same_records_again(dynamodb: Dynoxide, table: str, tmp_path: Path) -> None:
    received: Received = []
    failures = iter([True, True, False])
    app = listening_app(received, fail=lambda _: next(failures, False))
    sources = EventSources(app, dynamodb.url, table, tmp_path, {})
    put(dynamodb, table, "stubborn")
    wait_for(lambda: received == ["stubborn"])
    sources.stop()


def test_a_schedule_calls_its_handler_and_survives_its_failure(dynamodb: Dynoxide, tmp_path: Path) -> None:
    app = Chalice(app_name="clock")
    times: list[str] = []

    @app.schedule(Rate(1, Rate.MINUTES))
    def tick(event: CloudWatchEvent) -> None:
        times.append(event.time)
        if len(times) == 1:
            raise RuntimeError("the first time fails")

    sources = EventSources(app, dynamodb.url, "none", tmp_path, {"tick": 0.05})
    wait_for(lambda: len(times) >= 3)
    sources.stop()
    seen = len(times)
    time.sleep(0.15)
    assert len(times) == seen, "it still ticks after stop"


def test_events_have_the_shape_aws_documents() -> None:
    record = {
        "eventID": "1",
        "eventName": "INSERT",
        "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "1"},
    }
    shaped = stream_record(record, "arn:aws:dynamodb:eu-central-1:000000000000:table/t/stream/1")
    assert (shaped["eventSource"], shaped["eventVersion"]) == ("aws:dynamodb", "1.1")
    assert {"detail-type", "source", "time", "resources", "detail"} <= set(scheduled_event("tick"))


def test_the_table_comes_from_the_arn_where_it_names_one() -> None:
    assert table_of("arn:aws:dynamodb:eu-west-1:1:table/box-clicks/stream/2026", "box") == "box-clicks"
    assert table_of("local", "box") == "box-conversions"
