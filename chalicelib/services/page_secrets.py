"""The secrets that a merchant's server signs its pages with. Two may be in use while one takes the other's place."""

import secrets

from chalicelib.bootstrap import Box

NAME = "page-secrets"
IN_USE = 2


def renew(box: Box) -> str:
    """A new secret, shown once. The one before stays valid until the next renewal, so that pages already sent still count."""
    made = secrets.token_urlsafe(32)
    kept = box.state.read(NAME, list[str]) or []
    box.state.write(NAME, [made, *kept][:IN_USE])
    return made


def withdraw_all_but_newest(box: Box) -> None:
    """When an old secret leaked."""
    kept = box.state.read(NAME, list[str]) or []
    box.state.write(NAME, kept[:1])
