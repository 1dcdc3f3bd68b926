"""The whole box on one machine: embedded parts, contract, config, tables, demo parties, gateway, event
sources, pages."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ops.local import anvil, dynoxide, rpc
from ops.local.anvil import Anvil
from ops.local.dynoxide import Dynoxide
from ops.local.pages import BOX, PUBLISHER, SHOP, Pages
from ops.local.process import LOOPBACK, ROOT, PartFailed, free_port, lock_directory

if TYPE_CHECKING:
    from chalicelib.domain.config import Config

USUAL_PORT = 8800
LOCK_SECONDS = 5.0
WATCH_SECONDS = 1.0
# AWS's schedules go by the minute; a person in front of the demo should not wait for that.
LOCAL_SECONDS = {
    "confirm_on_schedule": 1.0,
    "sign_on_schedule": 2.0,
    "notify_on_schedule": 1.0,
    "anchor_on_schedule": 5.0,
}

FOR_OPERATORS = (
    *("DYNAMODB_URL", "RPC_URLS", "CONFIG_FILE", "SIGNER_ADDRESS"),
    *("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)
"""What the other commands of `box` need to work on this box: written to `environment` in the data directory."""

Embedded = TypeVar("Embedded", Anvil, Dynoxide)
_log = logging.getLogger("box.local")


@dataclass(frozen=True)
class Options:
    """`port` None takes the usual ports where they are free, 0 takes free ones for everything.
    `dynamodb_url` and `rpc_url` name parts that the operator runs; None means the embedded ones."""

    data: Path
    config: Path = ROOT / "configs" / "demo.json"
    port: int | None = None
    prefix: str = ""
    dynamodb_url: str | None = None
    rpc_url: str | None = None


def _sound_config(file: Path) -> Config:
    """By the rules that `box config check` and `chalice package` go by, but for the file's name. Raises Mistaken."""
    from chalicelib.adapters import time_zones
    from chalicelib.domain.config_check import Mistaken, check

    config, mistakes = check(file.read_bytes(), str(file), None, time_zones.known())
    if config is None or mistakes:
        raise Mistaken(mistakes)
    return config


class Stack:
    """Starts everything, or raises PartFailed or Mistaken and leaves nothing behind. `stop` ends all of
    it.

    One a process: the app reads its settings from the environment once. Make it on the main thread (see
    Part).
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.config = _sound_config(options.config)
        self._restartable: list[Anvil | Dynoxide] = []
        with ExitStack() as opened:
            self._start(opened)
            self._open = opened.pop_all()

    def _start(self, opened: ExitStack) -> None:
        data = self.options.data.resolve()
        opened.enter_context(lock_directory(data, "box", LOCK_SECONDS))
        self.dynamodb_url = (
            self.options.dynamodb_url
            or self._embed(opened, Dynoxide(data / "dynamodb", self._usual(dynoxide.USUAL_PORT))).url
        )
        self.rpc_url = (
            self.options.rpc_url or self._embed(opened, Anvil(data / "network", self._usual(anvil.USUAL_PORT))).url
        )
        if not rpc.answers(self.rpc_url):
            raise PartFailed(f"no network node answers at {self.rpc_url}")
        self.chain_id = int(rpc.call(self.rpc_url, "eth_chainId"), 16)

        addresses: dict[str, str] = {}
        self.shop = self._serve_pages(opened, "shop", USUAL_PORT + 1, addresses)
        self.publisher = self._serve_pages(opened, "publisher", USUAL_PORT + 2, addresses)
        self._set_up(data)
        self._serve(opened, data)
        for pages in (self.shop, self.publisher):
            pages.addresses.update({BOX: self.gateway.url, SHOP: self.shop.url, PUBLISHER: self.publisher.url})
        held = {"BOX_URL": self.gateway.url, **{name: os.environ[name] for name in FOR_OPERATORS}}
        (data / "environment").write_text("".join(f"export {name}={shlex.quote(held[name])}\n" for name in held))

    def _usual(self, port: int) -> int:
        return 0 if self.options.port == 0 else port

    def _bindable(self, port: int) -> int:
        """0 is for the server to take what is free."""
        usual = self._usual(port)
        return free_port(usual) if usual else 0

    def _embed(self, opened: ExitStack, part: Embedded) -> Embedded:
        opened.callback(part.stop)
        self._restartable.append(part)
        return part

    def _serve_pages(self, opened: ExitStack, name: str, port: int, addresses: dict[str, str]) -> Pages:
        pages = Pages(ROOT / "examples" / name, self._bindable(port), addresses)
        opened.callback(pages.stop)
        return pages

    def _set_up(self, data: Path) -> None:
        """Contract, config and environment first: the app reads them when it is imported."""
        from ops.local.contract import deployed_contract
        from ops.local.provision import ETHER, Accounts
        from ops.local.wallet import fund

        self.accounts = Accounts.kept_in(data / "keys", self.config.signer.keys)
        fund(self.rpc_url, self.accounts.owner.address, 10 * ETHER, None)
        self.contract = deployed_contract(self.rpc_url, data / "contract.json", self.accounts.owner)
        config_file = data / "config.json"
        config_file.write_text(self._materialised_config())
        os.environ.update(self._environment(config_file))

    def _materialised_config(self) -> str:
        """The config with this stack's addresses in it: ports and the contract differ from start to start."""
        from chalicelib.domain.config import NO_ORIGIN

        config: dict[str, Any] = json.loads(self.options.config.read_text("utf-8-sig"))
        hosts = [f"{LOOPBACK}:{self.shop.port}", f"localhost:{self.shop.port}"]
        origins = [f"http://{host}" for host in hosts]
        origins += [origin for origin in config["site"]["origins"] if origin == NO_ORIGIN]
        config["site"].update(landingPage=f"{self.shop.url}/", origins=origins, hosts=hosts)
        config["merchant"]["account"] = self.accounts.owner.address
        config["network"].update(chainId=self.chain_id, contract=self.contract)
        return json.dumps(config, indent=2) + "\n"

    def _environment(self, config_file: Path) -> dict[str, str]:
        self.table_prefix = f"merchant-box-{self.config.merchant.id}"
        return {
            "MERCHANT": self.config.merchant.id,
            "CONFIG_FILE": str(config_file),
            "TABLE_PREFIX": self.table_prefix,
            "DYNAMODB_URL": self.dynamodb_url,
            "RPC_URLS": self.rpc_url,
            "SIGNER_KEY_FILE": ",".join(str(key.key_file) for key in self.accounts.operational),
            "SIGNER_ADDRESS": ",".join(key.address for key in self.accounts.operational),
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "ALLOW_PRIVATE_POSTBACKS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _serve(self, opened: ExitStack, data: Path) -> None:
        from chalicelib.adapters import tables
        from chalicelib.bootstrap import box
        from chalicelib.settings import settings
        from ops.local.event_sources import EventSources
        from ops.local.gateway import Gateway
        from ops.local.provision import Network, provision

        tables.bind(self.table_prefix, settings().region, self.dynamodb_url)
        tables.create_all()
        network = Network(self.rpc_url, self.chain_id, self.contract)
        self.keys = provision(box(), network, self.accounts, data / "keys")
        for part in self._restartable:
            if isinstance(part, Anvil):
                part.snapshot_if_changed()  # what was just agreed on outlives even a kill in the next second

        # As in Lambda, where app.py lies at the root of the bundle and the bundle is on the path.
        sys.path.insert(0, str(ROOT))
        from app import app

        wanted = USUAL_PORT if self.options.port is None else self.options.port
        self.gateway = Gateway(app, self._bindable(wanted), self.options.prefix)
        opened.callback(self.gateway.stop)
        sources = EventSources(app, self.dynamodb_url, self.table_prefix, data / "events", LOCAL_SECONDS)
        opened.callback(sources.stop)

    def line(self) -> dict[str, Any]:
        """What `box up --json` prints when all of it is ready."""
        from ops.local.provision import PUBLISHER_ID

        return {
            "box": self.gateway.url,
            "shop": self.shop.url,
            "publisher": self.publisher.url,
            "dashboard": f"{self.gateway.url}/dashboard",
            "rpc": self.rpc_url,
            "chainId": self.chain_id,
            "contract": self.contract,
            "merchant": self.config.merchant.id,
            "publisherId": PUBLISHER_ID,
            "keys": self.keys,
        }

    def run_until(self, ending: threading.Event) -> None:
        """Starts an embedded part again when it died, until `ending`."""
        while not ending.wait(WATCH_SECONDS):
            for part in self._restartable:
                if not part.alive:
                    _log.error("%s ended: starting it again", type(part).__name__)
                    part.restart()

    def stop(self) -> None:
        self._open.close()
