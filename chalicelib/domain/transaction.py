"""One transaction of the box's signer: a nonce, what it carries, and every signed attempt to get it onto the network.

```
pending --sent--> sent --receipt--> mined --final--> confirmed
   \\                \\                 \\-- reorg --> sent
    \\                \\-- reverted --> failed      (its members go back to the outbox, the bad one set aside)
     \\-- never got through --> replaced            (a no-op took the nonce; its members go back to the outbox)
```
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

State = Literal["pending", "sent", "mined", "confirmed", "failed", "replaced"]
Kind = Literal["record", "decide", "amend", "anchor", "noop"]

SETTLED: tuple[State, ...] = ("confirmed", "failed", "replaced")
"""States that nothing changes any more."""


class Attempt(Struct, rename="camel", frozen=True, kw_only=True):
    """Signed bytes, stored before they are sent and re-sent as they are. Fees in wei per gas, `at` in milliseconds."""

    hash: str
    raw: str
    max_fee: int
    priority_fee: int
    at: int


class Member(Struct, rename="camel", frozen=True, kw_only=True):
    """A conversion's place in a batch: entries `index` to `index + count - 1`, for the conversion's entry number `entry`."""

    conversion_id: str
    entry: int
    index: int
    count: int


class Mined(Struct, rename="camel", frozen=True, kw_only=True):
    """Where the network holds the transaction. `commissions` are the contract's own, one per entry of a record batch, in minor units."""

    hash: str
    block_number: int
    block_hash: str
    block_time: int
    log_index: int = 0
    first_sequence: int | None = None
    commissions: tuple[int, ...] = ()


class Change(Struct, rename="camel", frozen=True):
    state: State
    at: int
    detail: str = ""


class Transaction(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    signer: str
    nonce: int
    kind: Kind
    calldata: str
    """The call to the contract, in hex; empty for a no-op."""
    gas: int
    members: tuple[Member, ...] = ()
    anchored: tuple[str, ...] = ()
    """For an anchor: the click ids in the order of its Merkle leaves."""
    attempts: tuple[Attempt, ...] = ()
    state: State = "pending"
    mined: Mined | None = None
    claimed: bool = False
    """Every member's item names this transaction; until then a restart finishes the claims before anything else."""
    changes: tuple[Change, ...] = ()
    version: int = 1

    @property
    def open(self) -> bool:
        return self.state not in SETTLED


def moved(transaction: Transaction, state: State, at: int, detail: str = "", mined: Mined | None = None) -> Transaction:
    """The transaction in its next state, with a line of history; the same object if nothing changes."""
    if transaction.state == state and transaction.mined == mined:
        return transaction
    return replace(transaction, state=state, mined=mined, changes=(*transaction.changes, Change(state, at, detail)))
