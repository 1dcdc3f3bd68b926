"""What a person gives to a command: a file of JSON, an account, an amount, an address of the web. Each is taken, or refused with a
sentence that says what to mend (exit code 2)."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from chalicelib.domain import json_text
from ops.boxes.output import WrongInput

COIN = 10**18
Kind = TypeVar("Kind", dict[str, Any], list[Any])
KINDS = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
COINS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,18})?")


def read_json(file: Path, kind: type[Kind], shown: str | None = None) -> Kind:
    """`shown` is the file's name as the person knows it, where that is another than its path. Raises WrongInput."""
    name = shown or str(file)
    try:
        written = json_text.read(file.read_bytes())
    except json_text.NotJson as error:
        raise WrongInput(f"{name}: {error.fault}. {error.remedy}") from None
    if written.repeated:
        raise WrongInput(f"{name}: {written.repeated[0]} stands there more than once. Keep one of them")
    if not isinstance(written.document, kind):
        held = KINDS.get(type(written.document), "a number")
        raise WrongInput(f"{name}: {KINDS[kind]} is wanted, and this is {held}")
    return written.document


def read_text(file: Path) -> str:
    """Raises WrongInput."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise WrongInput(f"{file}: these bytes are no text in UTF-8. Name another file") from None


class _Account(click.ParamType[str]):
    """An account on the network, with its checksum in its letters' case."""

    name = "account"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from chalicelib.domain.config_check import address_fault, checksummed

        if not ADDRESS.fullmatch(value):
            self.fail(f"'{value}' is no account: that is 0x and 40 hex digits", param, ctx)
        if odd := address_fault(value):
            self.fail(f"{value}: {odd[0]}. {odd[1]}", param, ctx)
        return checksummed(value)


class _Coins(click.ParamType[int]):
    """An amount in the network's coin, as wei."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value  # click converts a default anew
        if not COINS.fullmatch(value) or not Decimal(value):
            self.fail(f"'{value}' is no amount above 0: write digits, such as 0.05", param, ctx)
        return int(Decimal(value) * COIN)


class _WebAddress(click.ParamType[str]):
    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_web_address(value):
            self.fail(f"'{value}' is no address: write it whole, such as https://shop.example/", param, ctx)
        return value


def is_web_address(text: Any) -> bool:
    try:
        read = urlsplit(str(text))
        return read.scheme in ("http", "https") and bool(read.hostname) and read.port != 0
    except ValueError:
        return False


ACCOUNT, AMOUNT, WEB_ADDRESS = _Account(), _Coins(), _WebAddress()
