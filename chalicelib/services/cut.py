"""Which conversions go into the next call: one look at the outbox, handed out batch by batch."""

from collections.abc import Sequence, Set
from functools import partial

from chalicelib.adapters.stores.item import Stale
from chalicelib.bootstrap import Box
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.outbox import Operation, last_transaction, next_operation
from chalicelib.services import lifecycle
from chalicelib.services.draft import Draft
from chalicelib.services.refusal import NotNow, acceptable

HURRIED_MS = 2 * lifecycle.DECISION_MARGIN_MS
"""A change whose lock is as near as this waits for no batch: it was answered, and after the lock the network refuses it."""
ORDER: tuple[Operation, ...] = ("record", "supersede", "amend", "decide")


class Waiting:
    """What one look found, by operation, the oldest first. Nothing in it is handed out twice."""

    def __init__(self, box: Box, batches: int) -> None:
        """`batches`: how many may be handed out, and so how far the look reaches."""
        self._box = box
        self._size = box.config.network.batch_size
        self._queues: dict[Operation, list[tuple[int, Conversion]]] = {operation: [] for operation in ORDER}
        self._known: dict[str, Conversion] = {}
        assert box.lanes is not None, "only a key with a lane has something to send"
        share = partial(box.lanes.slots, box.signer.address)
        found = box.conversions.outbox(limit=batches * self._size, share=share)
        self.is_cut_short = len(found) >= batches * self._size
        """Whether there may be more than this look reached."""
        settled = _settled(box, [conversion for _, conversion in found if conversion.entries])
        self._hurried = self._locked_soon([c for _, c in found if c.conversion_id in settled])
        for since, conversion in found:
            operation = next_operation(conversion, hold_unverified=box.config.tracking.hold_unverified)
            if operation is None:
                _unmark(box, conversion)
            elif operation == "record" or conversion.conversion_id in settled:
                self._queues[operation].append((since, conversion))
                self._known[conversion.conversion_id] = conversion

    @property
    def known(self) -> dict[str, Conversion]:
        """The conversions as read, by id."""
        return self._known

    def next_call(self) -> tuple[Draft, int] | None:
        """The next call worth sending and its gas, None when nothing more is due."""
        for operation in ORDER:
            while self._is_due(operation):
                batch = [conversion for _, conversion in self._queues[operation][: self._size]]
                try:
                    answer = acceptable(self._box, operation, batch)
                except NotNow:
                    self._queues[operation].clear()
                    break
                self._drop(operation, answer.refused)
                if answer.call is not None:
                    self._drop(operation, answer.call[0].conversion_ids)
                    return answer.call
        return None

    def due_in(self) -> int | None:
        """Milliseconds until the oldest that waits for its time is due, None when none does."""
        oldest = [
            self._since(queue) for operation, queue in self._queues.items() if queue and not self._is_due(operation)
        ]
        return max(0, min(oldest) + self._patience - self._box.now()) if oldest else None

    @property
    def _patience(self) -> int:
        return self._box.config.network.batch_seconds * 1000

    def _is_due(self, operation: Operation) -> bool:
        queue = self._queues[operation]
        if not queue:
            return False
        waited = self._box.now() - self._since(queue)
        return (
            len(queue) >= self._size
            or waited >= self._patience
            or any(c.conversion_id in self._hurried for _, c in queue)
        )

    def _locked_soon(self, changed: Sequence[Conversion]) -> set[str]:
        """Those that must not wait for a batch; not looked for where no batch takes as long as there is time."""
        if self._patience <= lifecycle.DECISION_MARGIN_MS // 2:
            return set()
        near = self._box.now() + HURRIED_MS
        locks = {name: where.lock_at for name, where in lifecycle.standings(self._box, changed).items()}
        return {name for name, lock_at in locks.items() if lock_at is not None and lock_at <= near}

    @staticmethod
    def _since(queue: list[tuple[int, Conversion]]) -> int:
        """Of the oldest, but for what the network refuses for now: that goes along with the others, and hurries none of them."""
        return next((since for since, conversion in queue if conversion.refused is None), queue[0][0])

    def _drop(self, operation: Operation, gone: Set[str]) -> None:
        self._queues[operation] = [row for row in self._queues[operation] if row[1].conversion_id not in gone]


def _settled(box: Box, changed: Sequence[Conversion]) -> set[str]:
    """Conversions whose last entry is final on the network. Until then no change is built upon it: so at most one transaction under way
    concerns a conversion, and what a reorganisation or a failure takes back is never underneath something else."""
    keys = {c.conversion_id: _transactions_of(c) for c in changed}
    found = box.transactions.many(key for both in keys.values() for key in both)
    return {name for name, both in keys.items() if all(k in found and found[k].state == "confirmed" for k in both)}


def _transactions_of(conversion: Conversion) -> set[tuple[str, int]]:
    entry = conversion.entries[-1]
    return {(entry.signer, entry.nonce), last_transaction(entry)}


def _unmark(box: Box, conversion: Conversion) -> None:
    """The marker outlived its work: what it asked for was taken back, or is there."""
    try:
        box.conversions.update(conversion, None)
    except Stale:
        return
