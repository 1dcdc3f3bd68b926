"""Lanes: several keys sign in parallel, each for its own share of the outbox's slots."""

from msgspec import Struct


class Lanes(Struct, rename="camel", frozen=True):
    """Which keys share the outbox, from one change of that to the next.

    `number` grows with every change, so that what was cut under earlier lanes can be told from what is cut under these. Until they are
    `settled`, something of the earlier ones may be reserved and still stand in the outbox, and nobody may cut.
    """

    number: int
    keys: tuple[str, ...]
    """Addresses; the slots go round."""
    settled: bool

    def slots(self, key: str, count: int) -> tuple[int, ...]:
        """Which of `count` slots are this key's; none for a key that has no lane."""
        return tuple(slot for slot in range(count) if self.keys[slot % len(self.keys)] == key)
