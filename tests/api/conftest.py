"""A running box whose tables the tests can reach too: HTTP from outside, the same services from inside."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chalicelib.adapters import tables
from chalicelib.bootstrap import Box
from chalicelib.settings import Settings
from ops.asking import Answer, ask
from ops.local.dynoxide import Dynoxide
from ops.local.running import RunningBox
from tests.shopper import follow_link


class ShiftedBox(Box):
    """The same box, seen at another moment: `ahead` milliseconds from now."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


@dataclass
class Desk:
    """`ask` is a call from outside; `inside` is a box on the same tables in this process."""

    box: RunningBox
    _inside: ShiftedBox
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def inside(self) -> ShiftedBox:
        """The tables are the process's: whichever test bound them last, this box's are bound again."""
        kept = self._inside.settings
        tables.bind(kept.table_prefix, kept.region, kept.dynamodb_url)
        return self._inside

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """`key` names one of the box's keys, or is a key itself."""
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): v for name, v in headers.items()}}
        if key is not None:
            sent["Authorization"] = f"Bearer {self.box.keys.get(key, key)}"
        return ask(method, self.box.url + path, body, **sent)

    def order_id(self, name: str = "T") -> str:
        return f"{name}-{next(self._numbers)}-{secrets.token_hex(3)}"

    def click(self) -> str:
        return follow_link(self.box)

    def sell(self, order_id: str, amount: str = "100.00", **fields: Any) -> Answer:
        """A sale from the merchant's server."""
        report = {"action": "sale", "orderId": order_id, "values": [amount], **fields}
        return self.ask("POST", "/v1/conversions", report, key="server")

    def beacon(self, order_id: str | None, amount: str = "100.00", **fields: Any) -> Answer:
        """A sale as the tag reports it."""
        report = {"action": "sale", "values": [amount], "metadata": {"orderId": order_id}, **fields}
        return self.ask("POST", "/v1/beacon/conversion", report, Origin=self.box.line["shop"])

    def held(self, conversion_id: str) -> Any:
        answer = self.ask("GET", f"/v1/conversions/{conversion_id}", key="server")
        assert answer.status == 200, answer.body
        return answer.json

    def publisher_key(self, publisher_id: str) -> str:
        from chalicelib.services.access import create_key

        return create_key(self.inside, f"test {publisher_id}", f"publisher:{publisher_id}")


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    data = tmp_path_factory.mktemp("api")
    dynamodb = Dynoxide(data / "dynamodb", usual_port=0)
    options = ("--port", "0", "--prefix", "/api", "--dynamodb", dynamodb.url)
    running = RunningBox(data / "box", *options, env={"ALLOW_PRIVATE_POSTBACKS": "1"})
    yield Desk(running, ShiftedBox(settings_of(running, dynamodb.url)))
    running.stop()
    dynamodb.stop()


def settings_of(running: RunningBox, dynamodb_url: str) -> Settings:
    return Settings(
        merchant="demo",
        config_file=Path(running.data / "config.json"),
        table_prefix="merchant-box-demo",
        region="eu-central-1",
        dynamodb_url=dynamodb_url,
        rpc_urls=(running.line["rpc"],),
        signer_key_files=(),
        kms_key_ids=(),
        parameter_path="/merchant-box/demo",
        conversions_stream="",
        signer_addresses=(),
        crash_at=None,
    )
