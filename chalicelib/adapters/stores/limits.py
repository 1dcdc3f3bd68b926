"""Shared counters of calls, and the day's salt that addresses are hashed with."""

import secrets

from pynamodb.exceptions import PutError

from chalicelib.adapters.stores.item import condition_failed, read
from chalicelib.adapters.tables import Limits


class LimitStore:
    def add(self, name: str, calls: int, expires_at: int) -> int:
        """The total of every process after adding `calls`. `expires_at` in seconds since 1970."""
        item = Limits(name)
        item.update(actions=[Limits.calls.add(calls), Limits.expires_at.set(expires_at)])
        return int(item.calls or 0)

    def salt_of(self, day: str, expires_at: int) -> bytes:
        """The first process of the day draws it; no other day's can be found again once its item is gone."""
        name = f"salt#{day}"
        nobody_drew_before = Limits.name.does_not_exist()
        try:
            Limits(name, salt=secrets.token_hex(16), expires_at=expires_at).save(condition=nobody_drew_before)
        except PutError as error:
            if not condition_failed(error):
                raise
        return bytes.fromhex(read(Limits, name).salt)
