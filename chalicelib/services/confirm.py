"""The confirmer: looks after what is under way, writes down for /v1/status what it saw, and sends what became possible by it."""

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.adapters.network import NoAnswer
from chalicelib.bootstrap import Box
from chalicelib.services import compare, pause
from chalicelib.services.follow import View, follow, look
from chalicelib.services.record import send_due
from chalicelib.services.turn import Turn, in_turn

REPORT = "network-report"


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
    return in_turn(box, lambda turn: _confirm(box, turn), 0)


def _confirm(box: Box, turn: Turn) -> int:
    try:
        view = look(box)
        changed = follow(box, view)
        _write_report(box, view)
    except NoAnswer as silence:
        _report_silence(box, silence)
        raise
    if changed:
        send_due(box, turn)
    return changed


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
