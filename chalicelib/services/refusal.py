"""A call that the contract accepts, found by asking the node before anything is signed; what it refuses is left out, for now or for good.

One answer of one node proves little. It counts only from a node that has seen what the box knows to be final; where it may pass, it has
to last; and where it gives no reason, the contract's views are asked for one (docs/decisions/0014).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.adapters.contract import NetworkRefusal, decode_error
from chalicelib.adapters.network import Reverted, RpcError
from chalicelib.bootstrap import Box
from chalicelib.domain.batch import BadBatch
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.outbox import Operation
from chalicelib.services import adopt, aside, pause
from chalicelib.services.draft import Draft, draft
from chalicelib.services.explain import explained
from chalicelib.services.network_report import REPORT, Report

GAS_MARGIN = 130
"""Per cent of the estimate: the state may change between estimate and block."""
GAS_CAP = 16_000_000
"""Below the 16,777,216 gas that a transaction may take (EIP-7825)."""
PATIENCE_MS = {"UnknownAgreement": 600_000}
"""A refusal that may pass has to last so long, from the first one on. An agreement may be one that the network takes a while to hear of."""
UNEXPLAINED_MS = 86_400_000
"""And one without a reason so long: nearly always the node is at fault."""
DOES_NOT_KNOW = "NotRecorded"
"""A change is only sent of what is final: a node that says so is one that does not know."""
_TOO_MUCH = ("gas required exceeds", "exceeds block gas limit", "out of gas", "gas limit is too")


class NotNow(Exception):
    """Nothing of this kind can go at the moment, for no fault of any conversion; they stay in the outbox."""


@dataclass(frozen=True)
class Answer:
    """The call that the contract takes and its gas, None when it takes nothing; and which conversions it did not take. Those were set
    aside or wait, and are not to be offered again as they were read, in whatever company."""

    call: tuple[Draft, int] | None
    refused: frozenset[str]


@dataclass(frozen=True)
class Refusal:
    """`named` is the contract's own error, None where the node gives none. `counts` is False from nodes that lag."""

    named: NetworkRefusal | None
    message: str
    counts: bool

    @property
    def is_in_doubt(self) -> bool:
        """Another node may say otherwise."""
        return self.named is None or not self.counts


def acceptable(box: Box, operation: Operation, conversions: Sequence[Conversion]) -> Answer:
    """The call for as many of the conversions as the contract takes. Raises NotNow."""
    willing = list(conversions)
    tried = willing
    while tried:
        try:
            work = draft(box, operation, tried)
        except (BadBatch, LookupError, ValueError) as fault:
            willing, tried = _without_faulty(box, operation, willing, tried, fault)
            continue
        tried = [conversion for conversion in tried if conversion.conversion_id in work.conversion_ids]
        gas = _gas(box, operation, work)
        if isinstance(gas, Refusal):
            willing, tried = _without_refused(box, operation, work, willing, tried, gas)
        elif gas is None or (gas > GAS_CAP and len(tried) > 1):
            tried = tried[: max(1, len(tried) // 2)]
        else:
            return Answer((work, min(gas, GAS_CAP)), _names(conversions) - _names(willing))
    return Answer(None, _names(conversions))


def _names(conversions: Sequence[Conversion]) -> frozenset[str]:
    return frozenset(conversion.conversion_id for conversion in conversions)


def _gas(box: Box, operation: Operation, work: Draft) -> int | Refusal | None:
    """With the margin; the contract's refusal, from the last node where all are in doubt; or None where it is more than a block takes.
    Raises NotNow."""
    for _ in range(box.network.size):
        answer = _estimate(box, operation, work)
        if not (isinstance(answer, Refusal) and answer.is_in_doubt):
            break
        box.network.ask_another_first()
    return answer


def _estimate(box: Box, operation: Operation, work: Draft) -> int | Refusal | None:
    try:
        estimate = box.network.estimate_gas(box.config.network.contract, work.calldata, box.signer.address)
    except Reverted as refusal:
        if pause.for_refusal(box, refusal):
            raise NotNow(operation) from None
        named = decode_error(refusal.data)
        is_known_better = named is not None and named.name == DOES_NOT_KNOW
        return Refusal(named, refusal.message, counts=not is_known_better and not _is_behind(box))
    except RpcError as error:
        if pause.for_error(box, error):
            raise NotNow(error.message) from None
        if len(work.conversion_ids) > 1 and _is_too_much(error):
            return None
        box.network.ask_another_first()
        raise NotNow(error.message) from None
    return estimate * GAS_MARGIN // 100


def _is_behind(box: Box) -> bool:
    """Whether the node that answered has yet to see blocks that the box has seen final."""
    seen = box.state.read(REPORT, Report)
    latest = box.network.block("latest")
    is_of_this_contract = seen is not None and seen.contract == box.config.network.contract
    return latest is None or (seen is not None and is_of_this_contract and latest.number < seen.final)


def _is_too_much(error: RpcError) -> bool:
    return any(said in error.message.lower() for said in _TOO_MUCH)


Lists = tuple[list[Conversion], list[Conversion]]
"""(those not refused, those to try next)."""


def _without_refused(
    box: Box, operation: Operation, work: Draft, willing: list[Conversion], tried: list[Conversion], refusal: Refusal
) -> Lists:
    """Leave out the conversions that the contract names; where it names none, halve until one is left."""
    named = refusal.named
    if named is not None and named.name == "AlreadyRecorded":
        # Not final yet, or no log of it: these wait. Recording them in other company would record them twice.
        adopt.batch(box, work.members[-1].entry.batch, tried)
        return _less(willing, tried)
    culprits = _culprits(tried, named)
    if not culprits and len(tried) > 1:
        return willing, tried[: len(tried) // 2]
    culprits = culprits or tried
    if refusal.counts:
        _leave_out(box, operation, culprits, refusal)
    return _less(willing, culprits)


def _without_faulty(
    box: Box, operation: Operation, willing: list[Conversion], tried: list[Conversion], fault: Exception
) -> Lists:
    """What cannot be drafted together is tried by halves; what cannot be alone is set aside."""
    if len(tried) > 1:
        return willing, tried[: len(tried) // 2]
    aside.refuse(box, operation, tried[0], f"{type(fault).__name__}: {fault}"[:200])
    return _less(willing, tried)


def _leave_out(box: Box, operation: Operation, culprits: list[Conversion], refusal: Refusal) -> None:
    """For good, or for as long as the refusal may pass."""
    reason = refusal.named.name if refusal.named is not None else explained(box, operation, culprits[0])
    patience = UNEXPLAINED_MS if reason is None else PATIENCE_MS.get(reason, 0)
    reason = reason or refusal.message[:200] or "refused without a reason"
    for culprit in culprits:
        since = aside.waits_since(culprit, reason)
        if not patience or (since is not None and box.now() - since >= patience):
            aside.refuse(box, operation, culprit, reason)
        elif since is None:
            aside.wait(box, culprit, reason)


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
    if named.name in ("Locked", DOES_NOT_KNOW):
        return [c for c in tried if c.entries and c.entries[-1].batch == named.arguments[0].hex()]
    return []
