"""The parties as the box knows them: publishers, and the agreements both sides signed."""

from typing import Literal

from msgspec import Struct

from chalicelib.domain.agreement import Terms


class Link(Struct, rename="camel", frozen=True):
    """What the click route needs of the agreement in force, so that a click costs one read."""

    agreement_id: str
    attribution_window_days: int


class Publisher(Struct, rename="camel", frozen=True, kw_only=True):
    """`link` is None while no agreement is active: links then lead to the shop and count no click."""

    publisher_id: str
    name: str
    account: str
    hosted: bool
    link: Link | None = None


class Agreement(Struct, rename="camel", frozen=True, kw_only=True):
    """Signed terms. Times in milliseconds; `registered_in` is the transaction that put them on the network, and from
    `registered_at` on they are in force; None where nobody wrote down when that was."""

    agreement_id: str
    publisher_id: str
    terms: Terms
    state: Literal["draft", "active", "ended"]
    registered_in: str | None = None
    registered_at: int | None = None
    ended_at: int | None = None
