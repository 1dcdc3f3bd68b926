"""Postback signatures, on the vectors that the other languages share and under 10,000 mutations."""

import base64
import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import Unauthenticated
from chalicelib.domain.webhook_signature import sign_webhook, verify_webhook

VECTORS = json.loads((Path(__file__).parent / "vectors" / "webhook_signature.json").read_text())
STANDARD = VECTORS["accepted"][0]
NOW = STANDARD["now"]
OLD, NEW = STANDARD["secrets"][0], "whsec_" + base64.b64encode(b"n" * 32).decode()


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


def verify(case: dict[str, Any]) -> None:
    verify_webhook(case["secrets"], case["headers"], base64.b64decode(case["payloadBase64"]), case["now"])


@pytest.mark.parametrize("case", VECTORS["accepted"], ids=named)
def test_a_genuine_postback_is_accepted(case: dict[str, Any]) -> None:
    verify(case)


@pytest.mark.parametrize("case", VECTORS["refused"], ids=named)
def test_anything_else_is_refused_with_its_own_code(case: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        verify(case)
    assert refusal.value.code == case["code"]


@pytest.mark.parametrize("case", VECTORS["badSecrets"], ids=named)
def test_a_malformed_secret_is_an_error_on_both_sides(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        sign_webhook([case["secret"]], "msg_1", NOW, b"{}")
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook([case["secret"]], STANDARD["headers"], b"{}", NOW)


def test_signing_gives_the_standards_own_example() -> None:
    payload = base64.b64decode(STANDARD["payloadBase64"])
    assert sign_webhook([OLD], STANDARD["headers"]["webhook-id"], NOW, payload) == STANDARD["headers"]


def test_while_a_secret_rotates_receivers_with_either_one_accept() -> None:
    headers = sign_webhook([NEW, OLD], "msg_1", NOW, b"{}")
    for secrets in ([OLD], [NEW], [NEW, OLD]):
        verify_webhook(secrets, headers, b"{}", NOW)


@pytest.mark.parametrize(
    ("clock", "code"),
    [
        (299, None),
        (300, None),
        (301, "timestamp_too_old"),
        (-299, None),
        (-300, None),
        (-301, "timestamp_too_new"),
    ],
)
def test_300_seconds_are_tolerated_either_way_and_301_are_not(clock: int, code: str | None) -> None:
    headers = sign_webhook([OLD], "msg_1", NOW, b"{}")
    if code is None:
        verify_webhook([OLD], headers, b"{}", NOW + clock)
        return
    with pytest.raises(Unauthenticated) as refusal:
        verify_webhook([OLD], headers, b"{}", NOW + clock)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("secrets", "message_id", "timestamp"),
    [([], "msg_1", NOW), ([OLD], "a.b", NOW), ([OLD], "", NOW), ([OLD], "msg_1", -1)],
)
def test_nothing_is_signed_that_no_receiver_would_accept(secrets: list[str], message_id: str, timestamp: int) -> None:
    with pytest.raises(ValueError, match="a webhook needs"):
        sign_webhook(secrets, message_id, timestamp, b"{}")


LETTERS = (string.printable + "é€\x00").encode()


def edited(data: bytes, chance: random.Random) -> bytes:
    """One edit: a byte put in, taken out or replaced, a bit flipped, or the end cut off."""
    at = chance.randrange(len(data) + 1)
    kind = chance.randrange(5)
    if kind == 0 or not data:
        return data[:at] + bytes([chance.choice(LETTERS)]) + data[at:]
    at = min(at, len(data) - 1)
    if kind == 1:
        return data[:at] + data[at + 1 :]
    if kind == 2:
        return data[:at] + bytes([chance.choice(LETTERS)]) + data[at + 1 :]
    if kind == 3:
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    return data[:at]


def test_of_10_000_mutations_none_is_accepted() -> None:
    chance = random.Random(20261123)
    tried = accepted = 0
    names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
    while tried < 10_000:
        payload = chance.randbytes(chance.randrange(200))
        headers = sign_webhook([OLD], "msg_" + chance.randbytes(8).hex(), NOW + chance.randrange(-300, 301), payload)
        original = [headers[name].encode() for name in names] + [payload]
        mutated = list(original)
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            at = chance.randrange(len(mutated))
            mutated[at] = edited(mutated[at], chance)
        if mutated == original:
            continue
        tried += 1
        texts = {name: value.decode("latin-1") for name, value in zip(names, mutated[:3], strict=True)}
        try:
            verify_webhook([OLD], texts, mutated[3], NOW)
            accepted += 1
        except Unauthenticated:
            pass
    assert (tried, accepted) == (10_000, 0)
