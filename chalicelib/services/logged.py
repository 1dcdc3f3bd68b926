"""What the contract logged, as typed events: asked of the node by ranges of blocks."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import decode_logs
from chalicelib.bootstrap import Box

E = TypeVar("E")


def logged(
    box: Box, kind: type[E], indexed: Sequence[str | None], since_block: int, to_block: int
) -> Iterator[tuple[int, list[E]]]:
    """The events of a kind whose indexed fields are these (None: any), by ranges, each with its last block. Raises NoAnswer."""
    topics = ["0x" + topic(kind.__name__).hex(), *indexed]
    for until, logs in box.network.logs(box.config.network.contract, topics, since_block, to_block):
        yield until, [event for event in decode_logs(logs) if isinstance(event, kind)]


def merchant_topic(box: Box) -> str:
    """The box's merchant as an indexed field."""
    return "0x" + bytes.fromhex(box.config.merchant.account[2:]).rjust(32, b"\0").hex()
