"""What each client puts on the wire, what it makes of answers, what it tries again, and what it never shows."""

import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from tests.clients.languages import Command, Language, Outcome
from tests.clients.recording_box import RecordingBox, Reply, problem, reply

KEY = "box_secret-of-this-test-Zq81"
SALE: dict[str, Any] = {"action": "sale", "orderId": "B-1", "values": ["100.00"], "currency": "EUR"}
ACCEPTED: dict[str, Any] = {
    "conversionId": "cv_1",
    "status": "open",
    "attributed": True,
    "duplicate": False,
}
LIMITS: dict[str, float] = {"timeout": 8, "patience": 20, "attempts": 3}
IMPATIENT: dict[str, float] = {**LIMITS, "timeout": 1}
"""For boxes that do not answer; elsewhere a busy machine must not make a second attempt out of a slow first one."""


def report(box: RecordingBox, argument: dict[str, Any] = SALE, limits: Mapping[str, float] = LIMITS) -> Command:
    return {
        "operation": "report",
        "url": box.url,
        "key": KEY,
        "options": dict(limits),
        "argument": argument,
    }


def only(outcomes: list[Outcome]) -> Outcome:
    assert len(outcomes) == 1
    return outcomes[0]


def failure(outcomes: list[Outcome]) -> dict[str, Any]:
    failed: dict[str, Any] = only(outcomes)["failed"]
    return failed


# --- on the wire -----------------------------------------------------------------------------------------


def test_a_report_is_one_authorised_json_post(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(202, ACCEPTED))
    full = {
        **SALE,
        "values": ["60.00", "40.00"],
        "clickId": "ck_1",
        "voucher": "ZOË10",
        "items": [{"group": "shoes", "quantity": 2, "unitPrice": "50.00", "sku": "S-1", "name": "Boots"}],
        "metadata": {"bookingReference": 'é"\\/\u2028🛒'},
        "eventId": "ev-1",
        "customerStatus": "new",
        "isTest": True,
    }
    outcome = only(client.run(report(recorder, full)))
    (request,) = recorder.requests
    assert (request.method, request.path) == ("POST", "/demo/v1/conversions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"].startswith("application/json")
    assert request.document == full
    assert outcome["ok"].items() >= {"code": 202, **ACCEPTED}.items()


def test_what_was_not_given_is_not_sent(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(202, ACCEPTED))
    client.run(report(recorder))
    assert recorder.requests[0].document == SALE


def test_a_basket_says_what_the_order_is_worth(client: Language, recorder: RecordingBox) -> None:
    """A list of values that is empty would be refused."""
    basket = {"action": "sale", "orderId": "B-1", "items": [{"quantity": 2, "unitPrice": "5.00"}]}
    recorder.will_answer(reply(202, ACCEPTED))
    client.run(report(recorder, basket))
    assert recorder.requests[0].document == basket


def test_a_repetition_is_told_apart(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(200, {**ACCEPTED, "duplicate": True}))
    outcome = only(client.run(report(recorder)))
    assert (outcome["ok"]["code"], outcome["ok"]["duplicate"]) == (200, True)


def test_a_batch_gives_a_row_each_in_order_with_its_own_error(client: Language, recorder: RecordingBox) -> None:
    rows: list[dict[str, Any]] = [
        {"index": 0, "code": 202, "conversionId": "cv_1", "status": "open", "duplicate": False},
        {"index": 1, "code": 409, "error": {"code": "conflict", "detail": "Because."}},
    ]
    recorder.will_answer(reply(200, {"results": rows}))
    batch = [SALE, {**SALE, "orderId": "B-2"}]
    outcome = only(client.run({**report(recorder), "operation": "reportBatch", "argument": batch}))
    assert recorder.requests[0].path == "/demo/v1/conversions/batch"
    assert recorder.requests[0].document == {"conversions": batch}
    first, second = outcome["ok"]
    assert rows[0].items() <= first.items()
    told = second["error"] if client.name == "dotnet" else second["error"]["code"]
    assert (second["index"], second["code"], told) == (1, 409, "conflict")


def test_validations_name_a_conversion_or_an_order(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(200, {"results": [{"index": 0, "code": 202}, {"index": 1, "code": 202}]}))
    validations = [
        {"conversionId": "cv_1", "status": "approved"},
        {"orderId": "B-2", "action": "sale", "status": "rejected", "reason": "returned"},
        {"conversionId": "cv_3", "lines": {"kitchen": "10.00", "shoes": "0"}},
    ]
    outcome = only(client.run({**report(recorder), "operation": "validate", "argument": validations}))
    assert recorder.requests[0].path == "/demo/v1/validations"
    assert recorder.requests[0].document == {"validations": validations}
    assert [row["code"] for row in outcome["ok"]] == [202, 202]


def test_a_change_is_a_patch_of_that_conversion_whatever_its_id_holds(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(200, ACCEPTED))
    change = {"amount": "80.00", "reason": "partial_refund"}
    command = {**report(recorder), "operation": "change", "conversionId": "cv/../1?x", "argument": change}
    assert only(client.run(command))["ok"]["conversionId"] == "cv_1"
    assert (recorder.requests[0].method, recorder.requests[0].path) == (
        "PATCH",
        "/demo/v1/conversions/cv%2F..%2F1%3Fx",
    )
    assert recorder.requests[0].document == change


# --- tried again -----------------------------------------------------------------------------------------

TROUBLE = {
    "connection dropped": Reply(fault="drop"),
    "no answer in time": Reply(fault="silent"),
    "an answer that never ends": Reply(fault="drip"),
    "500": problem(500, "internal"),
    "502 of a proxy in HTML": Reply(502, b"<html>Bad gateway</html>"),
    "503": problem(503, "unavailable"),
    "429": problem(429, "too_many", retry_after="0"),
    "200 in HTML": Reply(200, b"<html>Welcome to the hotel's network</html>"),
    "202 cut off": Reply(202, b'{"conversionId": "cv_'),
    "a list for an object": reply(200, [ACCEPTED]),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE.keys())
def test_after_trouble_the_same_bytes_are_sent_again(client: Language, recorder: RecordingBox, trouble: Reply) -> None:
    recorder.will_answer(trouble, reply(200, {**ACCEPTED, "duplicate": True}))
    limits = IMPATIENT if trouble.fault in ("silent", "drip") else LIMITS
    outcome = only(client.run(report(recorder, limits=limits)))
    assert outcome["ok"]["conversionId"] == "cv_1"
    assert [request.body for request in recorder.requests] == [recorder.requests[0].body] * 2


FINAL = {
    "box_unreachable": (Reply(fault="drop"), 0),
    "internal": (problem(500, "internal"), 500),
    "http_504": (Reply(504, b"<html>"), 504),
    "unreadable_answer": (Reply(200, b"<html>"), 200),
}


@pytest.mark.parametrize("code", FINAL)
def test_trouble_that_lasts_ends_in_an_error_after_the_attempts(
    client: Language, recorder: RecordingBox, code: str
) -> None:
    trouble, status = FINAL[code]
    recorder.will_answer(trouble)
    failed = failure(client.run(report(recorder)))
    assert (failed["code"], failed["status"], failed["attempts"]) == (code, status, 3)
    assert len(recorder.requests) == 3


def test_a_box_that_is_not_there_is_an_error_after_the_attempts(client: Language, recorder: RecordingBox) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        command = {**report(recorder), "url": f"http://127.0.0.1:{unused.getsockname()[1]}"}
        failed = failure(client.run(command))
    assert (failed["code"], failed["status"], failed["attempts"]) == ("box_unreachable", 0, 3)


@pytest.mark.parametrize("fault", ["silent", "drip"])
def test_no_call_outlasts_its_patience(client: Language, recorder: RecordingBox, fault: str) -> None:
    recorder.will_answer(Reply(fault=fault, seconds=10))
    outcome = only(client.run(report(recorder, limits={"timeout": 30, "patience": 1, "attempts": 9})))
    assert "failed" in outcome
    assert 0.9 < outcome["seconds"] < 9, "the answer would take ten, and every attempt thirty"


def test_attempts_wait_longer_each_time(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(problem(503, "unavailable"))
    failure(client.run(report(recorder)))
    first, second, third = (request.at for request in recorder.requests)
    assert second - first >= 0.12
    assert third - second >= 0.24


BUSY = problem(429, "too_many")


@pytest.mark.parametrize(
    ("busy", "seconds"),
    [
        (problem(429, "too_many", retry_after="1"), 0.95),
        # HTTP dates drop the fraction of a second.
        (Reply(429, BUSY.body, BUSY.headers, retry_in=3), 1.9),
    ],
    ids=["seconds", "date"],
)
def test_a_retry_after_is_waited_for(client: Language, recorder: RecordingBox, busy: Reply, seconds: float) -> None:
    recorder.will_answer(busy, reply(202, ACCEPTED))
    assert only(client.run(report(recorder)))["ok"]["code"] == 202
    first, second = (request.at for request in recorder.requests)
    assert second - first >= seconds


def test_a_retry_after_beyond_the_patience_is_handed_to_the_caller_at_once(
    client: Language, recorder: RecordingBox
) -> None:
    recorder.will_answer(problem(429, "too_many", retry_after="3600"))
    outcome = only(client.run(report(recorder)))
    failed = outcome["failed"]
    assert (failed["code"], failed["status"], failed["attempts"]) == ("too_many", 429, 1)
    assert failed["retryAfter"] == 3600
    assert outcome["seconds"] < LIMITS["patience"]


# --- not tried again -------------------------------------------------------------------------------------

REFUSALS = [
    (400, "malformed"),
    (401, "key_unknown"),
    (403, "scope_missing"),
    (404, "not_found"),
    (409, "conflict"),
    (409, "locked"),
    (413, "too_large"),
    (415, "media_type"),
    (422, "amount_invalid"),
]


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_a_refusal_is_final_and_keeps_its_code(
    client: Language, recorder: RecordingBox, status: int, code: str
) -> None:
    recorder.will_answer(problem(status, code), reply(202, ACCEPTED))
    failed = failure(client.run(report(recorder)))
    assert (failed["code"], failed["status"], failed["attempts"]) == (code, status, 1)
    assert failed["detail"] == f"Because of {code}."
    assert len(recorder.requests) == 1


def test_a_refusal_of_the_gateway_itself_has_a_code_too(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(403, {"message": "Missing Authentication Token"}))
    assert failure(client.run(report(recorder)))["code"] == "http_403"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_for_the_key_would_go_with_it(
    client: Language, recorder: RecordingBox, status: int
) -> None:
    recorder.will_answer(Reply(status, headers={"location": f"{recorder.url}/elsewhere"}))
    failed = failure(client.run(report(recorder)))
    assert (failed["code"], failed["status"]) == ("unexpected_redirect", status)
    assert len(recorder.requests) == 1


# --- refused before anything is sent ---------------------------------------------------------------------

MISUSES: dict[str, dict[str, Any]] = {
    "plain http to another machine": {"url": "http://box.example/demo"},
    "another scheme": {"url": "ftp://127.0.0.1/"},
    "a query in the address": {"url": "https://box.example/?key=1"},
    "a password in the address": {"url": "https://user:word@box.example/"},
    "a key of something else": {"key": "sk_live_1"},
    "a key with a line feed": {"key": KEY + "\nx-evil: 1"},
    "an empty key": {"key": ""},
    "no order id": {"argument": {"action": "sale", "values": ["1.00"]}},
    "an empty order id": {"argument": {**SALE, "orderId": ""}},
}


def test_misuse_is_refused_before_anything_is_sent(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(reply(202, ACCEPTED))
    outcomes = client.run(*({**report(recorder), **misuse} for misuse in MISUSES.values()))
    let_through = [name for name, outcome in zip(MISUSES, outcomes, strict=True) if "misused" not in outcome]
    assert (let_through, recorder.requests) == ([], [])


# In .NET the compiler refuses them: Values is a list of strings.
@pytest.mark.parametrize("client", ["node", "php"], indirect=True)
@pytest.mark.parametrize("values", [[100.0], [100], "100.00", [None]])
def test_amounts_that_are_not_text_are_refused(client: Language, recorder: RecordingBox, values: object) -> None:
    recorder.will_answer(reply(202, ACCEPTED))
    assert "misused" in only(client.run(report(recorder, {**SALE, "values": values})))
    assert recorder.requests == []


def test_dotnet_writes_amounts_with_a_point_in_a_culture_of_commas(dotnet: Language) -> None:
    amounts = [("1234.5", 2), ("0", 2), ("1000000", 0), ("0.125", 3), ("12.345", 2), ("-1", 2)]
    outcomes = dotnet.run(*({"operation": "amount", "amount": text, "decimals": digits} for text, digits in amounts))
    assert [outcome.get("ok") for outcome in outcomes] == ["1234.50", "0.00", "1000000", "0.125", None, None]


# --- the key ---------------------------------------------------------------------------------------------


def test_the_key_is_shown_nowhere(client: Language, recorder: RecordingBox) -> None:
    recorder.will_answer(
        problem(401, "key_unknown"),
        Reply(302, headers={"location": "/"}),
        *[Reply(fault="drop")] * 3,
        *[Reply(200, b"<html>")] * 3,
        *[Reply(fault="silent")] * 3,
    )
    outcomes = client.run(
        *[report(recorder, limits=IMPATIENT)] * 5,
        {**report(recorder), "operation": "show"},
        {**report(recorder), "url": "http://box.example"},
        {**report(recorder), "key": KEY + "\n"},
        report(recorder, {**SALE, "orderId": ""}),
    )
    assert ["failed" in outcome for outcome in outcomes[:5]] == [True] * 5
    assert ["misused" in outcome for outcome in outcomes[6:]] == [True] * 3
    assert recorder.requests[0].headers["authorization"].endswith(KEY)
    # PHP's traces cut arguments off after 15 characters: a part of the key is too much as well.
    assert KEY[4:12] not in client.printed
    assert KEY[4:12] not in json.dumps(outcomes)
