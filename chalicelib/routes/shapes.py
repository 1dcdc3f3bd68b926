"""The answers' shapes, for /openapi.json and the tests that hold every answer against it. Only they import this module."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Money = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="a decimal string in the currency's unit")]
Time = Annotated[str, Meta(pattern=r"^[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z$", description="RFC 3339, UTC")]
Status = Literal["open", "approved", "sale", "rejected"]
NetworkState = Literal["none", "held", "pending", "sent", "mined", "confirmed", "failed", "replaced", "setAside"]


class Shape(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pass


class Problem(Shape, kw_only=True):
    """RFC 9457. `code` is stable: programs go by it, people by `detail`."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class ClickMade(Shape, kw_only=True):
    click_id: str


class BeaconAnswer(Shape, kw_only=True):
    status: Status
    attributed: bool
    duplicate: bool
    conversion_id: str | UnsetType = UNSET
    """Missing from a duplicate that another browser reported."""
    reason: str | UnsetType = UNSET
    is_test: bool | UnsetType = UNSET


class AttributionShown(Shape, kw_only=True):
    rule: Literal["last_click", "voucher", "none"]
    clicked_at: Time | None
    reason: str | None
    loser: str | None


class ChangeShown(Shape, kw_only=True):
    """The newest decision or amendment, on its way to the network."""

    state: str
    transaction: str | None
    block_number: int | None


class NetworkShown(Shape, kw_only=True):
    state: NetworkState
    sequence: int | None
    transaction: str | None
    block_number: int | None
    reason: str | None
    change: ChangeShown | None


class HappeningShown(Shape, kw_only=True):
    at: Time
    event: str
    by: str
    detail: str


class LineShown(Shape, kw_only=True):
    group: str
    amount: Money


class Converted(Shape, kw_only=True):
    amount: Money
    currency: str
    rate: str


class ConversionShown(Shape, kw_only=True):
    """What only the merchant may see is missing for a publisher's key."""

    conversion_id: str
    action: Literal["sale", "lead"]
    status: Status
    amount: Money
    currency: str
    commission: Money
    publisher_id: str | None
    click_id: str | None
    sub_id: str | None
    source: Literal["tag", "signed-tag", "server"]
    verified: bool
    attributed: bool
    attribution: AttributionShown
    reason: str | None
    is_test: bool
    erased_at: Time | None
    created_at: Time
    due_at: Time | None
    lock_at: Time | None
    network: NetworkShown
    history: list[HappeningShown]
    order_id: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    lines: list[LineShown] | UnsetType = UNSET
    voucher: str | UnsetType | None = UNSET
    customer_status: Literal["new", "existing"] | UnsetType | None = UNSET
    converted: Converted | UnsetType | None = UNSET


class ConversionReceived(ConversionShown, kw_only=True):
    duplicate: bool


class ConversionPage(Shape, kw_only=True):
    conversions: list[ConversionShown]
    next: str | None
    """The cursor of the next page."""


class RowError(Shape, kw_only=True):
    code: str
    detail: str


class RowResult(Shape, kw_only=True):
    """`code` is the HTTP status that the row's single call would have had."""

    index: int
    code: int
    conversion_id: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    duplicate: bool | UnsetType = UNSET
    error: RowError | UnsetType = UNSET


class BatchAnswer(Shape, kw_only=True):
    results: list[RowResult]


class CommissionByStatus(Shape, kw_only=True):
    open: Money
    approved: Money
    sale: Money
    rejected: Money


class Figures(Shape, kw_only=True):
    clicks: int
    conversions: int
    unattributed: dict[str, int]
    amount: Money
    commission: CommissionByStatus
    conversion_rate: str | None
    earnings_per_click: Money | None


class StatsRow(Figures, kw_only=True):
    key: str


class Stats(Shape, kw_only=True):
    first: str = field(name="from")
    to: str
    by: Literal["day", "publisher", "subId", "status"]
    currency: str
    rows: list[StatsRow]
    totals: Figures


class Account(Shape, kw_only=True):
    conversions: int
    amount: Money
    commission: Money
    rejected: int
    rejected_amount: Money
    first_sequence: int | None
    last_sequence: int | None


class PublisherAccount(Account, kw_only=True):
    publisher_id: str


class Statement(Shape, kw_only=True):
    month: str
    currency: str
    final: bool
    publishers: list[PublisherAccount]
    totals: Account


class ReceiptEntry(Shape, kw_only=True):
    group: str
    amount: Money
    sequence: int
    commission: Money


class Receipt(Struct, rename="camel", kw_only=True):
    """All that a check against the chain needs."""

    conversion_id: str
    payload: dict[str, Any]
    salt: str
    commitment: str
    agreement_id: str
    merchant: str
    publisher: str | None
    batch: str
    entries: list[ReceiptEntry]
    sequence: int
    transaction: str
    block_number: int
    block_hash: str
    log_index: int
    currency: str
    amount: Money
    commission: Money
    status: Status
    verified: bool
    hosted: bool
    final: bool
    chain_id: int
    contract: str


class NoReceipt(Shape, kw_only=True):
    """Not on the network yet, or never: `reason` says why."""

    conversion_id: str
    state: NetworkState
    reason: str | None


class ClickProof(Struct, rename="camel", kw_only=True):
    click_id: str
    payload: dict[str, Any]
    salt: str
    merchant: str
    chain_id: int
    contract: str
    state: str
    final: bool
    root: str
    index: int
    proof: list[str]
    count: int
    sequence: int
    transaction: str
    block_number: int


class NoClickProof(Struct, rename="camel", kw_only=True):
    """The click waits for its anchor."""

    click_id: str
    payload: dict[str, Any]
    salt: str
    merchant: str
    chain_id: int
    contract: str
    state: str
    final: bool


class Health(Struct, rename="camel", kw_only=True):
    version: str
    merchant: str
    config_hash: str
    table: str
    status: Literal["ok", "degraded", "starting", "down"]
    network: dict[str, Any] | UnsetType | None = UNSET


class PublicConfig(Struct, rename="camel", kw_only=True):
    merchant: dict[str, str]
    attribution_window_days: int
    currency: str
    time_zone: str
    origins: list[str]
    click_parameters: list[str]
    via_parameter: str
    order_id_keys: list[str]
    consent: Literal["granted", "required", "off"]
    cookie_domain: str | None
    chain_id: int
    contract: str
    signer: str | None
    tag: dict[str, str]


class KeyShown(Shape, kw_only=True):
    name: str
    scopes: list[str]
    publisher_id: str | None


class PostbackShown(Shape, kw_only=True):
    postback_id: str
    publisher_id: str
    url: str
    method: Literal["GET", "POST"]
    body: str | None
    events: list[str]
    active: bool
    notice: str | None
    failing_since: Time | None
    created_at: Time
    secrets: int
    secret: str | UnsetType = UNSET
    """Shown once, when it is made."""


class PostbackList(Shape, kw_only=True):
    postbacks: list[PostbackShown]


class AttemptShown(Shape, kw_only=True):
    at: Time
    outcome: str
    milliseconds: int


class DeliveryShown(Shape, kw_only=True):
    delivery_id: str
    event: str
    conversion_id: str
    state: Literal["waiting", "delivered", "givenUp"]
    created_at: Time
    data: dict[str, Any]
    attempts: list[AttemptShown]


class DeliveryPage(Shape, kw_only=True):
    deliveries: list[DeliveryShown]
    next: str | None


class Replayed(Shape, kw_only=True):
    replayed: int


class Erased(Shape, kw_only=True):
    conversions: list[str]
    clicks: int
