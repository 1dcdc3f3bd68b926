"""Transactions of the signer: a nonce is taken, and its batch stored, in one write.

Each is two items: the transaction, looked at often, and under `cargo#<signer>` what it carries, packed and written once. What is
open is found by a consistent read of the table itself: an index may lag, and a batch that a restart does not see would be recorded
twice.
"""

import base64
import random
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace
from pynamodb.exceptions import PutError, TransactWriteError
from pynamodb.transactions import TransactWrite

from chalicelib.adapters import tables
from chalicelib.adapters.stores.item import Exists, LostLease, Stale, condition_failed, dump, read
from chalicelib.adapters.stores.state import LANES, signer_state
from chalicelib.adapters.tables import State, Transactions
from chalicelib.domain.decoding import decode
from chalicelib.domain.lanes import Lanes
from chalicelib.domain.transaction import Cargo, Transaction

MAX_CONFLICTS = 8
PROBE = 4
"""Transactions looked at at once where one is searched for; nearly always the first is mined."""
NEWEST_AT_ONCE = 10
"""Rows of a page where the newest are read: mostly few are looked at."""
CONFLICT_SECONDS = 0.1
"""Reservations of different keys meet at the one item that says how the outbox is shared; those that do try again within this."""


class TransactionStore:
    def get(self, signer: str, nonce: int) -> Transaction | None:
        item = read(Transactions, signer, nonce)
        return None if item is None else _transaction(item)

    def many(self, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Transaction]:
        wanted = list(dict.fromkeys(keys))
        return (
            {(t.signer, t.nonce): t for t in map(_transaction, Transactions.batch_get(wanted, consistent_read=True))}
            if wanted
            else {}
        )

    def cargo(self, signer: str, nonce: int) -> Cargo:
        """What a stored transaction carries. Raises LookupError when there is no such transaction."""
        item = read(Transactions, _cargo_key(signer), nonce)
        if item is None:
            raise LookupError(f"no transaction {nonce} of {signer}")
        return decode(zlib.decompress(base64.b64decode(item.body)), Cargo)

    def reserve(self, transaction: Transaction, cargo: Cargo, holder: str, lanes: Lanes) -> None:
        """Take the nonce and store what it will carry, in one write. Raises LostLease when another process may be signing with this key,
        or the keys' shares of the outbox are no longer those that this was cut from."""
        for _ in range(MAX_CONFLICTS):
            try:
                self._reserve(transaction, cargo, holder, lanes)
                return
            except TransactWriteError as error:
                if _conflicted(error):
                    time.sleep(random.uniform(0, CONFLICT_SECONDS))
                    continue
                if _refused(error):
                    raise LostLease(transaction.signer) from None
                raise
        raise LostLease(transaction.signer)

    def _reserve(self, transaction: Transaction, cargo: Cargo, holder: str, lanes: Lanes) -> None:
        lease_is_ours = State.lease_holder == holder
        nonce_is_next = State.next_nonce == transaction.nonce
        nonce_is_free = Transactions.signer.does_not_exist()
        lanes_are_as_cut = State.body == dump(lanes)
        with TransactWrite(connection=tables.connection()) as write:
            write.condition_check(State, LANES, condition=lanes_are_as_cut)
            write.update(
                State(signer_state(transaction.signer)),
                actions=[State.next_nonce.set(transaction.nonce + 1), *_carrying(transaction, cargo)],
                condition=lease_is_ours & nonce_is_next,
            )
            write.save(_transaction_item(transaction), condition=nonce_is_free)
            write.save(_cargo_item(transaction, cargo))

    def create(self, transaction: Transaction, cargo: Cargo, over: Transaction | None = None) -> None:
        """Store a transaction of a nonce that nobody reserved, or in the place of the one as read in `over`. Raises Exists."""
        nonce_is_unknown = Transactions.signer.does_not_exist()
        unchanged_since_read = None if over is None else Transactions.version == over.version
        try:
            with TransactWrite(connection=tables.connection()) as write:
                write.save(_transaction_item(transaction), condition=unchanged_since_read or nonce_is_unknown)
                write.save(_cargo_item(transaction, cargo))
        except TransactWriteError as error:
            if _refused(error):
                raise Exists(f"{transaction.signer}/{transaction.nonce}") from None
            raise

    def update(self, transaction: Transaction) -> Transaction:
        """Store a change of what was read at `transaction.version`. Raises Stale."""
        unchanged_since_read = Transactions.version == transaction.version
        changed = replace(transaction, version=transaction.version + 1)
        try:
            _transaction_item(changed).save(condition=unchanged_since_read)
        except PutError as error:
            if condition_failed(error):
                raise Stale(f"{transaction.signer}/{transaction.nonce}") from None
            raise
        return changed

    def mined_between(self, signer: str, first: int, last: int) -> Iterator[Transaction]:
        """Those of the signer that are in a block of these seconds, both included, by nonce."""
        for found in self._mined_from(signer, self._first_mined_since(signer, first)):
            if _block_time(found) > last:
                return
            yield found

    def _first_mined_since(self, signer: str, second: int) -> int:
        """The lowest nonce in a block of that second or later: blocks take a key's nonces in order, so it is searched for by halves."""
        low, high = 0, self._nonces(signer)
        while low < high:
            middle = (low + high) // 2
            found = next(self._mined_from(signer, middle, page_size=PROBE), None)
            if found is None or _block_time(found) >= second:
                high = middle
            else:
                low = found.nonce + 1
        return low

    def _nonces(self, signer: str) -> int:
        """One more than the highest nonce stored."""
        return next((found.nonce + 1 for found in self.newest(signer, 1)), 0)

    def _mined_from(self, signer: str, nonce: int, page_size: int | None = None) -> Iterator[Transaction]:
        rows = Transactions.query(signer, Transactions.nonce >= nonce, page_size=page_size, consistent_read=True)
        return (found for found in map(_transaction, rows) if found.mined is not None)

    def newest(self, signer: str, limit: int) -> Iterator[Transaction]:
        """The signer's transactions from the highest nonce down, at most so many."""
        rows = Transactions.query(
            signer, scan_index_forward=False, consistent_read=True, limit=limit, page_size=min(limit, NEWEST_AT_ONCE)
        )
        yield from map(_transaction, rows)

    def open(self, signer: str) -> list[Transaction]:
        """Every transaction of the signer that is not settled, by nonce. All below the signer's `settledBelow` are."""
        state = read(State, signer_state(signer))
        floor = int(state.settled_below) if state is not None and state.settled_below is not None else 0
        rows = Transactions.query(signer, Transactions.nonce >= floor, consistent_read=True)
        return [found for found in map(_transaction, rows) if found.open]


def _block_time(transaction: Transaction) -> int:
    assert transaction.mined is not None, "asked of mined ones alone"
    return transaction.mined.block_time


def _carrying(transaction: Transaction, cargo: Cargo) -> list[Any]:
    """Where to look whether the conversions know of what carries them."""
    return [State.carrying.set(transaction.nonce)] if cargo.members else []


def _conflicted(error: TransactWriteError) -> bool:
    """Nothing was wrong and nothing was written: another key's reservation looked at the shares in the same moment."""
    reasons = {reason.code for reason in error.cancellation_reasons if reason is not None}
    return reasons == {"TransactionConflict"}


def _refused(error: TransactWriteError) -> bool:
    """A condition did not hold, or somebody else is writing the same items just now; anything else is a fault."""
    return error.cause_response_code in ("TransactionCanceledException", "TransactionInProgressException")


def _transaction(item: Transactions) -> Transaction:
    return decode(item.body, Transaction)


def _transaction_item(transaction: Transaction) -> Transactions:
    return Transactions(
        signer=transaction.signer, nonce=transaction.nonce, version=transaction.version, body=dump(transaction)
    )


def _cargo_key(signer: str) -> str:
    return f"cargo#{signer}"


def _cargo_item(transaction: Transaction, cargo: Cargo) -> Transactions:
    """Packed: a hundred members say much the same, and an item holds 400 KB."""
    packed = base64.b64encode(zlib.compress(msgspec.json.encode(cargo), 6)).decode()
    return Transactions(signer=_cargo_key(transaction.signer), nonce=transaction.nonce, version=0, body=packed)
