"""Turns at a key: one process at a time signs with it, by a lease that a dead holder loses.

The lease only keeps two processes from doing the same work. What keeps them from doing harm, should one wake up after it lost the
lease, is the condition on every write: a nonce is reserved in the holder's name, a transaction changes by its version, a claim of
what was given back fails.
"""

import logging
import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from chalicelib.adapters.network import NoAnswer
from chalicelib.adapters.stores.item import LostLease, Stale
from chalicelib.adapters.stores.state import signer_state
from chalicelib.bootstrap import Box

T = TypeVar("T")
log = logging.getLogger(__name__)
LEASE_MS = 30_000
"""So long a killed process keeps others waiting. One that lives prolongs it before each step; should a step take longer than this - nodes
that answer late, all of them - another goes on in its place, and what both do is stored once."""
RUN_MS = 30_000
"""A turn begins nothing new after this: a function of a minute, which may wait for its turn first, must end by itself."""
WAIT_SECONDS = 5.0
POLL_SECONDS = 0.1


class Turn:
    """One holder's time at a key: the box's, or one that it had before. `holder` is its name."""

    def __init__(self, box: Box, signer: str | None = None) -> None:
        self._box = box
        self._name = signer_state(signer or box.signer.address)
        self._deadline = box.now() + RUN_MS
        self.holder = secrets.token_hex(8)

    @property
    def over(self) -> bool:
        return self._box.now() >= self._deadline

    def take(self) -> bool:
        """Ours, if the one before us ends within some seconds: what it looked at may be older than what we were called for."""
        gives_up_at = time.monotonic() + WAIT_SECONDS
        while not self._box.state.lease(self._name, self.holder, self._box.now(), self._lease_ends):
            if time.monotonic() > gives_up_at:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def prolong(self) -> None:
        """Before each long step. Raises LostLease where another had the key meanwhile: whatever was read before is no longer to be sent."""
        if not self._box.state.prolong(self._name, self.holder, self._lease_ends):
            raise LostLease(self._name)

    def let_go(self) -> None:
        self._box.state.release(self._name, self.holder)

    @property
    def _lease_ends(self) -> int:
        return self._box.now() + LEASE_MS


def in_turn(box: Box, work: Callable[[Turn], T], otherwise: T, signer: str | None = None) -> T:
    """What `work` gives; `otherwise` while another process holds the key.

    An answer that does not come, or another process that was quicker, ends the turn: everything stays as it is for the next one.
    """
    turn = Turn(box, signer)
    if not turn.take():
        return otherwise
    try:
        return work(turn)
    except (NoAnswer, LostLease, Stale) as cause:
        log.warning("the turn of %s ended early: %s: %s", box.signer.address, type(cause).__name__, cause)
        return otherwise
    finally:
        turn.let_go()
