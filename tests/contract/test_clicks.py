"""Click anchors: the tree, the sequence, one root once."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import ClicksAnchored
from chalicelib.domain import merkle
from chalicelib.domain.commitment import canonical
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_status import DAY
from ops.verify import verify
from ops.verify_click import CLICK_CHECKS, verify_click
from tests.contract.network_on_anvil import Merchant, Network, Refused
from tests.contract.shown_receipts import rfc3339, shown_proof


def test_clicks_are_numbered_without_a_gap_over_all_periods(network: Network, merchant: Merchant) -> None:
    firsts, times = [], []
    for number, count in enumerate((3, 1, 7)):
        call = contract.encode_anchor(merchant.address, keccak256(bytes([number])), count, number, number + 1)
        (event,) = merchant.send(call)
        assert isinstance(event, ClicksAnchored)
        assert (event.count, event.period_start, event.period_end) == (count, number, number + 1)
        firsts.append(event.first)
        times.append(network.now())
    assert firsts == [1, 4, 5]
    assert network.views.counts(merchant.address) == (0, 11)
    assert network.views.anchor(merchant.address, keccak256(b"\x01")) == (4, 1, times[1])


def test_a_root_is_anchored_once(merchant: Merchant) -> None:
    call = contract.encode_anchor(merchant.address, keccak256(b"root"), 3, 1, 2)
    merchant.send(call)
    with pytest.raises(Refused, match="AlreadyAnchored"):
        merchant.send(call)


@pytest.mark.parametrize(("count", "start", "end"), [(0, 1, 2), (1, 2, 1), (2**40, 1, 2)])
def test_an_anchor_that_makes_no_sense_is_refused(merchant: Merchant, count: int, start: int, end: int) -> None:
    with pytest.raises(Refused, match="BadAnchor"):
        merchant.send(contract.encode_anchor(merchant.address, keccak256(b"root"), count, start, end))


def test_the_click_sequence_ends_at_its_bound(merchant: Merchant) -> None:
    most = 2**40 - 2
    merchant.send(contract.encode_anchor(merchant.address, keccak256(b"most"), most, 1, 2))
    with pytest.raises(Refused, match="SequenceExhausted"):
        merchant.send(contract.encode_anchor(merchant.address, keccak256(b"more"), 1, 1, 2))


def test_a_clicks_proof_is_checked_against_the_chain_alone(
    network: Network, merchant: Merchant, tmp_path: Path
) -> None:
    merchant.send(contract.encode_anchor(merchant.address, keccak256(b"before"), 5, 1, 2))
    proof = shown_proof(merchant, 10)
    assert proof["sequence"] == 16
    checks = verify_click(proof, network.url, network.address)
    assert [(check.name, check.ok) for check in checks] == [(name, True) for name in CLICK_CHECKS]
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof))
    run = CliRunner().invoke(verify, [str(file), "--rpc", network.url])
    assert (run.exit_code, run.output.splitlines()[-1]) == (0, "the proof holds")


@pytest.mark.parametrize(
    ("name", "lie"),
    [
        ("contract", {"chainId": 1}),
        ("contract", {"contract": "0x" + "12" * 20}),
        ("payload", {"clickId": "another"}),
        ("inclusion", {"salt": "00" * 32}),
        ("inclusion", {"index": 9}),
        ("inclusion", {"count": 1}),
        ("anchor", {"merchant": "0x" + "12" * 20}),
        ("anchor", {"sequence": 5}),
        ("anchor", {"transaction": "0x" + "12" * 32}),
        ("anchor", {"blockNumber": 1}),
        ("final", {"final": True}),
        ("proof", {"payload": None}),
        ("proof", {"payload": {"clickId": "click3"}}),
        ("proof", {"final": None}),
        ("proof", {"index": "3"}),
        ("proof", {"proof": ["zz"]}),
        ("proof", {"salt": ""}),
        ("proof", {"transaction": "zz"}),
        ("proof", {"contract": 5}),
    ],
)
def test_a_click_that_was_not_anchored_so_is_named(
    network: Network, merchant: Merchant, name: str, lie: dict[str, Any]
) -> None:
    checks = verify_click({**shown_proof(merchant, 3), **lie}, network.url)
    assert (checks[-1].name, checks[-1].ok) == (name, False)


def test_another_transaction_does_not_make_an_anchor_final(network: Network, merchant: Merchant) -> None:
    """One that is long final, of the same merchant, and even another anchor: the root stands in neither."""
    (other,) = merchant.send(contract.encode_anchor(merchant.address, keccak256(b"before"), 5, 1, 2))
    network.rpc("anvil_mine", "0x8")
    lie = {"transaction": other.where.transaction, "blockNumber": other.where.block, "final": True}
    checks = verify_click({**shown_proof(merchant, 3), **lie}, network.url)
    assert (checks[-1].name, checks[-1].ok) == ("anchor", False)


@pytest.mark.parametrize("clicked", [-100 * DAY, -601, 1, DAY])
def test_a_click_outside_its_anchors_period_is_named(network: Network, merchant: Merchant, clicked: int) -> None:
    checks = verify_click(shown_proof(merchant, 3, clicked), network.url)
    assert (checks[-1].name, checks[-1].ok) == ("times", False)


def test_a_click_that_its_anchor_dates_after_itself_is_named(network: Network, merchant: Merchant) -> None:
    """The merchant writes the period; the block's time it does not."""
    payload = {**shown_proof(merchant, 3)["payload"], "clickId": "c", "clickedAt": rfc3339(network.now() + DAY)}
    leaf = sha256(b"\x01" * 32 + canonical(payload)).digest()
    end = network.now() + 2 * DAY
    (event,) = merchant.send(contract.encode_anchor(merchant.address, merkle.root([leaf]), 1, 0, end))
    assert isinstance(event, ClicksAnchored)
    proof = shown_proof(merchant, 4) | {
        "clickId": "c",
        "payload": payload,
        "salt": "01" * 32,
        "root": merkle.root([leaf]).hex(),
        "index": 0,
        "proof": [],
        "count": 1,
        "sequence": event.first,
        "transaction": event.where.transaction,
        "blockNumber": event.where.block,
    }
    checks = verify_click(proof, network.url)
    assert (checks[-1].name, checks[-1].ok) == ("times", False)


def test_a_click_that_waits_for_its_anchor_proves_nothing_yet(network: Network, merchant: Merchant) -> None:
    waiting = ("clickId", "payload", "salt", "merchant", "chainId", "contract")
    proof = {name: value for name, value in shown_proof(merchant, 3).items() if name in waiting}
    (check,) = verify_click(proof, network.url)
    assert (check.name, check.ok) == ("proof", False) and "not anchored yet" in check.detail
    run = CliRunner().invoke(verify, ["-", "--rpc", network.url], input=json.dumps(proof))
    assert (run.exit_code, run.output.splitlines()[-1]) == (1, "the proof does not hold: proof")


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=40), st.data())
def test_a_proof_holds_for_its_leaf_and_place_alone(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1))
    root, siblings = merkle.root(leaves), merkle.proof(leaves, index)
    assert merkle.verify(root, leaves[index], index, len(leaves), siblings)
    assert not merkle.verify(root, leaves[index] + b"x", index, len(leaves), siblings)
    assert not merkle.verify(root, leaves[index], index, len(leaves), [*siblings, root])
    if leaves[other] != leaves[index]:
        assert not merkle.verify(root, leaves[other], index, len(leaves), siblings)
    if len(leaves) > 1:
        assert not merkle.verify(root, leaves[index], index, len(leaves), siblings[1:])


def test_a_node_cannot_be_shown_as_a_leaf() -> None:
    leaves = [b"a", b"b", b"c", b"d"]
    left = b"".join(merkle.leaf_hash(leaf) for leaf in leaves[:2])
    right = merkle.proof(leaves, 0)[1]
    assert not merkle.verify(merkle.root(leaves), left, 0, 2, [right])


def test_the_tree_is_that_of_rfc_6962() -> None:
    """The root that RFC 6962 implementations publish for these leaves (certificate-transparency test vectors)."""
    leaves = [bytes.fromhex(x) for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
    leaves.append(bytes(range(0x60, 0x70)))
    assert merkle.root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
