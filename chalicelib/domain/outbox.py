"""What the network does not hold yet. Level-triggered: the next operation follows from what a conversion wants and what its last entry says,
so seeing the same conversion twice does nothing twice.
"""

from dataclasses import dataclass
from typing import Literal

from chalicelib.domain.conversion import Conversion, Decision, Entry
from chalicelib.domain.report import Line

SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Operation:
    """`needs_final`: only once the entry's last transaction is final, because a reorg may still give its sequence to another."""

    kind: Literal["record", "decide", "amend"]
    needs_final: bool
    decision: Decision = "open"
    reason: str | None = None
    lines: tuple[Line, ...] = ()


def next_operation(conversion: Conversion, *, hold_unverified: bool) -> Operation | None:
    """The one thing to do next for this conversion on the network, None when the network holds all it should."""
    if not belongs_on_network(conversion):
        return None
    if not conversion.entries:
        held = hold_unverified and not conversion.verified and conversion.decision != "approved"
        return None if held else _record(conversion)
    entry = conversion.entries[-1]
    if entry.agreement_id != conversion.attribution.agreement_id:
        if entry.decision == "rejected":
            return _record(conversion)
        return Operation("decide", True, "rejected", SUPERSEDED)
    if entry.lines != conversion.lines:
        return Operation("amend", True, lines=conversion.lines)
    if (entry.decision, entry.reason) != (conversion.decision, conversion.reason):
        return Operation("decide", True, conversion.decision, conversion.reason)
    return None


def belongs_on_network(conversion: Conversion) -> bool:
    return conversion.attributed and not conversion.is_test and conversion.set_aside is None


def last_transaction(entry: Entry) -> tuple[str, int]:
    """(signer, nonce) of the newest transaction that carried a change of this entry."""
    return entry.last_change or (entry.signer, entry.nonce)


def _record(conversion: Conversion) -> Operation:
    return Operation("record", False, lines=conversion.lines)
