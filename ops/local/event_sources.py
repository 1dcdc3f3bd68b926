"""What AWS's event source mappings and schedules do, done here: the same handlers get the same events.

A stream's records reach their handler in order and at least once; how far they were handled is kept in a
file, so a restart goes on from there. A handler that fails gets the same records again after a pause, and
after MAX_ATTEMPTS they are logged and passed over, as a mapping with a failure destination does. Nothing
that a handler raises ends the box.
"""

from __future__ import annotations

import base64
import datetime
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import Chalice, DynamoDBEventConfig, ScheduledEventConfig
from chalice.local import LambdaContext

Event = dict[str, Any]
Handler = Callable[[Event, Any], Any]

POLL_SECONDS = 0.25
BATCH_SIZE = 100
MAX_ATTEMPTS = 8
FUNCTION_SECONDS = 60

_log = logging.getLogger("box.local.events")


class EventSources:
    """Every stream and schedule that `app` declares, delivered by one thread each until `stop`.

    `seconds` overrides a schedule's period by its function's name. `table_prefix` finds a stream's table.
    """

    def __init__(
        self, app: Chalice, dynamodb_url: str, table_prefix: str, directory: Path, seconds: dict[str, float]
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        for source in app.event_sources:
            handler = app.handler_map[source.name]
            if isinstance(source, ScheduledEventConfig):
                period = seconds.get(source.name) or _rate_seconds(source.schedule_expression)
                self._run(source.name, Timer(source.name, handler, period).run)
            elif isinstance(source, DynamoDBEventConfig):
                table = table_of(source.stream_arn, table_prefix)
                checkpoint = directory / f"{source.name}.checkpoint.json"
                self._run(source.name, Stream(source.name, handler, dynamodb_url, table, checkpoint).run)
            else:
                raise NotImplementedError(f"{source.name}: the local stack delivers no {type(source).__name__}")

    def _run(self, name: str, loop: Callable[[threading.Event], None]) -> None:
        thread = threading.Thread(target=loop, args=(self._ending,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Lets each handler finish what it is doing."""
        self._ending.set()
        for thread in self._threads:
            thread.join(seconds)


def table_of(stream_arn: str, table_prefix: str) -> str:
    """The table a stream's ARN names. Locally the ARN is not known before the table exists: then it is the
    conversions'."""
    named = re.search(r":table/([^/]+)", stream_arn)
    return named[1] if named else f"{table_prefix}-conversions"


def _rate_seconds(expression: Any) -> float:
    text = expression if isinstance(expression, str) else expression.to_string()
    rate = re.fullmatch(r"rate\((\d+) (second|minute|hour|day)s?\)", text)
    if not rate:
        return 60.0
    return float(rate[1]) * {"second": 1, "minute": 60, "hour": 3600, "day": 86400}[rate[2]]


class Timer:
    def __init__(self, name: str, handler: Handler, period: float) -> None:
        self.name, self._handler, self._period = name, handler, period

    def run(self, ending: threading.Event) -> None:
        while not ending.wait(self._period):
            call(self.name, self._handler, scheduled_event(self.name))


def call(name: str, handler: Handler, event: Event) -> bool:
    """One invocation; whether it succeeded. A failure is logged, never raised."""
    try:
        handler(event, LambdaContext(name, 512, FUNCTION_SECONDS * 1000))
    except Exception:  # noqa: BLE001 - a handler may raise anything, and the box goes on
        _log.exception("%s failed", name)
        return False
    return True


def scheduled_event(name: str) -> Event:
    """The event of an EventBridge rule, as AWS sends it."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "eu-central-1",
        "resources": [f"arn:aws:events:eu-central-1:000000000000:rule/{name}"],
        "detail": {},
    }


class Stream:
    """Polls a table's stream and hands its records on."""

    def __init__(self, name: str, handler: Handler, url: str, table: str, checkpoint: Path) -> None:
        self.name, self._handler, self._table, self._checkpoint = name, handler, table, checkpoint
        # The embedded DynamoDB counts sequence numbers from 1; the SDK would refuse anything shorter than
        # 21 digits.
        config = Config(parameter_validation=False, connect_timeout=2, read_timeout=10)
        self._streams: Any = boto3.client("dynamodbstreams", endpoint_url=url, config=config)
        self._tables: Any = boto3.client("dynamodb", endpoint_url=url, config=config)
        self._done: dict[str, str] = json.loads(checkpoint.read_text()) if checkpoint.exists() else {}

    def run(self, ending: threading.Event) -> None:
        while not ending.is_set():
            try:
                self._follow(ending)
            except (BotoCoreError, ClientError) as error:
                _log.warning("%s: the stream of %s does not answer: %s", self.name, self._table, error)
                ending.wait(1.0)

    def _follow(self, ending: threading.Event) -> None:
        """Reads every shard to its end or until `ending`; returns when there may be new shards."""
        arn = self._tables.describe_table(TableName=self._table)["Table"]["LatestStreamArn"]
        iterators = {shard: self._iterator(arn, shard) for shard in self._open_shards(arn)}
        while iterators and not ending.is_set():
            found = False
            for shard, iterator in list(iterators.items()):
                answer = self._streams.get_records(ShardIterator=iterator, Limit=BATCH_SIZE)
                if answer["Records"]:
                    found = True
                    self._deliver(arn, shard, answer["Records"], ending)
                if answer.get("NextShardIterator"):
                    iterators[shard] = answer["NextShardIterator"]
                else:
                    del iterators[shard]
            if not found:
                ending.wait(POLL_SECONDS)
        ending.wait(POLL_SECONDS)

    def _open_shards(self, arn: str) -> Iterator[str]:
        last: dict[str, str] = {}
        while True:
            page = self._streams.describe_stream(StreamArn=arn, **last)["StreamDescription"]
            for shard in page["Shards"]:
                yield shard["ShardId"]
            if not page.get("LastEvaluatedShardId"):
                return
            last = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def _iterator(self, arn: str, shard: str) -> str:
        where: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        if shard in self._done:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self._done[shard]}
        answer = self._streams.get_shard_iterator(StreamArn=arn, ShardId=shard, **where)
        return str(answer["ShardIterator"])

    def _deliver(self, arn: str, shard: str, records: list[Any], ending: threading.Event) -> None:
        event = {"Records": [stream_record(record, arn) for record in records]}
        for attempt in range(MAX_ATTEMPTS):
            if call(self.name, self._handler, event):
                break
            if ending.wait(min(0.2 * 2**attempt, 10.0)):
                return  # not handled: the next start begins with these
        else:
            _log.error("%s: passed over %d records after %d attempts", self.name, len(records), MAX_ATTEMPTS)
        self._done[shard] = records[-1]["dynamodb"]["SequenceNumber"]
        beside = self._checkpoint.with_suffix(".new")
        beside.write_text(json.dumps(self._done))
        beside.replace(self._checkpoint)


def stream_record(record: Any, arn: str) -> Event:
    """A record as Lambda gets it: JSON, so times are seconds and bytes are base64."""
    change = dict(record["dynamodb"])
    created = change.get("ApproximateCreationDateTime")
    if isinstance(created, datetime.datetime):
        change["ApproximateCreationDateTime"] = int(created.timestamp())
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": _jsonable(change),
        "eventSourceARN": arn,
    }


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    return value
