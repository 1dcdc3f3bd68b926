"""Vouchers: codes that attribute an order to their publisher."""

from chalicelib.adapters.stores.item import dump, read
from chalicelib.adapters.tables import Vouchers
from chalicelib.domain.attribution import OwnedCode
from chalicelib.domain.decoding import decode


class VoucherStore:
    def get(self, code: str) -> OwnedCode | None:
        item = read(Vouchers, code.casefold())
        return None if item is None else decode(item.body, OwnedCode)

    def put(self, voucher: OwnedCode) -> None:
        Vouchers(voucher.code.casefold(), body=dump(voucher)).save()

    def remove(self, code: str) -> None:
        Vouchers(code.casefold()).delete()

    def all(self) -> list[OwnedCode]:
        found = (decode(item.body, OwnedCode) for item in Vouchers.scan(consistent_read=True))
        return sorted(found, key=lambda voucher: voucher.code.casefold())
