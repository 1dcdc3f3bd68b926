"""Agreements: who must sign what, versions, ends, and the second opinion of viem."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.adapters import contract
from chalicelib.adapters.contract_events import AgreementRegistered
from chalicelib.domain.agreement import (
    DEFAULT_GROUP,
    NO_UPPER_END,
    BadTerms,
    Rule,
    Terms,
    agreement_id,
    eip712,
    from_message,
    message,
)
from chalicelib.domain.batch import Entry
from tests.contract.network_on_anvil import CHAIN_ID, Merchant, Network, Refused, commitment, new_account, sign

ROOT = Path(__file__).resolve().parents[2]
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DAY = 86_400


def terms_of(merchant: Merchant, publisher: str, **changes: Any) -> Terms:
    plain: dict[str, Any] = {
        "merchant": merchant.address,
        "publisher": publisher.lower(),
        "currency": "EUR",
        "rules": (Rule("sale", rate=100_000), Rule("lead", fixed=250)),
        "deadline": merchant.network.now() + 3600,
    }
    return Terms(**{**plain, **changes})


def submit(merchant: Merchant, publisher: LocalAccount, terms: Terms, signed: bytes | None = None) -> bytes:
    digest = signed or agreement_id(terms, CHAIN_ID, merchant.network.address)
    data = contract.encode_register(terms, sign(merchant.account, digest), sign(publisher, digest))
    merchant.network.send(merchant.network.payer, data)
    return digest


def test_anyone_may_submit_what_both_parties_signed(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address, hosted=True, window_days=45, validation_days=7, lock_days=14)

    agreement = submit(merchant, publisher, terms)

    view = network.views.agreement(merchant.address, agreement)
    assert (view.registered, view.closes_at, view.validation_days, view.lock_days) == (True, 0, 7, 14)
    parties = network.views.parties(agreement)
    assert (parties.publisher, parties.window_days, parties.hosted, parties.version) == (
        publisher.address.lower(),
        45,
        True,
        1,
    )
    assert network.views.next_agreement(merchant.address, publisher.address) == (1, 2)


def test_the_logged_terms_give_the_agreements_id_again(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address, groups=("default", "books"), silence="all")
    digest = agreement_id(terms, CHAIN_ID, network.address)
    data = contract.encode_register(terms, sign(merchant.account, digest), sign(publisher, digest))

    (event,) = network.events(network.payer, data)

    assert isinstance(event, AgreementRegistered)
    assert event.terms == terms
    assert agreement_id(event.terms, CHAIN_ID, network.address) == event.agreement == digest
    assert network.views.agreement_id(terms) == digest


@pytest.mark.parametrize("party", ["merchant", "publisher"])
def test_an_agreement_one_party_did_not_sign_is_refused(network: Network, merchant: Merchant, party: str) -> None:
    publisher, other = new_account(), new_account()
    terms = terms_of(merchant, publisher.address)
    digest = agreement_id(terms, CHAIN_ID, network.address)
    signatures = [
        sign(other if party == "merchant" else merchant.account, digest),
        sign(other if party == "publisher" else publisher, digest),
    ]
    with pytest.raises(Refused) as refused:
        network.send(network.payer, contract.encode_register(terms, *signatures))
    blamed = merchant.address if party == "merchant" else publisher.address.lower()
    assert refused.value.error is not None
    assert (refused.value.name, refused.value.error.arguments) == ("BadSignature", (blamed,))


def test_an_operational_key_cannot_sign_for_its_merchant(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address)
    digest = agreement_id(terms, CHAIN_ID, network.address)
    with pytest.raises(Refused, match="BadSignature"):
        network.send(
            network.payer, contract.encode_register(terms, sign(merchant.key, digest), sign(publisher, digest))
        )


def test_a_signature_for_another_chain_or_contract_is_refused(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address)
    for elsewhere in (
        agreement_id(terms, CHAIN_ID + 1, network.address),
        agreement_id(terms, CHAIN_ID, merchant.address),
    ):
        with pytest.raises(Refused, match="BadSignature"):
            submit(merchant, publisher, terms, elsewhere)


def test_changed_terms_make_both_signatures_worthless(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address)
    digest = agreement_id(terms, CHAIN_ID, network.address)
    cheaper = replace(terms, rules=(Rule("sale", rate=99_999), Rule("lead", fixed=250)))
    with pytest.raises(Refused, match="BadSignature"):
        submit(merchant, publisher, cheaper, digest)


def test_the_mirror_image_of_a_signature_is_refused(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address)
    digest = agreement_id(terms, CHAIN_ID, network.address)
    low = sign(merchant.account, digest)
    s = ORDER - int.from_bytes(low[32:64], "big")
    assert s > HALF_ORDER
    high = low[:32] + s.to_bytes(32, "big") + bytes([55 - low[64]])
    with pytest.raises(Refused, match="HighS"):
        network.send(network.payer, contract.encode_register(terms, high, sign(publisher, digest)))
    network.send(network.payer, contract.encode_register(terms, low, sign(publisher, digest)))


def test_a_replayed_agreement_is_refused_and_the_next_version_taken(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address)
    first = submit(merchant, publisher, terms)
    with pytest.raises(Refused, match="WrongNonce"):
        submit(merchant, publisher, terms)
    with pytest.raises(Refused, match="WrongVersion"):
        submit(merchant, publisher, replace(terms, nonce=1))
    second = submit(merchant, publisher, replace(terms, nonce=1, version=2))
    assert first != second
    assert network.views.agreement(merchant.address, first).closes_at == 0


def test_a_party_may_withdraw_what_it_signed_before_it_is_submitted(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address)
    with pytest.raises(Refused, match="NotAuthorised"):
        network.send(network.payer, contract.encode_withdraw(merchant.address, publisher.address))
    network.fund(publisher.address)
    network.send(publisher.address, contract.encode_withdraw(merchant.address, publisher.address))
    with pytest.raises(Refused, match="WrongNonce"):
        submit(merchant, publisher, terms)
    submit(merchant, publisher, replace(terms, nonce=1))


def test_signatures_cannot_be_used_after_their_deadline(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    terms = terms_of(merchant, publisher.address, deadline=network.now() + 100)
    network.rpc("evm_setNextBlockTimestamp", hex(terms.deadline + 1))
    with pytest.raises(Refused, match="DeadlinePassed"):
        submit(merchant, publisher, terms)
    on_time = replace(terms, deadline=network.now() + 100)
    network.rpc("evm_setNextBlockTimestamp", hex(on_time.deadline))
    submit(merchant, publisher, on_time)


def contract_account(network: Network, size: int, magic: str = "1626ba7e") -> str:
    """A contract account that takes any signature of `size` bytes ending in 0x07. Written in EVM code by hand:
    its calldata is selector, digest, offset, length, bytes."""
    last = 4 + 96 + size - 1
    code = (
        "604435"  # calldataload(0x44): length of the signature
        f"61{size:04x}14"  # == size
        f"61{last:04x}3560f81c600714"  # the last byte == 7
        "16"  # and
        f"63{magic}0260e01b"  # * magic << 224
        "60005260206000f3"
    )
    runtime = bytes.fromhex(code)
    creation = bytes.fromhex(f"60{len(runtime):02x}600c60003960{len(runtime):02x}6000f3") + runtime
    sent = network.rpc(
        "eth_sendTransaction", {"from": network.payer, "data": "0x" + creation.hex(), "gas": hex(500_000)}
    )
    address: str = network.receipt(sent)["contractAddress"]
    return address


@pytest.mark.parametrize("size", [1, 65, 200, 2048])
def test_a_contract_account_signs_with_signatures_of_any_length(
    network: Network, merchant: Merchant, size: int
) -> None:
    wallet = contract_account(network, size)
    terms = terms_of(merchant, wallet)
    digest = agreement_id(terms, CHAIN_ID, network.address)
    ours = sign(merchant.account, digest)
    good, bad = b"\x01" * (size - 1) + b"\x07", b"\x01" * (size - 1) + b"\x08"
    with pytest.raises(Refused, match="BadSignature"):
        network.send(network.payer, contract.encode_register(terms, ours, bad))
    network.send(network.payer, contract.encode_register(terms, ours, good))


def test_a_contract_accounts_signature_beyond_the_bound_or_with_another_answer_is_refused(
    network: Network, merchant: Merchant
) -> None:
    wallet = contract_account(network, 2049)
    terms = terms_of(merchant, wallet)
    ours = sign(merchant.account, agreement_id(terms, CHAIN_ID, network.address))
    with pytest.raises(Refused):
        network.send(network.payer, contract.encode_register(terms, ours, b"\x07" * 2049))
    wrong = contract_account(network, 65, magic="ffffffff")
    terms = terms_of(merchant, wrong)
    ours = sign(merchant.account, agreement_id(terms, CHAIN_ID, network.address))
    with pytest.raises(Refused, match="BadSignature"):
        network.send(network.payer, contract.encode_register(terms, ours, b"\x07" * 65))


@pytest.mark.parametrize("by", ["merchant", "publisher"])
def test_an_end_lets_clicks_in_flight_through_for_the_window_and_three_days(
    network: Network, merchant: Merchant, by: str
) -> None:
    agreement = merchant.agree(window_days=10)
    ender = merchant.account if by == "merchant" else merchant.publishers[agreement]
    network.fund(ender.address)
    network.send(ender.address, contract.encode_end(merchant.address, agreement))
    closes = network.views.agreement(merchant.address, agreement).closes_at
    assert closes == network.now() + 13 * DAY

    network.rpc("evm_setNextBlockTimestamp", hex(closes - 1))
    merchant.record(merchant.pack(Entry(agreement, "sale", 100, commitment(1))))
    network.rpc("evm_setNextBlockTimestamp", hex(closes))
    with pytest.raises(Refused, match="AgreementClosed"):
        merchant.record(merchant.pack(Entry(agreement, "sale", 100, commitment(2))))


def test_only_a_party_ends_an_agreement_and_only_once(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree()
    end = contract.encode_end(merchant.address, agreement)
    for stranger in (network.payer, merchant.key.address):
        with pytest.raises(Refused, match="NotAuthorised"):
            network.send(stranger, end)
    with pytest.raises(Refused, match="UnknownAgreement"):
        network.send(merchant.address, contract.encode_end(merchant.address, bytes(32)))
    network.send(merchant.address, end)
    with pytest.raises(Refused, match="AlreadyEnded"):
        network.send(merchant.address, end)


def said(merchant: Merchant, publisher: LocalAccount, changes: dict[str, Any]) -> dict[str, Any]:
    """A message to sign, some fields of which may be other than `Terms` would write them."""
    plain = message(terms_of(merchant, publisher.address, rules=(Rule("sale", rate=100_000),)))
    (rule,) = plain["rules"]
    return {**plain, **changes, "rules": [{**rule, **other} for other in changes.get("rules", [{}])]}


def named(*groups: str) -> dict[str, Any]:
    return {"groups": [DEFAULT_GROUP, *groups]}


FINE_TERMS: list[dict[str, Any]] = [
    {},
    {"currency": "AZZ"},
    {"lockDays": 1, "validationDays": 0, "windowDays": 0},
    {"lockDays": 1000, "validationDays": 1000, "windowDays": 1000},
    named("b", "Z9", "0.a_b-C", "a" * 32, "Default", "default."),
    named(*(f"group{i}" for i in range(15))),
    {"rules": [{"value": 1_000_000}]},
    {"rules": [{"value": 2**40 - 1, "fixedAmount": True}]},
    {"rules": [{"fromAmount": 2**40 - 1}]},
    {"rules": [{"toAmount": 10}, {"fromAmount": 10}]},
    {"rules": [{}, {"action": 1}]},
    {**named("b"), "rules": [{"value": 2}, {"group": 1, "value": 1}]},
    {"rules": [{"fromAmount": i, "toAmount": i + 1} for i in range(16)]},
]
ODD_TERMS: list[tuple[dict[str, Any], str]] = [
    ({"merchant": "0x" + "00" * 20}, "BadParties"),
    ({"publisher": "0x" + "00" * 20}, "BadParties"),
    ({"currency": ""}, "BadCurrency"),
    ({"currency": "EU"}, "BadCurrency"),
    ({"currency": "eur"}, "BadCurrency"),
    ({"currency": "EUr"}, "BadCurrency"),
    ({"currency": "@UR"}, "BadCurrency"),  # the neighbours of A and Z
    ({"currency": "E[R"}, "BadCurrency"),
    ({"currency": "EU\0"}, "BadCurrency"),
    ({"currency": "EURO"}, ""),
    ({"currency": "E\u00c4"}, "BadCurrency"),  # three bytes, two letters
    ({"lockDays": 0, "validationDays": 0}, "BadDays"),
    ({"lockDays": 1001}, "BadDays"),
    ({"validationDays": 61}, "BadDays"),
    ({"windowDays": 1001}, "BadDays"),
    ({"rules": []}, "NoRules"),
    ({"groups": []}, "NoRules"),
    ({"groups": ["x"]}, "BadGroup"),
    ({"groups": [""]}, "BadGroup"),
    ({"groups": ["Default"]}, "BadGroup"),
    ({"groups": ["default."]}, "BadGroup"),
    ({"groups": ["b", "default"]}, "BadGroup"),
    (named("default"), "BadGroup"),
    ({**named("default"), "rules": [{}, {"group": 1}]}, "BadGroup"),  # two rules for any amount of one name
    (named("b", "c", "b"), "BadGroup"),
    (named(""), "BadGroup"),
    (named("a b"), "BadGroup"),
    (named("a\0"), "BadGroup"),
    (named("\0"), "BadGroup"),
    (named("b", ".b"), "BadGroup"),
    (named("-b"), "BadGroup"),
    (named("_b"), "BadGroup"),
    (named("b/"), "BadGroup"),  # the neighbours of what is allowed
    (named("b:"), "BadGroup"),
    (named("b,"), "BadGroup"),
    (named("b@"), "BadGroup"),
    (named("b["), "BadGroup"),
    (named("b`"), "BadGroup"),
    (named("b{"), "BadGroup"),
    (named("b\n"), "BadGroup"),
    (named("\u00e4"), "BadGroup"),
    (named("\udcff"), "BadGroup"),  # a byte that is no text
    (named("a" * 31 + "!"), "BadGroup"),
    (named("a" * 33), ""),
    (named(*(f"group{i}" for i in range(16))), ""),
    ({"rules": [{"value": 1_000_001}]}, "BadRule"),
    ({"rules": [{"value": 2**40, "fixedAmount": True}]}, "BadRule"),
    ({"rules": [{"fromAmount": 5, "toAmount": 5}]}, "BadRule"),
    ({"rules": [{"toAmount": NO_UPPER_END + 1}]}, "BadRule"),
    ({"rules": [{"action": 2}]}, "BadRule"),
    ({"rules": [{"group": 1}]}, "BadRule"),
    ({"rules": [{"toAmount": 10}, {"fromAmount": 9}]}, "RulesOverlap"),
    ({"rules": [{"action": 1}, {}]}, "RulesOverlap"),
    ({**named("b"), "rules": [{"group": 1}, {}]}, "RulesOverlap"),
    ({"rules": [{"fromAmount": i, "toAmount": i + 1} for i in range(17)]}, ""),
]


def written(message_said: dict[str, Any]) -> bool:
    """Whether there are terms that say just this."""
    try:
        return message(from_message(message_said)) == message_said
    except BadTerms:
        return False


@pytest.mark.parametrize("changes", FINE_TERMS, ids=str)
def test_what_terms_may_say_the_contract_registers(
    network: Network, merchant: Merchant, changes: dict[str, Any]
) -> None:
    publisher = new_account()
    complete = said(merchant, publisher, changes)
    (event,) = network.register_message(complete, merchant.account, publisher)
    assert isinstance(event, AgreementRegistered)
    assert message(event.terms) == complete
    assert event.agreement == agreement_id(event.terms, CHAIN_ID, network.address)


@pytest.mark.parametrize(("changes", "error"), ODD_TERMS, ids=str)
def test_what_terms_refuse_the_contract_refuses_by_itself(
    network: Network, merchant: Merchant, changes: dict[str, Any], error: str
) -> None:
    publisher = new_account()
    complete = said(merchant, publisher, changes)
    assert not written(complete)
    with pytest.raises(Refused) as refused:
        network.register_message(complete, merchant.account, publisher)
    assert refused.value.name == error  # none where the ABI has no room for it


def test_a_refused_group_is_named(network: Network, merchant: Merchant) -> None:
    publisher = new_account()
    for groups, bad in ((["x"], 0), (["default", "b", "c d"], 2), (["default", "b", "b"], 2)):
        with pytest.raises(Refused) as refused:
            network.register_message(said(merchant, publisher, {"groups": groups}), merchant.account, publisher)
        assert refused.value.error is not None
        assert (refused.value.name, refused.value.error.arguments) == ("BadGroup", (bad,))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=4), st.text(max_size=3))
def test_contract_and_terms_agree_on_any_text(
    network: Network, merchant: Merchant, groups: list[str], currency: str
) -> None:
    publisher = new_account()
    for changes in (named(*groups), {"groups": groups}, {"currency": currency}):
        complete = said(merchant, publisher, changes)
        try:
            network.register_message(complete, merchant.account, publisher)
        except Refused:
            assert not written(complete)
        else:
            assert written(complete)
        publisher = new_account()


def test_brackets_may_touch_and_leave_gaps(network: Network, merchant: Merchant) -> None:
    agreement = merchant.agree(
        Rule("sale", rate=500_000, to_amount=10),
        Rule("sale", fixed=3, from_amount=10, to_amount=20),
        Rule("sale", rate=1_000_000, from_amount=30),
    )
    paid = [network.views.commission(merchant.address, agreement, "sale", 0, a) for a in (0, 9, 10, 19, 20, 29, 30)]
    assert paid == [0, 5, 3, 3, 0, 0, 30]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"merchant": "0x12"}, "40 hex digits"),
        ({"publisher": "0x" + "00" * 20}, "40 hex digits"),
        ({"currency": "eur"}, "ISO 4217"),
        ({"validation_days": 61}, "lock_days"),
        ({"groups": ("books",)}, DEFAULT_GROUP),
        ({"rules": ()}, "from 1 to 16"),
        ({"rules": (Rule("sale", rate=1, to_amount=10), Rule("sale", rate=2, from_amount=9))}, "overlap"),
        ({"rules": (Rule("sale", rate=1, group="wine"),)}, "not one of"),
    ],
)
def test_bad_terms_are_refused_before_anybody_signs_them(
    merchant: Merchant, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadTerms, match=words):
        replace(terms_of(merchant, new_account().address), **changes)


def test_viem_and_eth_account_make_the_same_digest_and_signature() -> None:
    account = new_account()
    cases = []
    for number in range(12):
        rules = [
            Rule("sale", rate=number * 1000, to_amount=100 + number),
            Rule("sale", fixed=2**40 - 1 - number, from_amount=200),
        ]
        if number % 2:
            rules.append(Rule("lead", fixed=number, group="gruppe-2"))
        terms = Terms(
            merchant=account.address,
            publisher=new_account().address,
            currency=("EUR", "JPY", "USD")[number % 3],
            rules=tuple(rules),
            deadline=2**256 - 1 - number,
            window_days=number,
            validation_days=number,
            lock_days=number + 1,
            silence="all" if number % 3 else "verified",
            hosted=bool(number % 2),
            version=number + 1,
            nonce=2**64 - 1 - number,
            groups=("default", "gruppe-2"),
        )
        cases.append((terms, 31337 + number, "0x" + f"{number + 1:040x}"))
    typed = [eip712(*case) for case in cases]
    script = """
        import { hashTypedData } from 'viem'; import { privateKeyToAccount } from 'viem/accounts';
        const { key, typed } = JSON.parse(await new Response(process.stdin).text());
        const signer = privateKeyToAccount(key);
        const out = [];
        for (const t of typed) { out.push([hashTypedData(t), await signer.signTypedData(t)]); }
        console.log(JSON.stringify(out));
    """
    # Integers beyond 2^53 must reach JavaScript whole.
    wire = json.dumps({"key": "0x" + bytes(account.key).hex(), "typed": _texts(typed)})
    answer = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        input=wire,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    for (terms, chain_id, address), full, (digest, signature) in zip(
        cases, typed, json.loads(answer.stdout), strict=True
    ):
        ours = agreement_id(terms, chain_id, address)
        assert digest == "0x" + ours.hex()
        assert signature == "0x" + sign(account, ours).hex()
        encoded = encode_typed_data(full_message=full)
        assert bytes(account.sign_message(encoded).signature) == sign(account, ours)


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
