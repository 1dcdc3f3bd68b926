"""The confirmer: looks after what is under way, writes down for /v1/status what it saw, and sends what became possible by it."""

from functools import partial
from typing import Any

from msgspec.structs import replace

from chalicelib.adapters.network import NoAnswer
from chalicelib.bootstrap import Box
from chalicelib.services import compare, lanes, pause
from chalicelib.services.ends import learn_ends
from chalicelib.services.follow import follow, look
from chalicelib.services.network_report import REPORT, Report
from chalicelib.services.record import send_now
from chalicelib.services.turn import Turn, in_turn

REPORT_MS = 5_000


def confirm(box: Box) -> int:
    """Look after every open transaction. Returns how many changed their state; 0 while other processes hold the keys."""
    changed = sum(in_turn(key, partial(_follow, key), 0) for key in lanes.keys(box))
    for earlier in lanes.earlier_signers(box):
        if box.transactions.open(earlier):
            changed += in_turn(box, partial(_follow_earlier, box, earlier), 0, earlier)
    if changed or _report_is_old(box):
        _write_report(box)
    if changed:
        send_now(box)
    return changed


def _follow_earlier(box: Box, signer: str, _: Turn) -> int:
    return follow(box, look(box, signer))


def _follow(key: Box, _: Turn) -> int:
    try:
        return follow(key)
    except NoAnswer as silence:
        _report_silence(key, silence, {})  # the report that is written after it says what waits
        raise


def _report_is_old(box: Box) -> bool:
    """A report reads every slot of the outbox; a local box, which looks each second, need not write one each time."""
    kept = box.state.read(REPORT, Report)
    if kept is None or kept.rpc != "ok" or kept.paused != _paused(box):
        return True
    return box.now() - kept.at >= REPORT_MS


def _write_report(box: Box) -> None:
    waiting = _waiting(box)
    try:
        view = look(box)
        balances = [box.network.balance(signer.address) for signer in box.signers]
    except NoAnswer as silence:
        _report_silence(box, silence, waiting)
        return
    kept, contract = box.state.read(REPORT, Report), box.config.network.contract
    if kept is not None and kept.contract != contract:
        kept = None
    final = max(view.final, kept.final if kept else 0)
    box.state.write(
        REPORT,
        Report(
            at=box.now(),
            head=view.latest.number,
            final=final,
            # A box that is new, or new on this network, has made its agreements a moment ago.
            ends_until=learn_ends(box, kept.ends_until, final) if kept and kept.ends_until else final,
            contract=contract,
            balance=str(min(balances)),
            paused=_paused(box),
            differences=len(compare.differences(box)),
            **waiting,
        ),
    )


def _waiting(box: Box) -> dict[str, Any]:
    """What waits for the network, as the tables tell it: true whether a node answers or not."""
    unsent = box.conversions.outbox(limit=1)
    under_way = [found for signer in box.signers for found in box.transactions.open(signer.address)]
    return {
        "in_flight": len(under_way),
        "oldest_unsent": unsent[0][0] if unsent else None,
        "oldest_in_flight": min((found.changes[-1].at for found in under_way if found.waits), default=None),
    }


def _paused(box: Box) -> pause.Cause | None:
    """Why one of the keys waits, the first that does."""
    return next((cause for key in lanes.keys(box) if (cause := pause.cause(key)) is not None), None)


def _report_silence(box: Box, silence: NoAnswer, waiting: dict[str, Any]) -> None:
    kept = box.state.read(REPORT, Report)
    if kept is not None:
        box.state.write(REPORT, replace(kept, rpc=f"no answer: {str(silence)[:100]}", **waiting))
