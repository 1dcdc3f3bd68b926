"""Vouchers: the operator says whose a code is; an order that names it is then that publisher's, click or no click."""

import re

from chalicelib.bootstrap import Box
from chalicelib.domain.attribution import OwnedCode
from chalicelib.domain.errors import NotFound, Unprocessable

_CODE = re.compile(r"[^\x00-\x1f\x7f]{1,60}")


def assign(box: Box, code: str, publisher_id: str, *, exclusive: bool = False) -> OwnedCode:
    """From now on the code is the publisher's; earlier orders stay as they are. `exclusive` wins over another publisher's click.

    Raises Unprocessable or NotFound.
    """
    if not _CODE.fullmatch(code):
        raise Unprocessable("voucher_invalid", "A voucher has 1-60 printable characters.")
    if box.publishers.get(publisher_id) is None:
        raise NotFound("publisher_unknown", "The box knows no publisher of that id.")
    voucher = OwnedCode(code, publisher_id, exclusive)
    box.vouchers.put(voucher)
    return voucher


def withdraw(box: Box, code: str) -> None:
    box.vouchers.remove(code)


def listed(box: Box) -> list[OwnedCode]:
    return box.vouchers.all()
