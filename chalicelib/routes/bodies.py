"""JSON bodies of the smaller calls."""

from typing import Annotated

from msgspec import Meta, Struct


class ClickBody(Struct, rename="camel"):
    via: Annotated[str, Meta(min_length=1, max_length=128)]
    url: str | None = None
    referrer: str | None = None
    sub_id: str | None = None


class CorrectionBody(Struct, rename="camel", forbid_unknown_fields=True):
    """PATCH /v1/conversions/{id}. `lines` gives new amounts by commission group."""

    status: str | None = None
    reason: str | None = None
    amount: str | None = None
    lines: dict[str, str] | None = None
