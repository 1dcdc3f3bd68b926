"""What a source says of an order: read strictly, normalised once, whoever the source is."""

import re
from codecs import BOM_UTF8
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from chalicelib.domain import money
from chalicelib.domain.config import Config
from chalicelib.domain.decoding import convert, decode
from chalicelib.domain.errors import Malformed, Unprocessable

Action = Literal["sale", "lead"]
Source = Literal["tag", "signed-tag", "server"]
T = TypeVar("T")

PRINTABLE_ASCII = r"[\x20-\x7e]{1,128}"
UNPRINTABLE = r"[\x00-\x1f\x7f\ufffd]"
PRINTABLE = r"[^\x00-\x1f\x7f\ufffd]"
"""U+FFFD stands where bytes were no UTF-8: two orders that differed in them would look like one."""
FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
"""A yes or no as a query or a CSV says it."""
UNREADABLE_CLICK = "unreadable"
"""Stands for a click id that is none. The box makes ids of 24 characters."""
LEADS = ("lead", "leads")
MAX_VOUCHER = 60
MAX_SKU = 100
MAX_NAME = 200
MAX_METADATA_BYTES = 2048
MAX_METADATA_KEYS = 20
MAX_LINES = 100


class Item(Struct, rename="camel", forbid_unknown_fields=True):
    """One line of the basket, as sent."""

    unit_price: str
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    group: Annotated[str, Meta(min_length=1, max_length=60)] = "default"
    sku: Annotated[str, Meta(description="its first 100 characters are kept")] | None = None
    name: Annotated[str, Meta(description="its first 200 characters are kept")] | None = None


class Body(Struct, rename="camel"):
    """The JSON body of a beacon; a server's has `orderId` beside it. Unknown fields are ignored, so that an older box takes a newer tag."""

    action: Annotated[str, Meta(description="sale or lead")]
    values: Annotated[list[str], Meta(description='decimal strings, added up, such as ["100.00"]')] | UnsetType = UNSET
    metadata: (
        Annotated[dict[str, Any], Meta(description="flat; at most 20 keys and 2 KB; never on the network")] | None
    ) = None
    order_id: Annotated[str, Meta(description="the shop's own; a server's report needs it")] | None = None
    click_id: Annotated[str, Meta(description="from the link that led to the shop")] | None = None
    event_id: Annotated[str, Meta(description="the browser's name for this event")] | None = None
    currency: Annotated[str, Meta(description="ISO 4217; the merchant's if missing")] | None = None
    voucher: Annotated[str, Meta(description="a code that may belong to a publisher")] | None = None
    items: Annotated[list[Item], Meta(description="the basket; adds up to the values where both are given")] | None = (
        None
    )
    customer_status: Literal["new", "existing", ""] | None = None
    consent: Any = None
    is_test: Annotated[bool, Meta(description="answered and listed, never on the network, gone after 7 days")] = False
    signature: Annotated[str, Meta(description="of signed page data")] | None = None


class ServerBody(Body, rename="camel", forbid_unknown_fields=True):
    """The JSON body of a server's report. A field the box does not know is refused: a misspelt one must not go unnoticed."""


class Line(Struct, rename="camel", frozen=True):
    """The part of an order in one commission group. `amount` in minor units."""

    group: str
    amount: int


class Report(Struct, frozen=True, kw_only=True):
    """A report that reads well. Amounts in minor units of `currency`."""

    source: Source
    action: Action
    order_id: str | None
    event_id: str | None
    amount: int
    currency: str
    lines: tuple[Line, ...]
    original: tuple[int, str] | None = None
    """Amount and currency before conversion by the config's rates, if there was one."""
    rate: str | None = None
    click_id: str | None = None
    voucher: str | None = None
    customer_status: Literal["new", "existing"] | None = None
    items: tuple[Item, ...] = ()
    metadata: dict[str, str | int | bool | float | None] = {}
    is_test: bool = False

    @property
    def verified(self) -> bool:
        return self.source != "tag"


def read_body(raw: bytes, kind: type[T]) -> T:
    """Decode a JSON body. Raises Malformed with the JSON path of the first thing that is wrong."""
    try:
        return decode(raw.removeprefix(BOM_UTF8), kind)
    except msgspec.ValidationError as error:
        raise Malformed("body_invalid", f"{error}. The fields and their types are at /docs.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec says what it met at which byte, and never what stood there.
        where = f": {str(error).partition(': ')[2] or 'it breaks off'}" if type(error) is msgspec.DecodeError else ""
        raise Malformed("json_malformed", f"The body is not JSON{where}. Send one object, encoded as UTF-8.") from None


def read_query(query: dict[str, str], values: list[str]) -> Body:
    """The image form: the beacon's fields as query parameters, `values` repeated, and any other parameter taken as metadata."""
    fields = {
        "action",
        "clickId",
        "eventId",
        "currency",
        "voucher",
        "customerStatus",
        "isTest",
        "signature",
        "values",
        "consent",
    }
    body: dict[str, Any] = {name: value for name, value in query.items() if name in fields}
    # As the tag does for a page.
    body["values"] = values or (["0"] if query.get("action") in LEADS else [])
    said = query.get("isTest", "")
    body["isTest"] = FLAGS.get(said.lower(), said)
    body["metadata"] = {name: value for name, value in query.items() if name not in fields}
    try:
        return convert(body, Body)
    except msgspec.ValidationError as error:
        raise Malformed("query_invalid", str(error)) from None


def normalise(body: Body, source: Source, config: Config) -> Report:
    """Body -> Report. Raises Unprocessable with a stable code for each value that cannot be accepted."""
    action = _action(body.action)
    metadata = _metadata(body.metadata)
    order_id = _identifier(
        body.order_id or _order_id_in(metadata, config),
        "orderId",
        "order_id_invalid",
        PRINTABLE + "{1,128}",
    )
    event_id = _identifier(body.event_id or None, "eventId", "event_id_invalid", PRINTABLE_ASCII)
    if source == "server" and not body.order_id:
        raise Unprocessable("order_id_missing", "A server's report needs a top-level orderId.")
    if order_id is None and event_id is None:
        raise Unprocessable(
            "order_id_missing",
            f"Send an order id in the metadata (such as {config.tracking.order_id_keys[0]}) or an eventId.",
        )
    currency = money.check_currency(body.currency or config.currency)
    amount, lines = _amounts(body, currency)
    customer_status = body.customer_status or None
    lines = _by_customer(lines, customer_status, config)
    original, rate = None, None
    if currency != config.currency:
        original, rate = (amount, currency), _rate(currency, config)
        lines = tuple(Line(line.group, _convert(line.amount, currency, rate, config.currency)) for line in lines)
        amount = money.check_amount(sum(line.amount for line in lines), config.currency)
    return Report(
        source=source,
        action=action,
        order_id=order_id,
        event_id=event_id,
        amount=amount,
        currency=config.currency,
        lines=lines,
        original=original,
        rate=rate,
        click_id=_click_id(body.click_id),
        voucher=_voucher(body.voucher),
        customer_status=customer_status,
        items=tuple(_item(item) for item in body.items or ()),
        metadata=metadata,
        is_test=body.is_test,
    )


def _action(name: str) -> Action:
    if name in LEADS:
        return "lead"
    if name == "sale":
        return "sale"
    raise Unprocessable("action_unknown", "The action is 'sale' or 'lead'.")


def _identifier(value: str | None, name: str, code: str, pattern: str) -> str | None:
    if value is None:
        return None
    if not re.fullmatch(pattern, value, re.ASCII):
        raise Unprocessable(
            code,
            f"{name} has 1-128 printable characters"
            + (", ASCII alone." if pattern == PRINTABLE_ASCII else ", sent as UTF-8."),
        )
    return value


def _click_id(value: str | None) -> str | None:
    """What cannot be a click's id is a click that the box does not know, and no reason to lose the order: it stood in an address that
    anybody may have written."""
    if not value:
        return None
    return value if re.fullmatch(PRINTABLE_ASCII, value) else UNREADABLE_CLICK


def _voucher(code: str | None) -> str | None:
    """What cannot be a publisher's code is nobody's, and no reason to lose the order: shops send a discount's title here. What is kept of
    it is longer than any code, so that it is never taken for the one it begins with."""
    if not code:
        return None
    if re.fullmatch(PRINTABLE + f"{{1,{MAX_VOUCHER}}}", code):
        return code
    return re.sub(UNPRINTABLE, " ", code)[:MAX_VOUCHER].ljust(MAX_VOUCHER) + "…"


def _item(item: Item) -> Item:
    """Sku and name are for people to read: a product's long title is no reason to lose the order."""
    return replace(item, sku=item.sku and item.sku[:MAX_SKU], name=item.name and item.name[:MAX_NAME])


def _metadata(metadata: dict[str, Any] | None) -> dict[str, str | int | bool | float | None]:
    if not metadata:
        return {}
    if len(metadata) > MAX_METADATA_KEYS:
        raise Unprocessable("metadata_too_large", f"Metadata has at most {MAX_METADATA_KEYS} keys.")
    if any(isinstance(value, dict | list) for value in metadata.values()):
        raise Unprocessable("metadata_nested", "Metadata is flat: its values are strings, numbers, booleans or null.")
    if len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
        raise Unprocessable("metadata_too_large", f"Metadata takes at most {MAX_METADATA_BYTES} bytes as JSON.")
    return metadata


def _order_id_in(metadata: dict[str, str | int | bool | float | None], config: Config) -> str | None:
    for key in config.tracking.order_id_keys:
        value = metadata.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
            return str(value)
    return None


def _amounts(body: Body, currency: str) -> tuple[int, tuple[Line, ...]]:
    """The total and its split by commission group. With items and values both given, they must agree to the minor unit."""
    values = (
        None
        if body.values is UNSET
        else [money.parse_named(f"values[{index}]", value, currency) for index, value in enumerate(body.values)]
    )
    if values is not None and not 0 < len(values) <= MAX_LINES:
        raise Unprocessable("values_missing", f'Give 1-{MAX_LINES} values, such as ["100.00"].')
    if not body.items:
        if values is None:
            raise Unprocessable("values_missing", 'Give the values as an array of decimal strings, such as ["100.00"].')
        return money.check_amount(sum(values), currency), (Line("default", sum(values)),)
    if len(body.items) > MAX_LINES:
        raise Unprocessable(
            "items_too_many", f"An order has at most {MAX_LINES} items; add up those of one commission group."
        )
    groups: dict[str, int] = {}
    for index, item in enumerate(body.items):
        price = money.parse_named(f"items[{index}].unitPrice", item.unit_price, currency)
        groups[item.group] = groups.get(item.group, 0) + price * item.quantity
    total = money.check_amount(sum(groups.values()), currency)
    if values is not None and sum(values) != total:
        raise Unprocessable(
            "items_sum_mismatch",
            f"The items add up to {money.format_amount(total, currency)}, the values to {money.format_amount(sum(values), currency)}.",
        )
    return total, tuple(Line(group, groups[group]) for group in sorted(groups))


def _by_customer(
    lines: tuple[Line, ...], status: Literal["new", "existing"] | None, config: Config
) -> tuple[Line, ...]:
    """What names no group counts under the customer's, where the config has one; what names a group keeps it."""
    group = config.tracking.customer_groups.get(status) if status else None
    if group is None:
        return lines
    amounts: dict[str, int] = {}
    for line in lines:
        name = group if line.group == "default" else line.group
        amounts[name] = amounts.get(name, 0) + line.amount
    return tuple(Line(name, amounts[name]) for name in sorted(amounts))


def _rate(currency: str, config: Config) -> str:
    rate = config.rates.get(currency)
    if rate is None:
        raise Unprocessable(
            "currency_not_accepted",
            f"This merchant takes {', '.join([config.currency, *sorted(config.rates)])}.",
        )
    return rate


def _convert(minor: int, currency: str, rate: str, into: str) -> int:
    """Multiply by a decimal-string rate in integers, rounded half up."""
    whole, _, fraction = rate.partition(".")
    numerator = minor * int(whole + fraction) * money.minor_units(into)
    denominator = int("1".ljust(len(fraction) + 1, "0")) * money.minor_units(currency)
    return (2 * numerator + denominator) // (2 * denominator)
