"""Who may act for a merchant."""

from collections.abc import Callable

import pytest

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import KeyAuthorised, KeyRevoked
from chalicelib.domain.batch import Entry
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import SUPERSEDED, Amendment, Run
from tests.contract.network_on_anvil import Merchant, Network, Refused, commitment, new_account


def every_call(merchant: Merchant) -> list[bytes]:
    """One valid call of each kind that an operational key may send."""
    agreement = merchant.agree()
    old = merchant.pack(*(Entry(agreement, "sale", 100 + i, commitment(i)) for i in range(3)))
    merchant.record(old)
    new = merchant.pack(Entry(agreement, "sale", 7, commitment(9)))
    newer = merchant.pack(Entry(agreement, "sale", 8, commitment(10)))
    address = merchant.address
    return [
        contract.encode_record(address, new),
        contract.encode_decide(address, {old.digest: [Run(0, 1, "approved")]}),
        contract.encode_amend(address, old.body, keccak256(old.commitments), [Amendment(1, 50)]),
        contract.encode_supersede(address, {old.digest: [Run(2, 1, "rejected", SUPERSEDED)]}, newer),
        contract.encode_anchor(address, keccak256(b"root"), 5, 1, 2),
    ]


def test_the_key_and_the_account_itself_may_act(network: Network, merchant: Merchant) -> None:
    calls = every_call(merchant)
    snapshot = network.rpc("evm_snapshot")
    for call in calls:
        network.send(merchant.key.address, call)
    network.rpc("evm_revert", snapshot)
    network.send(merchant.address, contract.encode_revoke(merchant.key.address))
    for call in calls:
        network.send(merchant.address, call)


def _revoked(network: Network, merchant: Merchant) -> str:
    network.send(merchant.address, contract.encode_revoke(merchant.key.address))
    return str(merchant.key.address)


def _expired(network: Network, merchant: Merchant) -> str:
    network.send(merchant.address, contract.encode_authorise(merchant.key.address, network.now() + 10))
    network.wait(10)
    return str(merchant.key.address)


def _stranger(network: Network, merchant: Merchant) -> str:
    assert merchant.address != network.payer
    return str(network.payer)


def _another_merchant(network: Network, merchant: Merchant) -> str:
    assert merchant.address
    return Merchant(network).address


def _another_merchants_key(network: Network, merchant: Merchant) -> str:
    assert merchant.address
    return str(Merchant(network).key.address)


@pytest.mark.parametrize("who", [_revoked, _expired, _stranger, _another_merchant, _another_merchants_key])
def test_nobody_else_may(network: Network, merchant: Merchant, who: Callable[[Network, Merchant], str]) -> None:
    calls = every_call(merchant)
    sender = who(network, merchant)
    for call in calls:
        with pytest.raises(Refused, match="NotAuthorised"):
            network.send(sender, call)


def test_a_key_works_until_the_second_before_its_expiry(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    expiry = network.now() + 100
    network.send(merchant.address, contract.encode_authorise(merchant.key.address, expiry))
    network.rpc("evm_setNextBlockTimestamp", hex(expiry - 1))
    merchant.record(merchant.pack(Entry(agreement, "sale", 1, commitment(1))))
    network.rpc("evm_setNextBlockTimestamp", hex(expiry))
    with pytest.raises(Refused, match="NotAuthorised"):
        merchant.record(merchant.pack(Entry(agreement, "sale", 1, commitment(2))))


def test_authorising_and_revoking_is_logged_and_read(network: Network, merchant: Merchant) -> None:
    key, expiry = new_account().address.lower(), network.now() + 1000
    (authorised,) = network.events(merchant.address, contract.encode_authorise(key, expiry))
    assert isinstance(authorised, KeyAuthorised)
    assert (authorised.merchant, authorised.key, authorised.expiry) == (merchant.address, key, expiry)
    assert network.views.key_expiry(merchant.address, key) == expiry
    (revoked,) = network.events(merchant.address, contract.encode_revoke(key))
    assert isinstance(revoked, KeyRevoked)
    assert (revoked.merchant, revoked.key) == (merchant.address, key)
    assert network.views.key_expiry(merchant.address, key) == 0


def test_a_useless_key_is_refused(network: Network, merchant: Merchant) -> None:
    for call, error in (
        (contract.encode_authorise("0x" + "00" * 20, network.now() + 1000), "BadKey"),
        (contract.encode_authorise(new_account().address, network.now()), "ExpiryPassed"),
        (contract.encode_revoke(new_account().address), "BadKey"),
    ):
        with pytest.raises(Refused, match=error):
            network.send(merchant.address, call)


def test_a_key_cannot_authorise_another_for_its_merchant(network: Network, merchant: Merchant) -> None:
    other = new_account()
    network.send(merchant.key.address, contract.encode_authorise(other.address, network.now() + 1000))
    assert network.views.key_expiry(merchant.address, other.address) == 0
