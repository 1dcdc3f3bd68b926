"""The integration config: one JSON file a merchant, public by rule.

The model here is the source of `configs/schema.json`; `parse` reports a mistake with its JSON path, the fault and the remedy.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from chalicelib.domain import json_text
from chalicelib.domain.decoding import convert

if TYPE_CHECKING:
    from chalicelib.domain.config_faults import Fault

VERSION = 1

Id = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$", description="3-40 of a-z, 0-9 and '-'")]
Url = Annotated[str, Meta(pattern="^https?://[^\\s]+$", description="an http(s) address")]
Host = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9.-]+(:[0-9]+)?$",
        description="a host name, with a port where it is not the usual one",
    ),
]
NO_ORIGIN = "null"
Origin = Annotated[
    str,
    Meta(
        pattern=f"^({NO_ORIGIN}|https?://[a-z0-9.-]+(:[0-9]+)?)$",
        description="scheme and host, without a path; 'null' for pages in a sandboxed frame, whoever's they are",
    ),
]
Domain = Annotated[str, Meta(pattern="^\\.?[a-z0-9.-]+$", description="a domain, such as shop.example")]
Name = Annotated[str, Meta(min_length=1, max_length=60)]
Address = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$", description="an address: 0x and 40 hex digits")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217, such as EUR")]
Days = Annotated[int, Meta(ge=0, le=400)]
Decimal = Annotated[
    str, Meta(pattern="^[0-9]{1,12}(\\.[0-9]{1,6})?$", description='a decimal string, such as "10" or "2.50"')
]


class Strict(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    pass


class Merchant(Strict, frozen=True):
    id: Id
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    account: Address
    """The merchant's own account on the network; the box acts for it by an operational key that the account authorised."""


class Site(Strict, frozen=True):
    """Where a shopper lands, and which pages may talk to the box."""

    landing_page: Url
    origins: Annotated[tuple[Origin, ...], Meta(min_length=1, max_length=50)]
    hosts: Annotated[tuple[Host, ...], Meta(min_length=1, max_length=50)]
    """Hosts a deep link may lead to."""
    parameters: dict[Name, str] = {}
    """Added to the landing page's query, such as utm_source."""


class Tracking(Strict, frozen=True):
    """How clicks and orders are recognised."""

    click_parameters: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=5)] = ("clickId",)
    via_parameter: Name = "via"
    order_id_keys: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=20)] = (
        "orderId",
        "order_id",
        "bookingReference",
        "booking_reference",
        "reference",
        "transactionId",
    )
    cookie_domain: Domain | None = None
    consent: Literal["granted", "required", "off"] = "granted"
    customer_groups: dict[Literal["new", "existing"], Name] = {}
    """Commission groups by the reported customer status, for orders without groups of their own: an agreement that pays only for new
    customers has rules for their group and none, or a rate of 0, for the default one."""
    hold_unverified: bool = False
    """Keep conversions that only a browser reported off the network until they are verified or approved."""


class CommissionRule(Strict, frozen=True):
    """One line of an agreement's terms: `percent` of the amount, or `fixed` per conversion in the agreement's currency."""

    action: Literal["sale", "lead"]
    group: Name = "default"
    from_amount: Decimal = "0"
    to_amount: Decimal | None = None
    percent: Decimal | None = None
    fixed: Decimal | None = None


class AgreementDefaults(Strict, frozen=True, kw_only=True):
    """Terms offered to a new publisher. They never change an agreement that is already signed."""

    attribution_window_days: Annotated[int, Meta(ge=1, le=400)] = 30
    validation_days: Days = 14
    lock_days: Days = 30
    silence_approves: Literal["verified", "all"] = "verified"
    rules: Annotated[tuple[CommissionRule, ...], Meta(min_length=1, max_length=16)]


class Network(Strict, frozen=True):
    """Which chain and contract hold the records, and how often the box writes to them."""

    chain_id: Annotated[int, Meta(ge=1)]
    contract: Address
    confirmations: Annotated[int, Meta(ge=1, le=1000)] = 12
    """Blocks after which a transaction is final on a network without a `finalized` tag."""
    batch_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """A batch is sent when its oldest entry has waited this long,"""
    batch_size: Annotated[int, Meta(ge=1, le=400)] = 100
    """or when it has this many entries."""
    anchor_minutes: Annotated[int, Meta(ge=1, le=1440)] = 60
    max_fee_gwei: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """Fees are never bumped past this. Work is offered up to 12 % below it: what is left is for a no-op that has to take a stuck nonce."""


class Signer(Strict, frozen=True):
    kind: Literal["local", "keystore", "kms"]
    """`local` keeps its key in a file and is refused on any public network."""
    keys: Annotated[int, Meta(ge=1, le=16)] = 1
    """How many keys sign in parallel. One carries 16 transactions at a time; see docs/scale.md for when that is not enough."""


class Config(Strict, frozen=True, kw_only=True):
    schema: str | None = msgspec.field(default=None, name="$schema")
    version: Literal[1]
    merchant: Merchant
    site: Site
    tracking: Tracking = Tracking()
    currency: Currency
    time_zone: Name = "UTC"
    rates: dict[Currency, Decimal] = {}
    """Units of `currency` that one unit of another currency is worth; an order in a currency not listed is refused."""
    agreement_defaults: AgreementDefaults
    network: Network
    signer: Signer


class ConfigError(Exception):
    """What is wrong with a config file, for the person who edits it."""

    def __init__(self, file: str, path: str, fault: str, remedy: str) -> None:
        super().__init__(f"{file}: {path}: {fault}. {remedy}")
        self.file, self.path, self.fault, self.remedy = file, path, fault, remedy


def parse(text: bytes, file: str) -> Config:
    """Read a config file's bytes. `file` is its name, for the message only. Raises ConfigError, for the first mistake in its form."""
    try:
        written = json_text.read(text)
    except json_text.NotJson as error:
        raise ConfigError(file, "$", error.fault, error.remedy) from None
    config, wrong = formed(written)
    if config is None:
        raise ConfigError(file, wrong[0].path, wrong[0].fault, wrong[0].remedy)
    return config


def formed(written: json_text.Written) -> "tuple[Config | None, list[Fault]]":
    """The config, or every fault of its form."""
    try:
        config = convert(written.document, Config)
    except msgspec.ValidationError:
        config = None
    if config is not None and not written.repeated:
        return config, []
    from chalicelib.domain.config_faults import faults, repetitions  # a box that starts well has no use for them

    return None, [*repetitions(written.repeated), *faults(written.document, Config)]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that configs are written against."""
    schema = msgspec.json.schema(Config)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Integration config of a merchant box",
        **schema,
    }
