"""A node may have forgotten, lag, keep logs back or change its mind. None of that says anything about the merchant."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib.adapters import contract
from chalicelib.adapters.contract_abi import topic
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import REASONS, Amendment, Run
from ops.audit import audit, audit_publisher
from ops.chain_reader import Chain, ChainUnreadable
from ops.verify import verify, verify_receipt
from ops.verify_click import verify_click
from tests.contract.network_on_anvil import Merchant, Network
from tests.contract.other_nodes import Alter, answers, forgets, leaves_out, node_that
from tests.contract.shown_receipts import Order, entries_of, record, shown_proof

Receipt = dict[str, Any]


def logs_of(event: str) -> str:
    return "0x" + topic(event).hex()


@pytest.fixture
def receipt(merchant: Merchant) -> Receipt:
    """As it was shown before its order was amended and rejected."""
    agreement = merchant.agree(validation_days=10, lock_days=20)
    payloads = [Order(i, {"default": 1000 + i}).payload(merchant, agreement) for i in range(3)]
    shown = record(merchant, *payloads)
    batch = merchant.pack(*(entry for payload in payloads for entry in entries_of(payload, merchant)))
    proof = (merchant.address, batch.body, keccak256(batch.commitments))
    merchant.send(contract.encode_amend(*proof, [Amendment(1, 400, reason=REASONS["refund"])]))
    merchant.send(contract.encode_decide(merchant.address, {batch.digest: [Run(1, 1, "rejected", REASONS["fraud"])]}))
    return shown[1]


FORGETFUL: list[Alter] = [
    forgets("eth_getTransactionByHash"),
    forgets("eth_getTransactionReceipt"),
    forgets("eth_getBlockByNumber"),
    *(leaves_out(logs_of(event)) for event in ("AgreementRegistered", "Amended", "Decided")),
    *(answers(method, None) for method in ("eth_chainId", "eth_getCode", "eth_getLogs", "eth_call")),
    answers("eth_chainId", "yes"),
    answers("eth_getBlockByNumber", {"number": "soon"}),
]


@pytest.mark.parametrize("alter", FORGETFUL)
def test_what_a_node_forgot_is_no_fault_of_the_receipt(network: Network, receipt: Receipt, alter: Alter) -> None:
    assert verify_receipt(receipt, network.url)[-1].ok
    with node_that(alter, network.url) as node, pytest.raises(ChainUnreadable):
        verify_receipt(receipt, node)


def test_a_click_s_anchor_that_a_node_forgot_is_no_fault_of_its_proof(network: Network, merchant: Merchant) -> None:
    proof = shown_proof(merchant, 3)
    with node_that(forgets("eth_getTransactionReceipt"), network.url) as node, pytest.raises(ChainUnreadable):
        verify_click(proof, node)


def test_a_transaction_that_is_nowhere_is_a_fault_of_the_receipt(network: Network, receipt: Receipt) -> None:
    for changed in ({"transaction": "0x" + "12" * 32}, {"blockNumber": 10**9, "transaction": "0x" + "12" * 32}):
        check = verify_receipt(receipt | changed, network.url)[-1]
        assert (check.name, check.ok) == ("block", False)
        assert f"newest block, {int(network.rpc('eth_blockNumber'), 16)}" in check.detail


def test_the_groups_of_an_order_are_decided_together_or_it_is_named(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree(groups=("default", "wine"))
    payload = Order(1, {"default": 100, "wine": 300}).payload(merchant, agreement)
    (shown,) = record(merchant, payload)
    batch = bytes.fromhex(shown["batch"][2:])
    merchant.send(contract.encode_decide(merchant.address, {batch: [Run(1, 1, "rejected", REASONS["fraud"])]}))
    check = verify_receipt(shown, network.url)[-1]
    assert (check.name, check.ok) == ("status", False)
    assert check.detail.startswith("decided apart: sequence 1 is open, sequence 2 ")


def audited(node: str, network: Network, receipt: Receipt) -> list[tuple[str, str]]:
    report = audit_publisher(Chain(node, network.address), receipt["publisher"], receipt["merchant"])
    return [(finding.kind, finding.where) for finding in report.findings]


@pytest.mark.parametrize("event", ["AgreementRegistered", "Recorded", "Decided", "Amended"])
def test_a_log_that_is_kept_back_is_a_gap_and_accuses_nobody_of_more(
    network: Network, receipt: Receipt, event: str
) -> None:
    assert audited(network.url, network, receipt) == []
    with node_that(leaves_out(logs_of(event)), network.url) as node:
        assert {kind for kind, _ in audited(node, network, receipt)} == {"gap"}


def test_a_node_that_forgot_what_transactions_said_ends_an_audit(network: Network, receipt: Receipt) -> None:
    with node_that(forgets("eth_getTransactionByHash"), network.url) as node, pytest.raises(ChainUnreadable):
        audited(node, network, receipt)


def test_a_node_that_leaves_answers_out_of_a_list_is_asked_one_by_one(network: Network, receipt: Receipt) -> None:
    def alter(asked: dict[str, Any], answered: dict[str, Any]) -> Any:
        return None if asked["method"] == "eth_call" and asked["id"] == 0 else answered

    with node_that(alter, network.url) as node:
        assert audited(node, network, receipt) == []


def test_a_node_that_is_asked_too_often_is_asked_again(network: Network, receipt: Receipt) -> None:
    with node_that(lambda _, answered: answered, network.url, busy=True) as node:
        assert audited(node, network, receipt) == []
        assert verify_receipt(receipt, node)[-1].ok


def test_a_reorganisation_between_two_answers_proves_nothing(network: Network, receipt: Receipt) -> None:
    """The head that everything was read at is another block by the end."""
    heads: list[dict[str, Any]] = []

    def alter(asked: dict[str, Any], answered: dict[str, Any]) -> Any:
        if asked["method"] != "eth_getBlockByNumber" or asked["params"][0] == "finalized":
            return answered
        if asked["params"][0] == "latest":
            heads.append(answered["result"])
        elif heads and asked["params"][0] == heads[-1]["number"]:
            return {**answered, "result": {**answered["result"], "hash": "0x" + "34" * 32}}
        return answered

    asks: list[Callable[[str], object]] = [
        lambda node: verify_receipt(receipt, node),
        lambda node: audited(node, network, receipt),
    ]
    for ask in asks:
        with node_that(alter, network.url) as node, pytest.raises(ChainUnreadable, match="reorganised"):
            ask(node)


def test_a_merchant_that_one_never_agreed_with_is_said_to_be_one(network: Network, receipt: Receipt) -> None:
    options = ["--publisher", receipt["publisher"], "--contract", network.address, "--rpc", network.url]
    found = CliRunner().invoke(audit, [*options, "--merchant", "0x" + "12" * 20])
    assert "has no agreement with" in found.output


def test_what_others_wrote_moves_no_cursor(network: Network, receipt: Receipt, tmp_path: Any) -> None:
    """A receipt, or a box, could otherwise draw its own verdict over the true one."""
    said = "\x1b[2K\r\nthe receipt holds\u202e"
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps({**receipt, "conversionId": said}))
    found = CliRunner().invoke(verify, [str(file), "--rpc", network.url])
    assert found.exit_code == 1
    assert all(line.isprintable() for line in found.output.splitlines())
    assert "the receipt holds" not in found.output.splitlines()
    answer = {"answer": {"conversionId": "a", "attributed": True}, "receipt": {"state": "none", "reason": said}}
    file.write_text(json.dumps([answer]))
    options = ["--publisher", receipt["publisher"], "--contract", network.address, "--rpc", network.url]
    found = CliRunner().invoke(audit, [*options, "--saved", str(file)])
    assert found.exit_code == 1 and all(line.isprintable() for line in found.output.splitlines())


def test_json_that_nests_without_end_is_no_receipt(network: Network) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert CliRunner().invoke(verify, ["-", "--rpc", network.url], input=deep).exit_code == 2
