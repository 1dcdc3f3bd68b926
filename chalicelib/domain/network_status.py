"""The status of a conversion at a moment, derived as the contract's `statusOf` does. No transaction is sent at due or lock.

recorded ............. due ................... lock ..........
decision, or Open      Open + silent: Approved  Approved: Sale, anything else: Rejected
"""

from typing import Final, Literal

from chalicelib.domain.terms import Silence

Status = Literal["open", "approved", "sale", "rejected"]
STATUSES: Final[tuple[Status, ...]] = ("open", "approved", "sale", "rejected")  # position = the two bits on chain
DAY: Final = 86_400  # seconds; the chain knows no time zones


def effective_status(decision: Status, verified: bool, silence: Silence, due: int, lock: int, now: int) -> Status:
    """Status at `now` (Unix seconds, the block's time). `decision` is the last explicit one, 'open' when there is none."""
    status = decision
    if status == "open" and (verified or silence == "all") and now >= due:
        status = "approved"
    if now >= lock:
        return "sale" if status == "approved" else "rejected"
    return status


def reason_of(status: Status, decision: Status, given: str | None) -> str | None:
    """Why it is rejected: the merchant's reason, or that of the lock where the merchant decided nothing. None for any other status."""
    if status != "rejected":
        return None
    return given if decision == "rejected" else "unverified"


def deadlines(recorded_at: int, validation_days: int, lock_days: int) -> tuple[int, int]:
    """(due, lock) in Unix seconds of a conversion recorded at block time `recorded_at`."""
    return recorded_at + validation_days * DAY, recorded_at + lock_days * DAY
