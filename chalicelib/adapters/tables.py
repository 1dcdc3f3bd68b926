"""The box's DynamoDB tables. Keys and index attributes stand beside `body`, the whole entity as JSON; nothing else is ever queried.

Each table's name is the stage's prefix and the class's name in lower case; `bind` sets it, once per process.
"""

import threading
from typing import Any

from botocore.config import Config
from botocore.session import Session
from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.connection import Connection
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection
from pynamodb.models import Model

OUTBOX_SLOTS = 16
"""A partition takes 1,000 writes a second; 16 slots keep one merchant's 1,000 conversions a second far from that."""
DAY_SLOTS = 8


class Clicks(Model):
    class Meta:
        table_name = "clicks"
        billing_mode = "PAY_PER_REQUEST"

    class ByDay(GlobalSecondaryIndex["Clicks"]):
        class Meta:
            index_name = "byDay"
            projection = IncludeProjection(["publisherId", "subId"])

        day_slot = UnicodeAttribute(hash_key=True, attr_name="daySlot")
        clicked_at = NumberAttribute(range_key=True, attr_name="clickedAt")

    class Unanchored(GlobalSecondaryIndex["Clicks"]):
        class Meta:
            index_name = "unanchored"
            projection = KeysOnlyProjection()

        anchor_slot = UnicodeAttribute(hash_key=True, attr_name="anchorSlot")
        clicked_at = NumberAttribute(range_key=True, attr_name="clickedAt")

    click_id = UnicodeAttribute(hash_key=True, attr_name="clickId")
    publisher_id = UnicodeAttribute(attr_name="publisherId")
    sub_id = UnicodeAttribute(attr_name="subId", null=True)
    day_slot = UnicodeAttribute(attr_name="daySlot")
    clicked_at = NumberAttribute(attr_name="clickedAt")
    anchor_slot = UnicodeAttribute(attr_name="anchorSlot", null=True)
    anchor = UnicodeAttribute(null=True)
    """JSON [signer, nonce, leaf index] once the click is part of an anchor."""
    given_back = UnicodeAttribute(attr_name="givenBack", null=True)
    """The newest anchor that claimed the click and never came to be."""
    expires_at = NumberAttribute(attr_name="expiresAt")
    body = UnicodeAttribute()
    by_day = ByDay()
    unanchored = Unanchored()


class Conversions(Model):
    class Meta:
        table_name = "conversions"
        billing_mode = "PAY_PER_REQUEST"
        stream_view_type = "KEYS_ONLY"

    class Outbox(GlobalSecondaryIndex["Conversions"]):
        class Meta:
            index_name = "outbox"
            projection = KeysOnlyProjection()

        outbox_slot = UnicodeAttribute(hash_key=True, attr_name="outboxSlot")
        outbox_since = NumberAttribute(range_key=True, attr_name="outboxSince")

    class ByDay(GlobalSecondaryIndex["Conversions"]):
        class Meta:
            index_name = "byDay"
            projection = IncludeProjection(["publisherId"])

        day_slot = UnicodeAttribute(hash_key=True, attr_name="daySlot")
        created_at = NumberAttribute(range_key=True, attr_name="createdAt")

    conversion_id = UnicodeAttribute(hash_key=True, attr_name="conversionId")
    publisher_id = UnicodeAttribute(attr_name="publisherId", null=True)
    day_slot = UnicodeAttribute(attr_name="daySlot")
    created_at = NumberAttribute(attr_name="createdAt")
    outbox_slot = UnicodeAttribute(attr_name="outboxSlot", null=True)
    outbox_since = NumberAttribute(attr_name="outboxSince", null=True)
    expires_at = NumberAttribute(attr_name="expiresAt", null=True)
    version = NumberAttribute()
    body = UnicodeAttribute()
    outbox = Outbox()
    by_day = ByDay()


class Transactions(Model):
    class Meta:
        table_name = "transactions"
        billing_mode = "PAY_PER_REQUEST"

    signer = UnicodeAttribute(hash_key=True)
    nonce = NumberAttribute(range_key=True)
    version = NumberAttribute()
    body = UnicodeAttribute()


class Publishers(Model):
    class Meta:
        table_name = "publishers"
        billing_mode = "PAY_PER_REQUEST"

    publisher_id = UnicodeAttribute(hash_key=True, attr_name="publisherId")
    body = UnicodeAttribute()


class Agreements(Model):
    class Meta:
        table_name = "agreements"
        billing_mode = "PAY_PER_REQUEST"

    class ByPublisher(GlobalSecondaryIndex["Agreements"]):
        class Meta:
            index_name = "byPublisher"
            projection = AllProjection()

        publisher_id = UnicodeAttribute(hash_key=True, attr_name="publisherId")
        version = NumberAttribute(range_key=True)

    agreement_id = UnicodeAttribute(hash_key=True, attr_name="agreementId")
    publisher_id = UnicodeAttribute(attr_name="publisherId")
    version = NumberAttribute()
    body = UnicodeAttribute()
    by_publisher = ByPublisher()


class Keys(Model):
    class Meta:
        table_name = "keys"
        billing_mode = "PAY_PER_REQUEST"

    key_hash = UnicodeAttribute(hash_key=True, attr_name="keyHash")
    name = UnicodeAttribute()
    scopes = UnicodeSetAttribute()
    created_at = NumberAttribute(attr_name="createdAt")
    last_used_at = NumberAttribute(attr_name="lastUsedAt", null=True)
    revoked_at = NumberAttribute(attr_name="revokedAt", null=True)


class State(Model):
    """Single items by name: the box's id secret, each signer's nonce counter and lease, what the confirmer last saw."""

    class Meta:
        table_name = "state"
        billing_mode = "PAY_PER_REQUEST"

    name = UnicodeAttribute(hash_key=True)
    body = UnicodeAttribute(null=True)
    next_nonce = NumberAttribute(attr_name="nextNonce", null=True)
    carrying = NumberAttribute(null=True)
    lease_holder = UnicodeAttribute(attr_name="leaseHolder", null=True)
    lease_until = NumberAttribute(attr_name="leaseUntil", null=True)
    settled_below = NumberAttribute(attr_name="settledBelow", null=True)
    expires_at = NumberAttribute(attr_name="expiresAt", null=True)


class Vouchers(Model):
    class Meta:
        table_name = "vouchers"
        billing_mode = "PAY_PER_REQUEST"

    code_key = UnicodeAttribute(hash_key=True, attr_name="codeKey")
    """The code as it is compared: case does not count."""
    body = UnicodeAttribute()


class Postbacks(Model):
    class Meta:
        table_name = "postbacks"
        billing_mode = "PAY_PER_REQUEST"

    publisher_id = UnicodeAttribute(hash_key=True, attr_name="publisherId")
    postback_id = UnicodeAttribute(range_key=True, attr_name="postbackId")
    version = NumberAttribute()
    body = UnicodeAttribute()


class Notices(Model):
    """What publishers were told of a conversion, and when to look at it next."""

    class Meta:
        table_name = "notices"
        billing_mode = "PAY_PER_REQUEST"

    class Due(GlobalSecondaryIndex["Notices"]):
        class Meta:
            index_name = "due"
            projection = KeysOnlyProjection()

        due_slot = UnicodeAttribute(hash_key=True, attr_name="dueSlot")
        due_at = NumberAttribute(range_key=True, attr_name="dueAt")

    conversion_id = UnicodeAttribute(hash_key=True, attr_name="conversionId")
    due_slot = UnicodeAttribute(attr_name="dueSlot", null=True)
    due_at = NumberAttribute(attr_name="dueAt", null=True)
    version = NumberAttribute()
    body = UnicodeAttribute(null=True)
    due = Due()


class Deliveries(Model):
    """One message to one postback, with its attempts; `deliveryId` begins with the event's time."""

    class Meta:
        table_name = "deliveries"
        billing_mode = "PAY_PER_REQUEST"

    class Due(GlobalSecondaryIndex["Deliveries"]):
        class Meta:
            index_name = "due"
            projection = KeysOnlyProjection()

        due_slot = UnicodeAttribute(hash_key=True, attr_name="dueSlot")
        due_at = NumberAttribute(range_key=True, attr_name="dueAt")

    postback_id = UnicodeAttribute(hash_key=True, attr_name="postbackId")
    delivery_id = UnicodeAttribute(range_key=True, attr_name="deliveryId")
    due_slot = UnicodeAttribute(attr_name="dueSlot", null=True)
    due_at = NumberAttribute(attr_name="dueAt", null=True)
    expires_at = NumberAttribute(attr_name="expiresAt")
    version = NumberAttribute()
    body = UnicodeAttribute()
    due = Due()


class Limits(Model):
    """How often somebody called in a minute. No address stands here: only its hash under a salt that is forgotten with the day."""

    class Meta:
        table_name = "limits"
        billing_mode = "PAY_PER_REQUEST"

    name = UnicodeAttribute(hash_key=True)
    calls = NumberAttribute(null=True)
    salt = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(attr_name="expiresAt")


MODELS: tuple[type[Model], ...] = (
    Clicks,
    Conversions,
    Transactions,
    Publishers,
    Agreements,
    Keys,
    State,
    Vouchers,
    Postbacks,
    Notices,
    Deliveries,
    Limits,
)

TTL_TABLES = (Clicks, Conversions, State, Deliveries, Limits)
"""Tables whose `expiresAt` (seconds since 1970) lets DynamoDB forget an item."""


USER_AGENT = "merchant-box"
CONNECTIONS = 32
"""Kept open at once: as many as threads read or write side by side."""


class OneConnection(Connection):
    """For all models. Left alone each makes its own client, which takes a tenth of a second of a processor."""

    @property
    def session(self) -> Session:
        """botocore puts its own User-Agent together anew for each call: a fifth of a call's work. This one is given."""
        session = super().session
        session.set_default_client_config(Config(user_agent=USER_AGENT))
        return session


_bound: dict[tuple[str, str, str | None], Connection] = {}
"""What the models point at, and over which connection; empty before the first `bind`."""
_binding = threading.Lock()


def bind(prefix: str, region: str, host: str | None) -> None:
    """Point every model at this box's tables. `host` is an embedded DynamoDB's URL; None means AWS. Bound to the same ones already,
    the connections stay.
    """
    with _binding:
        if (prefix, region, host) not in _bound:
            shared = _point_models_at(prefix, region, host)
            _bound.clear()
            _bound[prefix, region, host] = shared


def _point_models_at(prefix: str, region: str, host: str | None) -> Connection:
    """The connection that they share from now on."""
    shared = OneConnection(
        region=region,
        host=host,
        connect_timeout_seconds=2,
        read_timeout_seconds=5,
        max_pool_connections=CONNECTIONS,
    )
    for model in MODELS:
        meta: Any = model.Meta
        meta.table_name = f"{prefix}-{model.__name__.lower()}"
        meta.region = region
        meta.host = host
        for index in model._indexes.values():
            index_meta: Any = index.Meta
            index_meta.model = model
        model._connection = None
        table = model._get_connection()
        shared.add_meta_table(table.get_meta_table())
        table.connection = shared
    return shared


def connection() -> Connection:
    """The one that all models share; for what concerns several tables at once."""
    (shared,) = _bound.values()
    return shared


def create_all() -> None:
    """Create the tables that do not exist yet; for a local box and the tests (AWS's come from the template)."""
    for model in MODELS:
        if not model.exists():
            model.create_table(wait=True)
