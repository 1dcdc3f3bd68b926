"""A reason for a refusal that came without one: some nodes keep a revert's data to themselves, and some revert for no reason at all."""

from eth_abi.exceptions import DecodingError

from chalicelib.adapters.network import Reverted
from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.outbox import Operation


def explained(box: Box, operation: Operation, conversion: Conversion) -> str | None:
    """The name of the contract's error that its views speak for, None where they see nothing against the operation."""
    try:
        return _against_recording(box, conversion, operation) or _against_changing(box, conversion, operation)
    except (Reverted, DecodingError):
        return None


def _against_recording(box: Box, conversion: Conversion, operation: Operation) -> str | None:
    if operation not in ("record", "supersede") or conversion.attribution.agreement_id is None:
        return None
    agreement_id = bytes.fromhex(conversion.attribution.agreement_id.removeprefix("0x"))
    agreement = box.views.agreement(box.config.merchant.account, agreement_id)
    if not agreement.registered:
        return "UnknownAgreement"
    return "AgreementClosed" if 0 < agreement.closes_at <= _block_time(box) else None


def _against_changing(box: Box, conversion: Conversion, operation: Operation) -> str | None:
    if operation == "record":
        return None
    batch = box.views.batch(box.config.merchant.account, bytes.fromhex(conversion.entries[-1].batch))
    return "Locked" if 0 < batch.lock <= _block_time(box) else None


def _block_time(box: Box) -> int:
    latest = box.network.block("latest")
    return latest.time if latest is not None else 0
