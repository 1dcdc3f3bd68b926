"""Which key signs what: the outbox's slots are shared among the keys that can act, and the shares are written down.

Every reservation is conditional on the shares it was cut from. So a process that cut its batch before they changed - the config asks for
another key, one ran out of funds, another version of the box was deployed - reserves nothing. And before anybody cuts by new shares,
the claims of all that was reserved by the old ones are finished: what then stands in the outbox is in no transaction.
"""

from msgspec.structs import replace

from chalicelib.adapters.network import NoAnswer
from chalicelib.adapters.stores.state import LANES, SIGNERS
from chalicelib.bootstrap import Box
from chalicelib.domain.lanes import Lanes
from chalicelib.services import claim, pause
from chalicelib.services.crashpoint import reached


def lanes(box: Box) -> list[Box]:
    """The box as each key that has a lane. Empty while another process changes the shares."""
    shared = _shared(box)
    if shared is None:
        return []
    return [box.as_key(signer, shared) for signer in box.signers if signer.address in shared.keys]


def keys(box: Box) -> list[Box]:
    """The box as each of its keys, to look after what that one sent; none has a share of the outbox here."""
    return [box.as_key(signer) for signer in box.signers]


def earlier_signers(box: Box) -> list[str]:
    """Keys that the box once signed with and has no more."""
    now = {signer.address for signer in box.signers}
    return [address for address in box.state.signers() if address not in now]


def _shared(box: Box) -> Lanes | None:
    """As they are to be now, changed if need be. None where another process was quicker."""
    held = box.state.read(LANES, Lanes)
    able = _able(box, held)
    if held is None or held.keys != able:
        changed = Lanes(number=held.number + 1 if held else 1, keys=able, settled=False)
        if not box.state.swap(LANES, held, changed):
            return None
        held = changed
        reached("after-lanes-changed")
    if held.settled:
        return held
    if not _introduced(box, held.keys):
        return None
    _finish_claims(box)
    reached("before-lanes-settled")
    settled = replace(held, settled=True)
    return settled if box.state.swap(LANES, held, settled) else None


def _able(box: Box, held: Lanes | None) -> tuple[str, ...]:
    """Keys that are not paused; of those that had no lane yet, the ones that may act and can pay. The first where none is."""
    every = [signer.address for signer in box.signers]
    if len(every) == 1:
        return (every[0],)
    known = held.keys if held else ()
    found = [key.signer.address for key in keys(box) if pause.cause(key) is None and _is_fit(key, known)]
    return tuple(found or every[:1])


def _is_fit(key: Box, known: tuple[str, ...]) -> bool:
    """A key that the network cannot be asked about now joins the next time."""
    try:
        return key.signer.address in known or not pause.begin_if_unfit(key)
    except NoAnswer:
        return False


def _introduced(box: Box, addresses: tuple[str, ...]) -> bool:
    """Remember every key the box ever signed with: what an earlier one sent is looked after to its end."""
    known = box.state.read(SIGNERS, list[str])
    missing = [address for address in addresses if address not in (known or [])]
    return not missing or box.state.swap(SIGNERS, known, [*(known or []), *missing])


def _finish_claims(box: Box) -> None:
    for address in box.state.signers():
        for transaction in box.transactions.open(address):
            claim.finish(box, transaction)
