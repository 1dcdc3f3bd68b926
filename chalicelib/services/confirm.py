"""The confirmer: looks after what is under way, writes down for /v1/status what it saw, and sends what became possible by it."""

from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.adapters.network import NoAnswer
from chalicelib.bootstrap import Box
from chalicelib.services import compare, pause
from chalicelib.services.follow import View, follow, look
from chalicelib.services.record import SIGNERS, send_due
from chalicelib.services.turn import Turn, in_turn

REPORT = "network-report"
REPORT_MS = 5_000


class Report(Struct, rename="camel", kw_only=True):
    """What the confirmer last saw, for /v1/status: times in milliseconds, balance in wei.

    `differences` counts the conversions whose commission the contract computed otherwise than the box.
    """

    at: int
    head: int
    final: int
    balance: str
    in_flight: int
    paused: str | None
    oldest_unsent: int | None
    differences: int = 0
    rpc: str = "ok"


def confirm(box: Box) -> int:
    """Look after every open transaction. Returns how many changed their state; 0 while another process holds the key."""
    changed = in_turn(box, lambda turn: _confirm(box, turn), 0)
    for earlier in set(box.state.read(SIGNERS, list[str]) or []) - {box.signer.address}:
        if box.transactions.open(earlier):
            changed += in_turn(box, partial(_follow_earlier, box, earlier), 0, earlier)
    return changed


def _follow_earlier(box: Box, signer: str, _: Turn) -> int:
    return follow(box, look(box, signer))


def _confirm(box: Box, turn: Turn) -> int:
    try:
        view = look(box)
        changed = follow(box, view)
        if changed or _report_is_old(box):
            _write_report(box, view)
    except NoAnswer as silence:
        _report_silence(box, silence)
        raise
    if changed:
        send_due(box, turn)
    return changed


def _report_is_old(box: Box) -> bool:
    """A report reads every slot of the outbox; a local box, which looks each second, need not write one each time."""
    kept = box.state.read(REPORT, Report)
    if kept is None or kept.rpc != "ok" or kept.paused != pause.cause(box):
        return True
    return box.now() - kept.at >= REPORT_MS


def _write_report(box: Box, view: View) -> None:
    address = box.signer.address
    waiting = box.conversions.outbox(limit=1)
    box.state.write(
        REPORT,
        Report(
            at=box.now(),
            head=view.latest.number,
            final=view.final,
            balance=str(box.network.balance(address)),
            in_flight=len(box.transactions.open(address)),
            paused=pause.cause(box),
            oldest_unsent=waiting[0][0] if waiting else None,
            differences=len(compare.differences(box)),
        ),
    )


def _report_silence(box: Box, silence: NoAnswer) -> None:
    kept = box.state.read(REPORT, Report)
    if kept is not None:
        box.state.write(REPORT, replace(kept, rpc=f"no answer: {str(silence)[:100]}"))
