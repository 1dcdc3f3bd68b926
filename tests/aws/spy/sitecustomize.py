"""Put on a box's PYTHONPATH, this writes down each call it makes to DynamoDB: which thread made it, what, and to which table.

The local stack names the thread of an event source after its function, and every pool is named after who made it.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


def _touched(operation: str, asked: dict[str, Any]) -> list[tuple[str, str]]:
    """(action, table or table/index) of a call; a transaction's parts one by one, as IAM sees them."""
    if operation == "TransactWriteItems":
        return [(_PARTS[kind], part["TableName"]) for item in asked["TransactItems"] for kind, part in item.items()]
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return [(operation, table) for table in asked["RequestItems"]]
    return [(operation, asked.get("TableName", ""))]


def _spy(log: str) -> None:
    from botocore.client import BaseClient

    makes = BaseClient._make_api_call
    starts = ThreadPoolExecutor.__init__

    def spied(self: Any, operation: str, asked: Any) -> Any:
        if self.meta.service_model.service_name == "dynamodb":
            thread = threading.current_thread().name
            with open(log, "a") as out:  # noqa: PTH123 - this runs inside the box, before it is anything
                for action, table in _touched(operation, asked):
                    out.write(f"{thread}\t{action}\t{table}\n")
        return makes(self, operation, asked)

    def named(self: Any, max_workers: Any = None, thread_name_prefix: str = "", *rest: Any, **more: Any) -> None:
        starts(self, max_workers, thread_name_prefix or f"{threading.current_thread().name}|", *rest, **more)

    BaseClient._make_api_call = spied
    ThreadPoolExecutor.__init__ = named  # type: ignore[method-assign]


if "BOX_CALLS" in os.environ:
    _spy(os.environ["BOX_CALLS"])
