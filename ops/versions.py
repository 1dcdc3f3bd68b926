"""Which version of a pair's terms was in force when. A click earns under the newest that was registered before it; a later one
never changes what it earns."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.adapters.contract_abi import topic
from ops.chain_reader import WHOLE_HISTORY, Chain, ChainUnreadable, topic_of


@dataclass(frozen=True, slots=True)
class Version:
    """`number` counts from 1. Times in Unix seconds; None = not ended."""

    number: int
    agreement: str
    registered_at: int
    ended_at: int | None


def versions_of(chain: Chain, merchant: str, publisher: str) -> list[Version]:
    """All versions of the pair, oldest first. The terms are not read: one whose terms are odd counts all the same. Raises ChainUnreadable
    where the contract knows of more than the node shows."""
    named = "0x" + topic("AgreementRegistered").hex(), "0x" + topic("AgreementEnded").hex()
    ended = {
        str(log["topics"][1]): chain.time(int(log["blockNumber"], 16))
        for log in chain.logs(named[1], None, topic_of(merchant))
    }
    registered = chain.logs(named[0], None, topic_of(merchant), topic_of(publisher))
    versions = chain.views.next_agreement(merchant, publisher)[1] - 1
    if len(registered) != versions:
        raise ChainUnreadable(
            f"the node shows {len(registered)} agreements of these two, the contract counts {versions}: {WHOLE_HISTORY}"
        )
    return [
        Version(number, agreement, chain.time(int(log["blockNumber"], 16)), ended.get(agreement))
        for number, log in enumerate(registered, 1)
        for agreement in [str(log["topics"][1])]
    ]


def in_force(versions: Sequence[Version], at: int) -> Version | None:
    """The newest that was registered by then and not ended."""
    current = [v for v in versions if v.registered_at <= at and (v.ended_at is None or at < v.ended_at)]
    return current[-1] if current else None


def in_force_about(versions: Sequence[Version], at: int, tolerance: int) -> list[Version | None]:
    """What may have been in force at a moment that a clock `tolerance` seconds off tells."""
    changes = [when for v in versions for when in (v.registered_at, v.ended_at) if when is not None]
    moments = [at, at - tolerance, *(when for when in changes if abs(when - at) <= tolerance)]
    # Of two that came in one second the first was in force too, if not for long.
    came_about = [version for version in versions if abs(version.registered_at - at) <= tolerance]
    return [*came_about, *(in_force(versions, moment) for moment in moments)]
