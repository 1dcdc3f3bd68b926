"""Vouchers: codes that attribute an order to their publisher."""

import msgspec

from chalicelib.adapters.stores.item import dump, read
from chalicelib.adapters.tables import Vouchers
from chalicelib.domain.attribution import OwnedCode


class VoucherStore:
    def get(self, code: str) -> OwnedCode | None:
        item = read(Vouchers, code.casefold())
        return None if item is None else msgspec.json.decode(item.body, type=OwnedCode)

    def put(self, voucher: OwnedCode) -> None:
        Vouchers(voucher.code.casefold(), body=dump(voucher)).save()

    def remove(self, code: str) -> None:
        Vouchers(code.casefold()).delete()

    def all(self) -> list[OwnedCode]:
        found = (msgspec.json.decode(item.body, type=OwnedCode) for item in Vouchers.scan(consistent_read=True))
        return sorted(found, key=lambda voucher: voucher.code.casefold())
