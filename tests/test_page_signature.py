"""Signed page data, on the vectors that the other languages share and under 10,000 mutations."""

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.page_signature import page_message, page_signature_holds, sign_page

VECTORS = json.loads((Path(__file__).parent / "vectors" / "page_signature.json").read_text())
SECRET = VECTORS["valid"][0]["secret"]


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


def order_id(case: dict[str, Any]) -> str:
    """Text, or the UTF-16 code units of text that is not Unicode."""
    if "orderId" in case:
        return str(case["orderId"])
    return "".join(map(chr, case["orderIdCodeUnits"]))


def holds(case: dict[str, Any], secrets: list[str]) -> bool:
    signed = (order_id(case), case["action"], case["values"], case["currency"])
    return page_signature_holds(secrets, case["signature"], *signed)


@pytest.mark.parametrize("case", VECTORS["valid"], ids=named)
def test_the_message_and_the_signature_are_exactly_those_of_the_vector(case: dict[str, Any]) -> None:
    signed = (case["orderId"], case["action"], case["values"], case["currency"])
    assert page_message(*signed).decode() == case["message"]
    assert sign_page(case["secret"], *signed) == case["signature"]
    assert holds(case, [case["secret"]])


@pytest.mark.parametrize("case", VECTORS["rotating"], ids=named)
def test_while_a_secret_rotates_both_hold(case: dict[str, Any]) -> None:
    assert holds(case, case["secrets"])


@pytest.mark.parametrize("case", VECTORS["invalid"], ids=named)
def test_an_invalid_signature_does_not_hold(case: dict[str, Any]) -> None:
    assert not holds(case, case["secrets"])


@pytest.mark.parametrize("case", VECTORS["unsignable"], ids=named)
def test_what_cannot_be_signed_safely_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"24 bytes|surrogates"):
        sign_page(case["secret"], order_id(case), case["action"], case["values"], case["currency"])


def test_a_short_secret_of_the_box_itself_is_an_error_and_not_a_mismatch() -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        page_signature_holds([""], "0" * 64, "B-1", "sale", ["100.00"], "EUR")


def test_one_amount_given_as_text_is_not_taken_for_a_list_of_its_characters() -> None:
    with pytest.raises(TypeError):
        sign_page(SECRET, "B-1", "sale", "100.00", "EUR")


def test_every_secret_is_compared_so_that_time_does_not_tell_which_matched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []
    real = page_signature_holds.__globals__["hmac"].compare_digest

    def counting(ours: str, theirs: str) -> bool:
        compared.append(ours)
        return bool(real(ours, theirs))

    monkeypatch.setattr("chalicelib.domain.page_signature.hmac.compare_digest", counting)
    secrets = [SECRET, "page_second-secret-0123456789", "page_third-secret-01234567890"]
    assert page_signature_holds(secrets, sign_page(SECRET, "B-1", "sale", ["1"], "EUR"), "B-1", "sale", ["1"], "EUR")
    assert len(compared) == 3


LETTERS = string.ascii_letters + string.digits + string.punctuation + " \n\té€🛒\x00"


def edited(text: str, chance: random.Random) -> str:
    """One edit: a character put in, taken out, replaced, in the other case, or two swapped."""
    at = chance.randrange(len(text) + 1)
    kind = chance.randrange(5)
    if kind == 0 or not text:
        return text[:at] + chance.choice(LETTERS) + text[at:]
    at = min(at, len(text) - 1)
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:
        return text[:at] + chance.choice(LETTERS) + text[at + 1 :]
    if kind == 3:
        return text[:at] + text[at].swapcase() + text[at + 1 :]
    return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]


def test_of_10_000_mutations_none_is_accepted() -> None:
    chance = random.Random(20261123)
    tried = accepted = 0
    while tried < 10_000:
        case = chance.choice(VECTORS["valid"])
        original = [case["signature"], case["orderId"], case["action"], case["currency"], *case["values"]]
        mutated = list(original)
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            at = chance.randrange(len(mutated))
            mutated[at] = edited(mutated[at], chance)
        if mutated == original:
            continue
        signature, order, action, currency, *values = mutated
        tried += 1
        accepted += page_signature_holds([case["secret"]], signature, order, action, values, currency)
    assert (tried, accepted) == (10_000, 0)
