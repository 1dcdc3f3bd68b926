"""Validation: the merchant approves, rejects, re-opens or amends a conversion until its lock."""

from dataclasses import dataclass

from msgspec.structs import replace

from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion, Decision, happened, repriced
from chalicelib.domain.errors import Conflict, NotFound, Unavailable, Unprocessable
from chalicelib.domain.money import check_amount, format_amount, parse_amount, parse_named
from chalicelib.domain.network_changes import REASONS, VERIFIED_REPORT
from chalicelib.domain.outbox import is_forgotten, next_operation
from chalicelib.domain.report import Line
from chalicelib.services import lifecycle

MAX_RACES = 50
REASON_CODES = frozenset(code for code, number in REASONS.items() if number < 100 and number != VERIFIED_REPORT)
"""That the merchant may give; the others say what the box or the lock did."""
_DECISIONS: dict[str, Decision] = {"open": "open", "approved": "approved", "rejected": "rejected"}


@dataclass(frozen=True)
class Correction:
    """What to change; None leaves it. `lines` replaces the split by commission group, `amount` scales a conversion of one group."""

    status: str | None = None
    reason: str | None = None
    amount: str | None = None
    lines: dict[str, str] | None = None


def correct(box: Box, conversion_id: str, correction: Correction, by: str) -> tuple[Conversion, bool]:
    """Apply a correction; the same one again changes nothing. Returns the conversion and whether this call changed it.

    Raises NotFound, Unprocessable, and Conflict: `locked` after the lock less the decision margin, `erased` for the approval of an order
    that was forgotten before it was recorded.
    """
    for _ in range(MAX_RACES):
        held = box.conversions.get(conversion_id)
        if held is None:
            raise NotFound("conversion_unknown", "The box holds no conversion of that id.")
        corrected = _corrected(held, correction)
        if corrected == held:
            return held, False
        if corrected.decision == "approved" and is_forgotten(held):
            raise Conflict(
                "erased",
                "This order was erased before it was on the network, and cannot go there any more; it can be rejected.",
            )
        if lifecycle.is_locked(box, held):
            raise Conflict(
                "locked",
                "The lock date of this conversion has passed or is within the hour; nothing changes it any more.",
            )
        now = box.now()
        noted = happened(corrected, now, *_described(held, corrected, by))
        wanted = next_operation(noted, hold_unverified=box.config.tracking.hold_unverified) is not None
        try:
            return box.conversions.update(noted, now if wanted else None), True
        except Stale:
            continue
    raise Unavailable("try_again", "Too many writers at this conversion at once; send it again.")


def _corrected(held: Conversion, correction: Correction) -> Conversion:
    changed = held
    if correction.status is None and correction.amount is None and not correction.lines:
        raise Unprocessable("nothing_to_change", "Give a status, an amount or lines.")
    if correction.amount is not None or correction.lines:
        changed = repriced(changed, _lines(held, correction))
    if correction.status is not None:
        decision = _DECISIONS.get(correction.status)
        if decision is None:
            raise Unprocessable(
                "status_invalid", "A conversion can be set to approved, rejected or open; Sale comes with the lock."
            )
        changed = replace(changed, decision=decision, reason=_reason(decision, correction.reason))
    elif correction.reason is not None:
        raise Unprocessable("reason_without_status", "A reason goes with a rejection.")
    return changed


def _reason(decision: Decision, reason: str | None) -> str | None:
    if decision != "rejected":
        return None
    if reason not in REASON_CODES:
        raise Unprocessable("reason_invalid", f"A rejection needs a reason code: {', '.join(sorted(REASON_CODES))}.")
    return reason


def _lines(held: Conversion, correction: Correction) -> tuple[Line, ...]:
    if correction.lines:
        unknown = set(correction.lines) - {line.group for line in held.lines}
        if unknown:
            raise Unprocessable("group_unknown", f"This conversion has no line in group {sorted(unknown)[0]!r}.")
        amounts = {
            group: parse_named(f"lines.{group}", amount, held.currency) for group, amount in correction.lines.items()
        }
        lines = tuple(Line(line.group, amounts.get(line.group, line.amount)) for line in held.lines)
    else:
        assert correction.amount is not None, "checked by the caller"
        if len(held.lines) > 1:
            raise Unprocessable(
                "lines_needed", "This conversion has several commission groups; give the new amount of each line."
            )
        lines = (Line(held.lines[0].group, parse_named("amount", correction.amount, held.currency)),)
    total = check_amount(sum(line.amount for line in lines), held.currency)
    if correction.amount is not None and total != parse_amount(correction.amount, held.currency):
        raise Unprocessable("items_sum_mismatch", "The lines do not add up to the amount.")
    return lines


def _described(held: Conversion, corrected: Conversion, by: str) -> tuple[str, str, str]:
    """(event, by, detail) for the history."""
    details = []
    if held.amount != corrected.amount or held.lines != corrected.lines:
        before, after = (format_amount(c.amount, c.currency) for c in (held, corrected))
        details.append(f"amount {before} -> {after}")
    if corrected.reason:
        details.append(corrected.reason)
    changed_decision = (held.decision, held.reason) != (corrected.decision, corrected.reason)
    event = (
        {"approved": "approved", "rejected": "rejected", "open": "re-opened"}[corrected.decision]
        if changed_decision
        else "amended"
    )
    return event, by, "; ".join(details)
