"""API keys: kept only as their SHA-256, so that the table gives nobody a key."""

from dataclasses import dataclass

from pynamodb.exceptions import UpdateError

from chalicelib.adapters.stores.item import condition_failed, read
from chalicelib.adapters.tables import Keys


@dataclass(frozen=True)
class Key:
    """Times in milliseconds since 1970 UTC."""

    key_hash: str
    name: str
    scopes: frozenset[str]
    created_at: int
    last_used_at: int | None
    revoked_at: int | None


class KeyStore:
    def get(self, key_hash: str) -> Key | None:
        item = read(Keys, key_hash)
        return None if item is None else _key(item)

    def create(self, key_hash: str, name: str, scopes: frozenset[str], now: int) -> None:
        Keys(key_hash, name=name, scopes=set(scopes), created_at=now).save()

    def all(self) -> list[Key]:
        return sorted((_key(item) for item in Keys.scan(consistent_read=True)), key=lambda key: key.created_at)

    def used(self, key_hash: str, now: int) -> None:
        Keys(key_hash).update(actions=[Keys.last_used_at.set(now)], condition=Keys.key_hash.exists())

    def revoke(self, key_hash: str, now: int) -> bool:
        """False when it was revoked before or never existed."""
        still_valid = Keys.key_hash.exists() & Keys.revoked_at.does_not_exist()
        try:
            Keys(key_hash).update(actions=[Keys.revoked_at.set(now)], condition=still_valid)
        except UpdateError as error:
            if condition_failed(error):
                return False
            raise
        return True


def _key(item: Keys) -> Key:
    return Key(
        key_hash=item.key_hash,
        name=item.name,
        scopes=frozenset(item.scopes),
        created_at=int(item.created_at),
        last_used_at=None if item.last_used_at is None else int(item.last_used_at),
        revoked_at=None if item.revoked_at is None else int(item.revoked_at),
    )
