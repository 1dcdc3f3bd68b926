"""Publishers and the agreements signed with them."""

from pynamodb.exceptions import PutError

from chalicelib.adapters.stores.item import Exists, condition_failed, dump, read
from chalicelib.adapters.tables import Agreements, Publishers
from chalicelib.domain.decoding import decode
from chalicelib.domain.party import Agreement, Publisher


class PublisherStore:
    def get(self, publisher_id: str) -> Publisher | None:
        item = read(Publishers, publisher_id)
        return None if item is None else decode(item.body, Publisher)

    def put(self, publisher: Publisher) -> None:
        Publishers(publisher.publisher_id, body=dump(publisher)).save()

    def swap(self, before: Publisher, after: Publisher) -> bool:
        """Write `after` where `before` still stands; False where somebody else was quicker, who may have put a new link there."""
        item = read(Publishers, before.publisher_id)
        if item is None or decode(item.body, Publisher) != before:
            return False
        nobody_changed_it = Publishers.body == item.body
        try:
            Publishers(after.publisher_id, body=dump(after)).save(condition=nobody_changed_it)
        except PutError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def all(self) -> list[Publisher]:
        found = (decode(item.body, Publisher) for item in Publishers.scan(consistent_read=True))
        return sorted(found, key=lambda publisher: publisher.publisher_id)


class AgreementStore:
    def get(self, agreement_id: str) -> Agreement | None:
        item = read(Agreements, agreement_id)
        return None if item is None else decode(item.body, Agreement)

    def create(self, agreement: Agreement) -> None:
        """An agreement's id is the hash of its terms, so it is only ever written once. Raises Exists."""
        terms_are_new = Agreements.agreement_id.does_not_exist()
        try:
            _agreement_item(agreement).save(condition=terms_are_new)
        except PutError as error:
            if condition_failed(error):
                raise Exists(agreement.agreement_id) from None
            raise

    def put(self, agreement: Agreement) -> None:
        _agreement_item(agreement).save()

    def of(self, publisher_id: str) -> list[Agreement]:
        """Every version, the newest first."""
        rows = Agreements.by_publisher.query(publisher_id, scan_index_forward=False)
        return [decode(row.body, Agreement) for row in rows]


def _agreement_item(agreement: Agreement) -> Agreements:
    return Agreements(
        agreement_id=agreement.agreement_id,
        publisher_id=agreement.publisher_id,
        version=agreement.terms.version,
        body=dump(agreement),
    )
