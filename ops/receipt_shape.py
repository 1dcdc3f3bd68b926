"""What a receipt consists of, and a click's proof. Every field is looked at before any is compared, so that none can be left out or be of a
kind that compares with everything. The page has the receipt's list: chalicelib/web/verify/src/shape.js.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from chalicelib.domain.commitment import SALT_SIZE
from chalicelib.domain.network_status import STATUSES
from chalicelib.domain.terms import ACTIONS, MAX_AMOUNT

MAX_INTEGER: Final = 2**53 - 1  # what a page can hold exactly
_Holds = Callable[[Any], bool]
_Field = tuple[_Holds, str]


class BadShape(ValueError):
    """The first field that is missing or of another kind, and what would be right."""


def _text(pattern: str) -> _Holds:
    whole = re.compile(pattern)
    return lambda value: isinstance(value, str) and whole.fullmatch(value) is not None


def _integer(least: int, most: int = MAX_INTEGER) -> _Holds:
    return lambda value: type(value) is int and least <= value <= most


def _is_time(value: Any) -> bool:
    if not _RFC3339(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _list(item: _Holds) -> _Holds:
    return lambda value: isinstance(value, list) and bool(value) and all(item(each) for each in value)


def _object(fields: Mapping[str, _Field]) -> _Holds:
    return lambda value: (
        isinstance(value, dict) and all(name in value and holds(value[name]) for name, (holds, _) in fields.items())
    )


_RFC3339 = _text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z")
_NAME: _Field = (lambda value: isinstance(value, str) and value != "", "a text")
_HASH = _text(r"0x[0-9a-f]{64}"), "0x and 64 hex digits, lower case"
_ACCOUNT = _text(r"0x[0-9a-fA-F]{40}"), "an account, 0x and 40 hex digits"
_CURRENCY = _text(r"[A-Z]{3}"), "three capital letters"
_AMOUNT = _text(r"[0-9]{1,13}(\.[0-9]{1,4})?"), 'a decimal string such as "12.50"'
_FLAG: _Field = (lambda value: isinstance(value, bool), "true or false")
_TIME = _is_time, "an RFC 3339 time in UTC"
_SEQUENCE = _integer(1), "an integer from 1"
_COUNT = _integer(0), "an integer from 0"

_LINE: Final[dict[str, _Field]] = {"group": _NAME, "amount": (_integer(0, MAX_AMOUNT), "minor units")}
_ENTRY: Final[dict[str, _Field]] = {"group": _NAME, "amount": _AMOUNT, "sequence": _SEQUENCE, "commission": _AMOUNT}
_PAYLOAD: Final[dict[str, _Field]] = {
    "conversionId": _NAME,
    "merchant": _ACCOUNT,
    "action": (lambda value: value in ACTIONS, " or ".join(ACTIONS)),
    "currency": _CURRENCY,
    "lines": (_list(_object(_LINE)), "a list of {group, amount}, the amount in minor units"),
    "agreementId": _HASH,
    "publisherId": _NAME,
    "clickId": (lambda value: value is None or _NAME[0](value), "a text or null"),
    "clickedAt": (lambda value: value is None or _is_time(value), "an RFC 3339 time in UTC or null"),
    "createdAt": _TIME,
    "verified": _FLAG,
    "private": (_text(r"[0-9a-f]{64}"), "64 hex digits"),
}
_SALT: Final[_Field] = (_text(rf"([0-9a-fA-F]{{2}}){{{SALT_SIZE},}}"), f"hex, {SALT_SIZE} bytes or more")
_RECEIPT: Final[dict[str, _Field]] = {
    "conversionId": _NAME,
    "payload": (lambda value: isinstance(value, dict), "an object"),
    "salt": _SALT,
    "commitment": (_text(r"0x[0-9a-f]{40}"), "0x and 40 hex digits, lower case"),
    "agreementId": _HASH,
    "merchant": _ACCOUNT,
    "publisher": _ACCOUNT,
    "hosted": _FLAG,
    "currency": _CURRENCY,
    "entries": (_list(_object(_ENTRY)), "a list of {group, amount, sequence, commission}"),
    "sequence": _SEQUENCE,
    "transaction": _HASH,
    "blockNumber": _COUNT,
    "blockHash": _HASH,
    "logIndex": _COUNT,
    "amount": _AMOUNT,
    "commission": _AMOUNT,
    "verified": _FLAG,
    "status": (lambda value: value in STATUSES, ", ".join(STATUSES)),
    "final": _FLAG,
    "chainId": _SEQUENCE,
    "contract": _ACCOUNT,
}
_is_node = _text(r"(0x)?[0-9a-fA-F]{64}")
_CLICK: Final[dict[str, _Field]] = {"clickId": _NAME, "publisherId": _NAME, "agreementId": _HASH, "clickedAt": _TIME}
_PROOF: Final[dict[str, _Field]] = {
    "clickId": _NAME,
    "payload": (lambda value: isinstance(value, dict), "an object"),
    "salt": _SALT,
    "merchant": _ACCOUNT,
    "chainId": _SEQUENCE,
    "contract": _ACCOUNT,
    "root": (_is_node, "64 hex digits; while it is missing, the click is not anchored yet"),
    "index": _COUNT,
    "count": _SEQUENCE,
    "proof": (lambda value: isinstance(value, list) and all(map(_is_node, value)), "a list of 64 hex digits each"),
    "sequence": _SEQUENCE,
    "transaction": _HASH,
    "blockNumber": _COUNT,
    "final": _FLAG,
}


def check_receipt(receipt: Any) -> None:
    """Raises BadShape. Fields that nothing here names may stand in it."""
    if not isinstance(receipt, dict):
        raise BadShape("a receipt is a JSON object")
    if "state" in receipt and "payload" not in receipt:
        raise BadShape(f"there is no receipt yet: the box says {receipt['state']}")
    _check("", receipt, _RECEIPT)
    _check("payload.", receipt["payload"], _PAYLOAD)
    if len(receipt["entries"]) != len(receipt["payload"]["lines"]):
        raise BadShape("entries: one for each line of the payload")


def check_click_proof(proof: Any) -> None:
    """Raises BadShape."""
    if not isinstance(proof, dict):
        raise BadShape("a click's proof is a JSON object")
    _check("", proof, _PROOF)
    _check("payload.", proof["payload"], _CLICK)


def _check(within: str, value: Mapping[str, Any], fields: Mapping[str, _Field]) -> None:
    for name, (holds, wanted) in fields.items():
        if name not in value:
            raise BadShape(f"{within}{name} is missing: {wanted}")
        if not holds(value[name]):
            raise BadShape(f"{within}{name} is not {wanted}")
