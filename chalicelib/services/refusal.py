"""A call that the contract accepts, found by asking the node before anything is signed; what it refuses is set aside with the reason."""

from collections.abc import Sequence

from chalicelib.adapters.contract import NetworkRefusal, decode_error
from chalicelib.adapters.network import Reverted, RpcError
from chalicelib.bootstrap import Box
from chalicelib.domain.batch import BadBatch
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.outbox import Operation
from chalicelib.services import adopt, claim, pause
from chalicelib.services.draft import Draft, draft

GAS_MARGIN = 130
"""Per cent of the estimate: the state may change between estimate and block."""
GAS_CAP = 16_000_000
"""Below the 16,777,216 gas that a transaction may take (EIP-7825)."""
PATIENCE_MS = 600_000
"""An agreement that a node does not know may be one it has not heard of yet: so long before the conversion is set aside."""
_TOO_MUCH = ("gas required exceeds", "exceeds block gas limit", "out of gas", "gas limit is too")


class NotNow(Exception):
    """Nothing of this kind can go at the moment, for no fault of any conversion; they stay in the outbox."""


def acceptable(box: Box, operation: Operation, conversions: Sequence[Conversion]) -> tuple[Draft, int] | None:
    """The call for as many of the conversions as the contract takes, and its gas. None when it takes none of them. Raises NotNow."""
    willing = list(conversions)
    tried = willing
    while tried:
        try:
            work = draft(box, operation, tried)
        except (BadBatch, LookupError, ValueError) as fault:
            willing, tried = _apart(box, operation, willing, tried, f"{type(fault).__name__}: {fault}"[:200])
            continue
        tried = [conversion for conversion in tried if conversion.conversion_id in work.conversion_ids]
        gas = _gas(box, operation, work)
        if isinstance(gas, Reverted):
            willing, tried = _without_refused(box, operation, work, willing, tried, gas)
        elif gas is None or (gas > GAS_CAP and len(tried) > 1):
            tried = tried[: max(1, len(tried) // 2)]
        else:
            return work, min(gas, GAS_CAP)
    return None


def _gas(box: Box, operation: Operation, work: Draft) -> int | Reverted | None:
    """With the margin; the contract's refusal; or None where it is more than a block takes. Raises NotNow."""
    try:
        estimate = box.network.estimate_gas(box.config.network.contract, work.calldata, box.signer.address)
    except Reverted as refusal:
        if pause.for_refusal(box, refusal):
            raise NotNow(operation) from None
        return refusal
    except RpcError as error:
        if pause.for_error(box, error) or len(work.conversion_ids) == 1 or not _is_too_much(error):
            raise NotNow(error.message) from None
        return None
    return estimate * GAS_MARGIN // 100


def _is_too_much(error: RpcError) -> bool:
    return any(said in error.message.lower() for said in _TOO_MUCH)


Lists = tuple[list[Conversion], list[Conversion]]
"""(those not refused, those to try next)."""


def _without_refused(
    box: Box, operation: Operation, work: Draft, willing: list[Conversion], tried: list[Conversion], refusal: Reverted
) -> Lists:
    """Set aside the conversions that the contract names; where it names none, halve until one is left."""
    named = decode_error(refusal.data)
    reason = named.name if named is not None else refusal.message
    if reason == "AlreadyRecorded":
        # Not final yet, or no log of it: these wait. Recording them in other company would record them twice.
        adopt.batch(box, work.members[-1].entry.batch, tried)
        return _less(willing, tried)
    culprits = _culprits(tried, named)
    if not culprits:
        return _apart(box, operation, willing, tried, reason)
    for culprit in culprits:
        if reason != "UnknownAgreement" or box.now() - culprit.created_at >= PATIENCE_MS:
            claim.refuse(box, operation, culprit, reason)
    return _less(willing, culprits)


def _apart(box: Box, operation: Operation, willing: list[Conversion], tried: list[Conversion], reason: str) -> Lists:
    """What was refused together is tried by halves; what is refused alone is the culprit."""
    if len(tried) > 1:
        return willing, tried[: len(tried) // 2]
    claim.refuse(box, operation, tried[0], reason)
    return _less(willing, tried)


def _less(willing: list[Conversion], gone: list[Conversion]) -> Lists:
    names = {conversion.conversion_id for conversion in gone}
    left = [conversion for conversion in willing if conversion.conversion_id not in names]
    return left, left


def _culprits(tried: list[Conversion], named: NetworkRefusal | None) -> list[Conversion]:
    """Those the refusal speaks of: all of an agreement, or all of an earlier batch."""
    if named is None:
        return []
    if named.agreement is not None:
        name = "0x" + named.agreement.hex()
        return [conversion for conversion in tried if conversion.attribution.agreement_id == name]
    if named.name == "Locked":
        return [c for c in tried if c.entries and c.entries[-1].batch == named.arguments[0].hex()]
    return []
