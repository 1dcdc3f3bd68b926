"""Single named items: leases, nonce counters, what somebody last saw."""

from typing import Any, TypeVar

import msgspec
from pynamodb.exceptions import PutError, UpdateError

from chalicelib.adapters.stores.item import condition_failed, dump, read
from chalicelib.adapters.tables import State

T = TypeVar("T")


def signer_state(signer: str) -> str:
    return f"signer#{signer}"


class StateStore:
    """Single named items."""

    def read(self, name: str, kind: type[T]) -> T | None:
        item = read(State, name)
        return None if item is None or item.body is None else msgspec.json.decode(item.body, type=kind)

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

    def next_nonce(self, signer: str) -> int | None:
        item = read(State, signer_state(signer))
        return None if item is None or item.next_nonce is None else int(item.next_nonce)

    def start_nonce(self, signer: str, nonce: int) -> None:
        """Set the counter where it was never set: a fresh key starts at what the network says."""
        never_counted = State.next_nonce.does_not_exist()
        try:
            State(signer_state(signer)).update(actions=[State.next_nonce.set(nonce)], condition=never_counted)
        except UpdateError as error:
            if not condition_failed(error):
                raise

    def skip_nonces(self, signer: str, counted: int, to: int) -> None:
        """Step over nonces that the network says are spent."""
        nobody_counted_on = State.next_nonce == counted
        try:
            State(signer_state(signer)).update(actions=[State.next_nonce.set(to)], condition=nobody_counted_on)
        except UpdateError as error:
            if not condition_failed(error):
                raise

    def lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or prolong a lease (milliseconds). False while another holder's lasts."""
        free_or_ours = State.lease_holder.does_not_exist() | (State.lease_holder == holder) | (State.lease_until < now)
        try:
            State(name).update(
                actions=[State.lease_holder.set(holder), State.lease_until.set(until)], condition=free_or_ours
            )
        except UpdateError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def release(self, name: str, holder: str) -> None:
        lease_is_ours = State.lease_holder == holder
        try:
            State(name).update(
                actions=[State.lease_holder.remove(), State.lease_until.remove()], condition=lease_is_ours
            )
        except UpdateError as error:
            if not condition_failed(error):
                raise
