"""Every client agrees with the vectors that the box itself is held to."""

import base64
import json
import random
from pathlib import Path
from typing import Any

from chalicelib.domain.page_signature import sign_page
from tests.clients.languages import Language

VECTORS = Path(__file__).parent.parent / "vectors"
PAGE = json.loads((VECTORS / "page_signature.json").read_text())
WEBHOOK = json.loads((VECTORS / "webhook_signature.json").read_text())


def test_each_client_signs_pages_exactly_as_the_vectors_say(client: Language) -> None:
    outcomes = client.run(*({"operation": "signPage", **case} for case in PAGE["valid"]))
    signed = {case["name"]: outcome.get("ok") for case, outcome in zip(PAGE["valid"], outcomes, strict=True)}
    assert signed == {case["name"]: case["signature"] for case in PAGE["valid"]}


def test_each_client_refuses_to_sign_what_cannot_be_signed_safely(client: Language) -> None:
    outcomes = client.run(*({"operation": "signPage", **case} for case in PAGE["unsignable"]))
    signed = [
        case["name"] for case, outcome in zip(PAGE["unsignable"], outcomes, strict=True) if "misused" not in outcome
    ]
    assert signed == []


def test_each_client_signs_random_unicode_as_the_box_does(client: Language) -> None:
    chance = random.Random(7)
    secret = PAGE["valid"][0]["secret"]
    points = [*range(0x120), *range(0x2000, 0x2070), *range(0xD7F0, 0xD800), *range(0xE000, 0xE010)]
    points += [*range(0xFEF0, 0x10010), *range(0x1F600, 0x1F650), 0x10FFFF]
    orders = ["".join(map(chr, chance.choices(points, k=chance.randrange(40)))) for _ in range(300)]
    constant = {"operation": "signPage", "secret": secret, "action": "sale", "values": ["1.00"], "currency": "EUR"}
    outcomes = client.run(*({**constant, "orderId": order} for order in orders))
    differing = [
        order
        for order, outcome in zip(orders, outcomes, strict=True)
        if outcome.get("ok") != sign_page(secret, order, "sale", ["1.00"], "EUR")
    ]
    assert differing == []


def test_each_client_accepts_genuine_postbacks(client: Language) -> None:
    outcomes = client.run(*({"operation": "verifyPostback", **case} for case in WEBHOOK["accepted"]))
    refused = {
        case["name"]: outcome
        for case, outcome in zip(WEBHOOK["accepted"], outcomes, strict=True)
        if outcome.get("ok") != "accepted"
    }
    assert refused == {}


def test_each_client_refuses_all_other_postbacks_with_the_same_code(client: Language) -> None:
    outcomes = client.run(*({"operation": "verifyPostback", **case} for case in WEBHOOK["refused"]))
    codes = {case["name"]: outcome.get("refused") for case, outcome in zip(WEBHOOK["refused"], outcomes, strict=True)}
    assert codes == {case["name"]: case["code"] for case in WEBHOOK["refused"]}


def test_each_client_refuses_malformed_postback_secrets(client: Language) -> None:
    genuine = WEBHOOK["accepted"][0]
    commands = [
        {**genuine, "operation": "verifyPostback", "secrets": [case["secret"]]} for case in WEBHOOK["badSecrets"]
    ]
    accepted = [
        case["name"]
        for case, outcome in zip(WEBHOOK["badSecrets"], client.run(*commands), strict=True)
        if "misused" not in outcome
    ]
    assert accepted == []


def test_no_client_accepts_one_of_500_postbacks_with_a_single_bit_flipped(client: Language) -> None:
    chance = random.Random(11)
    genuine = WEBHOOK["accepted"][0]
    commands: list[dict[str, Any]] = []
    while len(commands) < 500:
        headers, payload = dict(genuine["headers"]), bytearray(base64.b64decode(genuine["payloadBase64"]))
        at = chance.choice(["payload", *headers])
        if at == "payload":
            payload[chance.randrange(len(payload))] ^= 1 << chance.randrange(8)
        else:
            text = bytearray(headers[at].encode())
            text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
            headers[at] = text.decode("latin-1")
        command = {"headers": headers, "payloadBase64": base64.b64encode(payload).decode()}
        commands.append({**genuine, **command, "operation": "verifyPostback"})
    assert [outcome for outcome in client.run(*commands) if "refused" not in outcome] == []
