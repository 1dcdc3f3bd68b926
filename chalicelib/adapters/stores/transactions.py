"""Transactions of the signer: a nonce is taken and its batch stored in one write."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError
from pynamodb.transactions import TransactWrite

from chalicelib.adapters.stores.item import LostLease, Stale, condition_failed, dump, read
from chalicelib.adapters.stores.state import signer_state
from chalicelib.adapters.tables import State, Transactions
from chalicelib.domain.transaction import Transaction


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

    def reserve(self, transaction: Transaction, holder: str) -> None:
        """Take the nonce and store what it will carry, in one write. Raises LostLease when another process may be signing."""
        lease_is_ours = State.lease_holder == holder
        nonce_is_next = State.next_nonce == transaction.nonce
        nonce_is_free = Transactions.signer.does_not_exist()
        try:
            with TransactWrite(connection=_connection()) as write:
                write.update(
                    State(signer_state(transaction.signer)),
                    actions=[State.next_nonce.set(transaction.nonce + 1)],
                    condition=lease_is_ours & nonce_is_next,
                )
                write.save(_transaction_item(transaction), condition=nonce_is_free)
        except TransactWriteError as error:
            if "ConditionalCheckFailed" in str(error) or "TransactionConflict" in str(error):
                raise LostLease(transaction.signer) from None
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

    def open(self, signer: str) -> list[Transaction]:
        """Every transaction of the signer that is not settled, by nonce, read consistently."""
        nonces = [int(row.nonce) for row in Transactions.open.query(signer)]
        found = self.many((signer, nonce) for nonce in nonces)
        return [found[key] for key in sorted(found) if found[key].open]


def _connection() -> Connection:
    meta: Any = State.Meta
    return Connection(region=meta.region, host=meta.host)


def _transaction(item: Transactions) -> Transaction:
    return msgspec.json.decode(item.body, type=Transaction)


def _transaction_item(transaction: Transaction) -> Transactions:
    return Transactions(
        signer=transaction.signer,
        nonce=transaction.nonce,
        open_signer=transaction.signer if transaction.open else None,
        version=transaction.version,
        body=dump(transaction),
    )
