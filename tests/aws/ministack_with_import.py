"""Starts ministack with the two calls that Chalice deploys an API with, ImportRestApi and PutRestApi, which it lacks, and in a hurry.

Run by ministack's own Python, which has nothing of the box. What it lacks is put together from what it has: its CloudFormation
imports OpenAPI documents already.
"""

import hashlib
import json
import tempfile
import threading
import types
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime  # type: ignore[import-not-found]
from ministack.services import apigateway_v1 as gateway  # type: ignore[import-not-found]
from ministack.services import eventbridge, lambda_svc

# Chalice looks every 5 s whether a function is ready. Ministack plays AWS's delay before it says so, but runs the new code at once:
# without the delay a deployment of eight functions does not stand still eight times.
lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = 0.0
# `rate(1 minute)` is AWS's shortest. Here such a minute is a quarter, so that a test that needs a schedule waits for it no longer.
eventbridge._SCHEDULER_TICK_INTERVAL = 1
_in_seconds = eventbridge._parse_rate_seconds


def _quartered(expression: str) -> float | None:
    seconds: int | None = _in_seconds(expression)
    return None if seconds is None else seconds / 4


eventbridge._parse_rate_seconds = _quartered
_on_time = eventbridge._invoke_target


def _unless_at_work(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> None:
    """A short minute may be over before a function has started on a busy machine. A second process beside it would make that worse."""
    name = target["Arn"].split(":")[6] if ":function:" in target["Arn"] else None
    workers = [one for key, held in list(lambda_runtime._workers.items()) if key.split(":")[2] == name for one in held]
    if not (rule.get("ScheduleExpression") and any(one.in_use for one in workers)):
        _on_time(target, event, rule, view)


eventbridge._invoke_target = _unless_at_work


class _Once(zipfile.ZipFile):
    """Ministack unpacks 70 MB for every process it starts, and each compiles them. Here what is in a bundle is unpacked once, and
    the processes that run it are led there; the first leaves its bytecode to the others."""

    _one_at_a_time = threading.Lock()

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        assert self.filename is not None and path is not None
        shared = Path(tempfile.gettempdir()) / hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
        with self._one_at_a_time:
            if not shared.exists():
                unfinished = shared.with_suffix(".part")
                super().extractall(unfinished, members, pwd)
                unfinished.rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)


class _Patient(lambda_runtime.Worker):  # type: ignore[misc]
    """On AWS a function has a processor of its own; here two cores may be everybody's, so each gets four times its time."""

    def __init__(self, name: str, config: dict[str, Any], bundle: bytes) -> None:
        super().__init__(name, {**config, "Timeout": 4 * int(config["Timeout"])}, bundle)


lambda_runtime.Worker = _Patient
lambda_runtime.zipfile = types.SimpleNamespace(**{**vars(zipfile), "ZipFile": _Once})

_ministacks_own = gateway.handle_request


async def handle_request(method: str, path: str, headers: Any, body: Any, query_params: Any) -> Any:
    parts = path.strip("/").split("/")
    mode = (
        (query_params.get("mode") or [""])[0]
        if isinstance(query_params.get("mode"), list)
        else query_params.get("mode")
    )
    if method == "POST" and parts == ["restapis"] and mode == "import":
        api_id = gateway._import_rest_api(json.loads(body), _settings(json.loads(body)))
        return gateway._v1_response(gateway._rest_api_view(gateway._rest_apis[api_id]), 201)
    if method == "PUT" and len(parts) == 2 and parts[0] == "restapis" and parts[1] in gateway._rest_apis:
        return _overwritten(parts[1], json.loads(body))
    return await _ministacks_own(method, path, headers, body, query_params)


def _settings(document: dict[str, Any]) -> dict[str, Any]:
    return {"binaryMediaTypes": document.get("x-amazon-apigateway-binary-media-types", [])}


def _overwritten(api_id: str, document: dict[str, Any]) -> Any:
    """As AWS does it: resources and gateway responses are those of the document; stages and deployments stay."""
    root = {key: resource for key, resource in gateway._resources[api_id].items() if resource["path"] == "/"}
    for resource in root.values():
        resource["resourceMethods"] = {}
    gateway._resources[api_id] = root
    gateway._gateway_responses[api_id] = {}
    gateway._rest_apis[api_id].update(_settings(document), name=document["info"]["title"])
    for path, item in document["paths"].items():
        gateway._import_path_item(api_id, path, item)
    return gateway._v1_response(gateway._rest_api_view(gateway._rest_apis[api_id]))


gateway.handle_request = handle_request

if __name__ == "__main__":
    from ministack.app import main  # type: ignore[import-not-found]

    main()
