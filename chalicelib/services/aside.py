"""Conversions that the network refuses: each waits, is set aside or taken back with the reason in its history, and may be tried again."""

from msgspec.structs import replace

from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion, Refused, happened
from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.outbox import Operation, is_of_another_agreement
from chalicelib.services import claim
from chalicelib.services.entries import attributed_as, valued_as


def refuse(box: Box, operation: Operation, conversion: Conversion, reason: str) -> None:
    """For good: what was to be recorded is set aside, a change of what is recorded is taken back."""

    def refused(held: Conversion) -> Conversion:
        if held.version != conversion.version:
            return held
        if _is_to_be_recorded(operation, held, reason):
            return happened(replace(held, set_aside=reason, refused=None), box.now(), "set aside", "network", reason)
        return happened(_as_recorded(held), box.now(), "change refused", "network", reason)

    claim.change(box, conversion.conversion_id, refused)


def wait(box: Box, conversion: Conversion, reason: str) -> None:
    """It stays in the outbox, and remembers since when the network refuses it for this reason."""

    def waiting(held: Conversion) -> Conversion:
        if held.version != conversion.version or waits_since(held, reason) is not None:
            return held
        now = box.now()
        return happened(replace(held, refused=Refused(now, reason)), now, "waits", "network", reason)

    claim.change(box, conversion.conversion_id, waiting, at_once=True)


def waits_since(conversion: Conversion, reason: str) -> int | None:
    """Milliseconds; None while it was never refused for this reason."""
    refused = conversion.refused
    return refused.since if refused is not None and refused.reason == reason else None


def try_again(box: Box, conversion_id: str) -> str:
    """Put one that was set aside into the outbox again; the reason it was set aside for. Raises NotFound, Conflict."""
    reasons: list[str] = []

    def tried(held: Conversion) -> Conversion:
        if held.set_aside is None:
            raise Conflict("not_set_aside", f"The conversion {conversion_id} was not set aside.")
        if held.erased_at is not None:
            raise Conflict(
                "erased", f"The conversion {conversion_id} was erased; nothing of it goes to the network any more."
            )
        reasons.append(held.set_aside)
        return happened(replace(held, set_aside=None, refused=None), box.now(), "tried again", "operator")

    claim.change(box, conversion_id, tried)
    if not reasons:
        raise NotFound("conversion_unknown", f"The box holds no conversion {conversion_id}.")
    return reasons[-1]


def _is_to_be_recorded(operation: Operation, held: Conversion, reason: str) -> bool:
    """Another split of the same agreement's sale is a change of it; so is whatever the lock forbids: what it locked stands."""
    if not held.entries:
        return True
    return operation == "supersede" and reason != "Locked" and is_of_another_agreement(held)


def _as_recorded(held: Conversion) -> Conversion:
    """It wants what the network holds."""
    entry = held.entries[-1]
    return replace(
        valued_as(held, entry),
        attribution=attributed_as(entry) if is_of_another_agreement(held) else held.attribution,
        amount_corrected=False,
        set_aside=None,
        refused=None,
    )
