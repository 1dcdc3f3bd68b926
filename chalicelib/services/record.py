"""The signer: from the outbox to signed bytes on their way.

Each step is safe to repeat after a crash at any point:

    1 reserve  nonce and batch in one write          a batch without a nonce does not exist
    2 claim    each item names its transaction       finished first thing on the next turn, from the transaction alone
    3 sign     bytes stored before they are sent     what was never stored was never sent
    4 send     a time-out means "maybe sent"         the same bytes are sent again
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chalicelib.adapters.network import NoAnswer
from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.transaction import Cargo, Change, Transaction
from chalicelib.services import adopt, claim, lanes, pause, reclaim, send
from chalicelib.services.crashpoint import reached
from chalicelib.services.cut import Waiting
from chalicelib.services.draft import Draft
from chalicelib.services.follow import BUMP_MS, follow, look
from chalicelib.services.turn import Turn, in_turn

log = logging.getLogger(__name__)
MAX_IN_FLIGHT = 16
"""Transactions not yet mined: nodes keep some 16 to 64 of one account."""
LINGER_MS = 2_000
"""A batch that is due this soon is waited for - without the key, which others may want - and not left to the schedule."""
LINGERING_MS = 10_000
NOTHING: tuple[int, int | None] = (0, None)
POLL_MS = 500
LANES_AT_ONCE = 4
"""In one process; further processes take the lanes that are free."""


class OutOfStep(NoAnswer):
    """Somebody else spent nonces of the box's key, and it is not final yet what they did."""


def record(box: Box) -> int:
    """Send what is due, and what will be in a moment. Returns how many transactions were sent; 0 while another process is at it or the
    signer is paused."""
    return _each_lane(box, _sent_and_lingered)


def send_now(box: Box) -> int:
    """Send what is due. Returns how many transactions were sent."""
    return _each_lane(box, lambda lane: in_turn(lane, partial(send_due, lane), NOTHING)[0])


def _each_lane(box: Box, work: Callable[[Box], int]) -> int:
    """Side by side, in any order: two processes that begin at once soon work on different ones."""
    found = lanes.lanes(box)
    if not found or not _knows_all(box):
        return 0
    if len(found) < 2:
        return sum(map(work, found))
    with ThreadPoolExecutor(LANES_AT_ONCE, thread_name_prefix="lane") as pool:
        return sum(pool.map(work, random.sample(found, len(found))))


def _knows_all(box: Box) -> bool:
    """Whether nothing stands on the network that the tables forgot: recording what they say is new would record that twice."""
    try:
        reclaim.forgotten(box)
        return adopt.all_known(box)
    except (NoAnswer, Stale) as cause:
        log.warning("nothing is sent this turn: %s: %s", type(cause).__name__, cause)
        return False


def _sent_and_lingered(box: Box) -> int:
    ends_at = box.now() + LINGERING_MS
    total, due_in = in_turn(box, partial(send_due, box), NOTHING)
    while due_in is not None and due_in <= LINGER_MS and box.now() < ends_at:
        time.sleep(due_in / 1000)
        sent, due_in = in_turn(box, partial(send_due, box), NOTHING)
        total += sent
    return total


def send_due(box: Box, turn: Turn) -> tuple[int, int | None]:
    """(how many were sent, milliseconds until the next batch is due). Where the window is full, look after it to make room."""
    total = 0
    while not turn.over:
        turn.prolong()
        room, begun = ready(box)
        total += begun
        if pause.paused(box):
            break
        if room <= 0:
            time.sleep(POLL_MS / 1000)
            follow(box)
            continue
        waiting = Waiting(box, room)
        sent = _send(box, turn, waiting, room)
        total += sent
        if pause.cause(box) or not (sent and waiting.is_cut_short):
            return total, waiting.due_in()
    return total, None


def ready(box: Box) -> tuple[int, int]:
    """What a crash left half done comes first, then the nonce. Returns (how many more may be in flight, how many were sent)."""
    begun = box.transactions.open(box.signer.address)
    sent = 0
    for transaction in begun:
        finished = claim.finish(box, transaction)
        if not finished.attempts and not finished.abandoned and not pause.paused(box):
            send.first(box, finished)
            sent += 1
    _align_nonce(box, begun)
    return MAX_IN_FLIGHT - sum(transaction.waits for transaction in begun), sent


def _send(box: Box, turn: Turn, waiting: Waiting, room: int) -> int:
    sent = 0
    while sent < room and not turn.over and (call := waiting.next_call()) is not None:
        turn.prolong()
        carry(box, turn.holder, *call, waiting.known)
        sent += 1
        if pause.cause(box):
            break
    return sent


def _align_nonce(box: Box, begun: Sequence[Transaction]) -> None:
    """Start a fresh key where the network says, step over nonces spent from outside, and fill those that were left out.

    A key starts, and steps, only over nonces that are spent for good, and once what spent them is looked at: it may have been this box,
    before its table was restored. A node that is ahead of the others, or lies, would otherwise make us leave a gap. Raises OutOfStep
    until then. Should all answers have been wrong together, the nonces that are missing below what was sent are filled.
    """
    address = box.signer.address
    counted = box.state.next_nonce(address)
    spent = box.network.nonce(address)
    if counted is not None and counted >= spent:
        lowest = min([transaction.nonce for transaction in begun], default=counted)
        for nonce in range(spent, min(lowest, spent + MAX_IN_FLIGHT)):
            _fill(box, nonce)
        return
    spent_for_good = box.network.nonce_spent_for_good(address, look(box).final)
    if spent_for_good is not None and spent_for_good < spent:
        raise OutOfStep(f"the network has seen {spent} transactions of the signer, the box sent {counted or 0}")
    if counted is None:
        box.state.start_nonce(address, spent)
        return
    if not adopt.all_known(box):
        raise OutOfStep(f"what was recorded with the nonces {counted} to {spent - 1} is not all looked at")
    box.state.skip_nonces(address, counted, spent)


def _fill(box: Box, nonce: int) -> None:
    """Whatever is sent after this nonce waits for it, and nothing takes it: the key had left before it was signed, came back, and its batch
    had gone with another key; or the key was started above it. A no-op takes it, again with higher fees each time until it is mined."""
    left = box.transactions.get(box.signer.address, nonce) or _left_out(box, nonce)
    if left.state != "replaced" or not all(attempt.noop for attempt in left.attempts):
        return
    if pause.paused(box):
        return
    if not left.attempts:
        send.first(box, left, noop=True)
    elif box.now() - left.attempts[-1].at >= BUMP_MS:
        send.bump(box, left, noop=True)


def _left_out(box: Box, nonce: int) -> Transaction:
    """A nonce that no transaction was ever given. Where a node that lags only made it look free, its no-op is refused and harms nothing."""
    made = Transaction(
        signer=box.signer.address,
        nonce=nonce,
        kind="fill",
        gas=pause.USUAL_GAS,
        state="replaced",
        claimed=True,
        changes=(Change("replaced", box.now(), "left out: a no-op takes its nonce"),),
    )
    box.transactions.create(made, Cargo(calldata=""))
    return made


def carry(box: Box, holder: str, work: Draft, gas: int, known: Mapping[str, Conversion] | None = None) -> None:
    """Give a call its nonce and see it off. Raises LostLease."""
    address = box.signer.address
    nonce = box.state.next_nonce(address)
    assert nonce is not None, "aligned before anything is cut"
    cargo = work.cargo(address, nonce)
    transaction = Transaction(
        signer=address, nonce=nonce, kind=work.kind, gas=gas, changes=(Change("pending", box.now()),)
    )
    reached("before-reserve")
    assert box.lanes is not None, "only a key with a lane sends"
    box.transactions.reserve(transaction, cargo, holder, box.lanes)
    reached("after-reserve")
    claimed = claim.finish(box, transaction, cargo, known)
    reached("after-claim")
    send.first(box, claimed, cargo.calldata)
