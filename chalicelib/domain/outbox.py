"""What the network does not hold yet. Level-triggered: the next operation follows from what a conversion wants and what its last
entry says, so seeing the same conversion twice does nothing twice.
"""

from typing import Literal

from chalicelib.domain.conversion import Conversion, Decision, Entry, in_groups_of

Operation = Literal["record", "supersede", "amend", "decide"]
"""One call's worth of work. All but `record` need the entry's batch to be on the network."""


def next_operation(conversion: Conversion, *, hold_unverified: bool) -> Operation | None:
    """The one thing to do next for this conversion on the network, None when the network holds all it should."""
    if not belongs_on_network(conversion):
        return None
    if not conversion.entries:
        is_kept_off = conversion.set_aside is not None or is_held(conversion, hold_unverified=hold_unverified)
        return None if is_kept_off else "record"
    entry = conversion.entries[-1]
    lines = in_groups_of(entry.groups, conversion.lines)
    same_groups = [line.group for line in lines] == [line.group for line in entry.lines]
    if conversion.set_aside is None:
        if is_of_another_agreement(conversion) or not same_groups:
            return "supersede"
        if entry.lines != lines or (conversion.verified and not entry.verified):
            return "amend"
    return "decide" if (entry.decision, entry.reason) != decision_on_entry(conversion) else None


def belongs_on_network(conversion: Conversion) -> bool:
    return _is_for_network(conversion) and not is_forgotten(conversion)


def is_forgotten(conversion: Conversion) -> bool:
    """Erased before the network held it, where that was to hold it: without its salts there is nothing to commit to."""
    return _is_for_network(conversion) and conversion.erased_at is not None and not conversion.entries


def _is_for_network(conversion: Conversion) -> bool:
    return conversion.attributed and not conversion.is_test


def is_of_another_agreement(conversion: Conversion) -> bool:
    """Whether the last entry stands under an agreement that the conversion has left for another."""
    return bool(conversion.entries) and conversion.entries[-1].agreement_id != conversion.attribution.agreement_id


def decision_on_entry(conversion: Conversion) -> tuple[Decision, str | None]:
    """(decision, reason) that the last entry is to have. One whose successor the network refuses must not earn in its place; the reason
    `superseded` is the contract's own, for a rejection that comes with the successor."""
    if is_of_another_agreement(conversion) and conversion.decision != "rejected":
        return "rejected", "other"
    return conversion.decision, conversion.reason


def is_held(conversion: Conversion, *, hold_unverified: bool) -> bool:
    """Kept off the network until it is verified or approved, where the config says so."""
    return hold_unverified and not conversion.verified and conversion.decision != "approved" and not conversion.entries


def last_transaction(entry: Entry) -> tuple[str, int]:
    """(signer, nonce) of the newest transaction that carried a change of this entry."""
    return entry.last_change or (entry.signer, entry.nonce)
