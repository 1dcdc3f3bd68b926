"""One transaction of the box's signer: a nonce, every signed attempt to get it onto the network, and - apart, as cargo - what it carries.

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

from chalicelib.domain.conversion import Entry

State = Literal["pending", "sent", "mined", "confirmed", "failed", "replaced"]
Kind = Literal["record", "supersede", "amend", "decide", "anchor", "fill"]
"""`fill` carries nothing: it takes a nonce that was left out below others."""

SETTLED: tuple[State, ...] = ("confirmed", "failed", "replaced")
"""States that nothing changes any more."""


class Attempt(Struct, rename="camel", frozen=True, kw_only=True):
    """Signed bytes, stored before they are sent and re-sent as they are. Fees in wei per gas, `at` in milliseconds.

    A `noop` attempt sends nothing to nobody: it frees the nonces behind one that cannot get through.
    """

    hash: str
    raw: str
    max_fee: int
    priority_fee: int
    at: int
    noop: bool = False


class Member(Struct, rename="camel", frozen=True, kw_only=True):
    """What the transaction makes of a conversion's entry number `number`: from `before` (None: there was none) to `entry`.

    Both are stored whole, so that a restart can finish a claim and a failure can take it back from the transaction alone.
    """

    conversion_id: str
    number: int
    before: Entry | None
    entry: Entry


class Mined(Struct, rename="camel", frozen=True, kw_only=True):
    """Where the network holds the transaction. `commissions` are the contract's own, one per entry of a record batch, in minor units."""

    hash: str
    block_number: int
    block_hash: str
    block_time: int
    reverted: bool = False
    log_index: int = 0
    first_sequence: int | None = None
    commissions: tuple[int, ...] = ()


class Change(Struct, rename="camel", frozen=True):
    state: State
    at: int
    detail: str = ""


class Cargo(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """What a transaction carries. Written with it and never changed; kept apart, for it is many times what each look at it needs."""

    calldata: str
    """The call to the contract, in hex."""
    body: str = ""
    """Of a record or supersede: the batch's body and, in `commitments`, its commitments, in hex; an amend has to show them again."""
    commitments: str = ""
    members: tuple[Member, ...] = ()
    anchored: tuple[str, ...] = ()
    """For an anchor: the click ids in the order of its Merkle leaves,"""
    leaves: tuple[str, ...] = ()
    """and the leaves in hex, for clicks are forgotten earlier than their anchor."""


class Transaction(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    signer: str
    nonce: int
    kind: Kind
    gas: int
    attempts: tuple[Attempt, ...] = ()
    state: State = "pending"
    mined: Mined | None = None
    claimed: bool = False
    """Every member's item names this transaction; until then a restart finishes the claims before anything else."""
    abandoned: bool = False
    """It was never signed and nobody is to sign it any more: what it carries is given back. Stored before that is, so that a process which
    wakes up late and would sign it finds it changed."""
    spent_since: int | None = None
    """Milliseconds: since when its nonce is seen spent while no receipt of ours is. Usually a node that lags."""
    at_cap_since: int | None = None
    """Milliseconds: since when it offers all that the config allows, that is enough for the base fee, and it is not mined."""
    changes: tuple[Change, ...] = ()
    version: int = 1

    @property
    def open(self) -> bool:
        return self.state not in SETTLED

    @property
    def waits(self) -> bool:
        """Not on the network yet: one of those in flight."""
        return self.open and self.mined is None


def moved(transaction: Transaction, state: State, at: int, detail: str = "", mined: Mined | None = None) -> Transaction:
    """The transaction in its next state, with a line of history; the same object if nothing changes."""
    if transaction.state == state and transaction.mined == mined:
        return transaction
    return replace(transaction, state=state, mined=mined, changes=(*transaction.changes, Change(state, at, detail)))
