"""Single named items: leases, nonce counters, what somebody last saw."""

from typing import Any, TypeVar

from pynamodb.exceptions import PutError, UpdateError
from pynamodb.expressions.condition import Condition

from chalicelib.adapters.stores.item import condition_failed, dump, read
from chalicelib.adapters.tables import State
from chalicelib.domain.decoding import decode

T = TypeVar("T")


LANES = "lanes"
"""Which keys share the outbox."""
SIGNERS = "signers"
"""Addresses of every key that the box ever signed with, in the order in which it began to."""


def signer_state(signer: str) -> str:
    return f"signer#{signer}"


class StateStore:
    """Single named items."""

    def read(self, name: str, kind: type[T]) -> T | None:
        item = read(State, name)
        return None if item is None or item.body is None else decode(item.body, kind)

    def write(self, name: str, body: Any) -> None:
        State(name).update(actions=[State.body.set(dump(body))])

    def write_once(self, name: str, body: Any) -> None:
        """Keep the first value anybody writes under this name."""
        nobody_wrote_before = State.name.does_not_exist()
        try:
            State(name, body=dump(body)).save(condition=nobody_wrote_before)
        except PutError as error:
            if not condition_failed(error):
                raise

    def swap(self, name: str, before: Any | None, after: Any) -> bool:
        """Write `after` where `before` still stands; None stands for nothing yet. False where somebody else was quicker."""
        nobody_changed_it = State.body.does_not_exist() if before is None else State.body == dump(before)
        return self._update_if(name, [State.body.set(dump(after))], nobody_changed_it)

    def next_nonce(self, signer: str) -> int | None:
        item = read(State, signer_state(signer))
        return None if item is None or item.next_nonce is None else int(item.next_nonce)

    def signers(self) -> list[str]:
        """The addresses under SIGNERS; none before the first turn."""
        return self.read(SIGNERS, list[str]) or []

    def carrying(self, signer: str) -> int | None:
        """The nonce of the signer's newest transaction that carries conversions; None where it was never noted."""
        item = read(State, signer_state(signer))
        return None if item is None or item.carrying is None else int(item.carrying)

    def carry(self, signer: str, before: int | None, nonce: int) -> bool:
        """Note that none above this nonce carries a conversion that is still there. False where one was reserved since."""
        nobody_reserved_since = State.carrying.does_not_exist() if before is None else State.carrying == before
        return self._update_if(signer_state(signer), [State.carrying.set(nonce)], nobody_reserved_since)

    def start_nonce(self, signer: str, nonce: int) -> None:
        """Set the counter where it was never set: a fresh key starts at what the network says."""
        never_counted = State.next_nonce.does_not_exist()
        self._update_if(signer_state(signer), [State.next_nonce.set(nonce)], never_counted)

    def skip_nonces(self, signer: str, counted: int, to: int) -> None:
        """Step over nonces that the network says are spent for good."""
        nobody_counted_on = State.next_nonce == counted
        self._update_if(signer_state(signer), [State.next_nonce.set(to)], nobody_counted_on)

    def settle_below(self, signer: str, nonce: int) -> None:
        """Remember that every transaction below `nonce` is settled. That stays true, so the number only ever grows."""
        it_grows = State.settled_below.does_not_exist() | (State.settled_below < nonce)
        self._update_if(signer_state(signer), [State.settled_below.set(nonce)], it_grows)

    def lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take a lease (milliseconds). False while another holder's lasts; the SDK may ask twice."""
        free_or_ours = State.lease_holder.does_not_exist() | (State.lease_holder == holder) | (State.lease_until < now)
        return self._update_if(name, _leased(holder, until), free_or_ours)

    def prolong(self, name: str, holder: str, until: int) -> bool:
        """False once another took it over, even if that one gave it back since: what this holder read may be done by now."""
        nobody_held_it_since = State.lease_holder == holder
        return self._update_if(name, _leased(holder, until), nobody_held_it_since)

    def release(self, name: str, holder: str) -> None:
        lease_is_ours = State.lease_holder == holder
        self._update_if(name, [State.lease_holder.remove(), State.lease_until.remove()], lease_is_ours)

    def _update_if(self, name: str, actions: list[Any], condition: Condition) -> bool:
        try:
            State(name).update(actions=actions, condition=condition)
        except UpdateError as error:
            if condition_failed(error):
                return False
            raise
        return True


def _leased(holder: str, until: int) -> list[Any]:
    return [State.lease_holder.set(holder), State.lease_until.set(until)]
