"""The composition root: the only place that builds stores and clients, each when it is first asked for.

`Box` is what services are handed. Nothing heavy is imported until a property is used, for every function's Lambda imports `app.py`.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from copy import copy
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Literal, Self

from chalicelib.settings import Settings, settings

if TYPE_CHECKING:
    from chalicelib.adapters.contract import NetworkViews
    from chalicelib.adapters.http import Answer
    from chalicelib.adapters.network import Network
    from chalicelib.adapters.signers import Signer
    from chalicelib.adapters.stores.clicks import ClickStore
    from chalicelib.adapters.stores.conversions import ConversionStore
    from chalicelib.adapters.stores.deliveries import DeliveryStore
    from chalicelib.adapters.stores.keys import KeyStore
    from chalicelib.adapters.stores.limits import LimitStore
    from chalicelib.adapters.stores.notices import NoticeStore
    from chalicelib.adapters.stores.parties import AgreementStore, PublisherStore
    from chalicelib.adapters.stores.postbacks import PostbackStore
    from chalicelib.adapters.stores.state import StateStore
    from chalicelib.adapters.stores.transactions import TransactionStore
    from chalicelib.adapters.stores.vouchers import VoucherStore
    from chalicelib.domain.config import Config
    from chalicelib.domain.lanes import Lanes


class Box:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lanes: Lanes | None = None
        """Which keys share the outbox, where this is one of them: see `as_key`."""

    def now(self) -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    @cached_property
    def config(self) -> "Config":
        from chalicelib.domain import config

        path = self.settings.config_file
        return config.parse(path.read_bytes(), f"{path.parent.name}/{path.name}")

    @cached_property
    def clicks(self) -> "ClickStore":
        self.bind_tables()
        from chalicelib.adapters.stores.clicks import ClickStore

        return ClickStore()

    @cached_property
    def conversions(self) -> "ConversionStore":
        self.bind_tables()
        from chalicelib.adapters.stores.conversions import ConversionStore

        return ConversionStore()

    @cached_property
    def transactions(self) -> "TransactionStore":
        self.bind_tables()
        from chalicelib.adapters.stores.transactions import TransactionStore

        return TransactionStore()

    @cached_property
    def publishers(self) -> "PublisherStore":
        self.bind_tables()
        from chalicelib.adapters.stores.parties import PublisherStore

        return PublisherStore()

    @cached_property
    def agreements(self) -> "AgreementStore":
        self.bind_tables()
        from chalicelib.adapters.stores.parties import AgreementStore

        return AgreementStore()

    @cached_property
    def keys(self) -> "KeyStore":
        self.bind_tables()
        from chalicelib.adapters.stores.keys import KeyStore

        return KeyStore()

    @cached_property
    def state(self) -> "StateStore":
        self.bind_tables()
        from chalicelib.adapters.stores.state import StateStore

        return StateStore()

    @cached_property
    def vouchers(self) -> "VoucherStore":
        self.bind_tables()
        from chalicelib.adapters.stores.vouchers import VoucherStore

        return VoucherStore()

    @cached_property
    def postbacks(self) -> "PostbackStore":
        self.bind_tables()
        from chalicelib.adapters.stores.postbacks import PostbackStore

        return PostbackStore()

    @cached_property
    def notices(self) -> "NoticeStore":
        self.bind_tables()
        from chalicelib.adapters.stores.notices import NoticeStore

        return NoticeStore()

    @cached_property
    def deliveries(self) -> "DeliveryStore":
        self.bind_tables()
        from chalicelib.adapters.stores.deliveries import DeliveryStore

        return DeliveryStore()

    @cached_property
    def limits(self) -> "LimitStore":
        self.bind_tables()
        from chalicelib.adapters.stores.limits import LimitStore

        return LimitStore()

    @cached_property
    def id_secret(self) -> bytes:
        """The secret that conversion ids are derived with: drawn once in a box's life, the first writer's stays."""
        self.state.write_once("id-secret", secrets.token_hex(32))
        kept = self.state.read("id-secret", str)
        assert kept is not None, "write_once left nothing behind"
        return bytes.fromhex(kept)

    @cached_property
    def network(self) -> "Network":
        from chalicelib.adapters.network import Network

        return Network(self.rpc_urls, self.config.network.chain_id)

    @cached_property
    def rpc_urls(self) -> tuple[str, ...]:
        """In order of preference. From the parameter store, by commas, where the settings name none: they hold API keys."""
        if self.settings.rpc_urls:
            return self.settings.rpc_urls
        from chalicelib.adapters.secrets import parameter

        return tuple(url.strip() for url in parameter(self.settings, "rpc-urls").split(",") if url.strip())

    @cached_property
    def views(self) -> "NetworkViews":
        """What the contract answers."""
        return self.views_at("latest")

    def views_at(self, block: "int | Literal['latest']") -> "NetworkViews":
        """What it answered on the state of that block."""
        from chalicelib.adapters.contract import NetworkViews

        return NetworkViews(lambda data: self.network.call(self.config.network.contract, data, at=block))

    @cached_property
    def outgoing(self) -> "Callable[[str, str, Mapping[str, str], bytes | None], Answer]":
        """The one way out to addresses that others name: method, URL, headers, body. Raises NotAllowed or Failed."""
        from chalicelib.adapters import http

        return partial(http.send, allow_private=self.settings.allow_private_postbacks)

    @cached_property
    def signers(self) -> "tuple[Signer, ...]":
        """One for each key that the config asks for. Raises SignerRefused."""
        from chalicelib.adapters import signers

        return signers.build(self.config.signer, self.config.network.chain_id, self.settings)

    @cached_property
    def signer(self) -> "Signer":
        """The first, where this box is not one of its keys."""
        return self.signers[0]

    def as_key(self, signer: "Signer", lanes: "Lanes | None" = None) -> Self:
        """This box as one of its keys: its stores and its clock, and that key's share of the outbox; without lanes, no share."""
        box = copy(self)
        box.signer = signer
        box.lanes = lanes
        return box

    @cached_property
    def _tables_are_bound(self) -> bool:
        from chalicelib.adapters import tables

        tables.bind(self.settings.table_prefix, self.settings.region, self.settings.dynamodb_url)
        return True

    def bind_tables(self) -> None:
        """From here on the models of chalicelib.adapters.tables are this box's tables."""
        assert self._tables_are_bound


@cache
def box() -> Box:
    """This process's box."""
    return Box(settings())
