"""JSON bodies of the smaller calls."""

from typing import Annotated, Literal

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


class ErasureBody(Struct, rename="camel", forbid_unknown_fields=True):
    """POST /v1/erasures: one of the two."""

    order_id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    conversion_id: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class PostbackBody(Struct, rename="camel", forbid_unknown_fields=True):
    """POST and PATCH of a postback. `body` is a template too; without one a POST carries the full JSON."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    method: Literal["GET", "POST"] | None = None
    body: Annotated[str, Meta(max_length=2048)] | None = None
    events: Annotated[list[str], Meta(max_length=10)] | None = None
    active: bool | None = None
    rotate_secret: bool = False


class ReplayBody(Struct, rename="camel", forbid_unknown_fields=True):
    delivery_id: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
