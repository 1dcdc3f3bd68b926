"""The local gateway answers as API Gateway would: routes, prefix, bodies, binaries, CORS, and its own
refusals."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from chalice.app import Blueprint, Chalice, CORSConfig, Response

from ops.local.gateway import MAX_REQUEST_BYTES, Gateway

AT_ONCE = 20
PIXEL = b"\x89PNG\x00\xff"


def small_app() -> Chalice:
    app = Chalice(app_name="small")
    parts = Blueprint(__name__)
    cors = CORSConfig(allow_origin="https://shop.example", allow_headers=["X-Thing"])

    @parts.route(
        "/things/{thing}",
        methods=["GET", "POST"],
        cors=cors,
        content_types=["text/plain", "application/json"],
    )
    def thing(thing: str) -> dict[str, Any]:
        request = parts.current_request
        return {
            "thing": thing,
            "query": dict(request.query_params or {}),
            "path": request.context["path"],
            "stage": request.context["stage"],
            "body": _text(request.raw_body),
            "forwarded": request.headers["x-forwarded-for"],
        }

    @parts.route("/things/fixed")
    def fixed() -> str:
        return "fixed"

    together = threading.Barrier(AT_ONCE)

    @parts.route("/together/{name}")
    def wait_for_the_others(name: str) -> dict[str, Any]:
        together.wait(30)
        query: Any = parts.current_request.query_params
        return {"mine": query["name"] == name}

    @parts.route("/pixel")
    def pixel() -> Response:
        return Response(PIXEL, headers={"Content-Type": "image/png"})

    @parts.route("/cookies")
    def cookies() -> Response:
        return Response("", status_code=302, headers={"Set-Cookie": ["a=1", "b=2"], "Location": "/"})

    @parts.route("/huge")
    def huge() -> Response:
        return Response("x" * (6 * 1024 * 1024 + 1), headers={"Content-Type": "text/plain"})

    app.register_blueprint(parts)
    return app


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    served = Gateway(small_app(), prefix="/api")
    yield served
    served.stop()


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode()


class Answer:
    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(gateway: Gateway, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def test_a_request_reaches_the_function_with_its_prefix_in_the_context_alone(gateway: Gateway) -> None:
    answer = ask(gateway, "POST", "/api/things/7?a=1&a=2&b=", "hello", content_type="text/plain")
    assert answer.status == 200
    assert answer.json == {
        "thing": "7",
        "query": {"a": "2", "b": ""},
        "path": "/api/things/7",
        "stage": "api",
        "body": "hello",
        "forwarded": "127.0.0.1",
    }


def test_a_fixed_segment_goes_before_a_variable_one_and_a_trailing_slash_is_ignored(gateway: Gateway) -> None:
    assert ask(gateway, "GET", "/api/things/fixed").body == b"fixed"
    assert ask(gateway, "GET", "/api/things/fixed/").body == b"fixed"
    assert ask(gateway, "GET", "/api/things/other").json["thing"] == "other"


def test_the_address_a_client_claims_stands_before_the_one_the_gateway_saw(gateway: Gateway) -> None:
    answer = ask(gateway, "GET", "/api/things/1", x_forwarded_for="203.0.113.9")
    assert answer.json["forwarded"] == "203.0.113.9, 127.0.0.1"


@pytest.mark.parametrize("path", ["/api/nothing", "/nothing", "/", "/apis/things/1", "/api", "/api/things//"])
def test_an_unknown_path_is_a_problem_with_cors_headers(gateway: Gateway, path: str) -> None:
    answer = ask(gateway, "GET", path)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "There is nothing at this address.",
    }


def test_an_unknown_method_is_a_problem_that_names_the_possible_ones(gateway: Gateway) -> None:
    answer = ask(gateway, "DELETE", "/api/things/1")
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST"


def test_a_preflight_is_answered_from_the_routes_cors(gateway: Gateway) -> None:
    answer = ask(gateway, "OPTIONS", "/api/things/1")
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET,POST,OPTIONS"
    assert "X-Thing" in answer.headers["Access-Control-Allow-Headers"]


def test_a_binary_answer_is_binary_for_whoever_accepts_it_first(gateway: Gateway) -> None:
    answer = ask(gateway, "GET", "/api/pixel", accept="image/png,*/*")
    assert (answer.status, answer.body) == (200, PIXEL)
    second = ask(gateway, "GET", "/api/pixel", accept="text/html,image/png")
    assert second.body == base64.b64encode(PIXEL), "API Gateway looks at the first type alone"
    assert ask(gateway, "GET", "/api/pixel", accept="text/html").status == 400


def test_several_cookies_are_several_headers(gateway: Gateway) -> None:
    answer = ask(gateway, "GET", "/api/cookies")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_a_body_over_10_mb_is_refused_before_it_is_read(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        head = f"POST /api/things/1 HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_REQUEST_BYTES + 1}\r\n\r\n"
        client.sendall(head.encode())
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 413
        assert json.loads(answer.read())["code"] == "too_large"
    allowed = ask(gateway, "POST", "/api/things/1", b"x" * 1_000_000, content_type="text/plain")
    assert len(allowed.json["body"]) == 1_000_000


@pytest.mark.parametrize("length", ["-1", "1e3", "nine", "+5"])
def test_a_length_that_is_no_number_is_refused(gateway: Gateway, length: str) -> None:
    assert ask(gateway, "POST", "/api/things/1", None, content_length=length).status == 400


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        (b"3\r\nhel\r\n2;name=value\r\nlo\r\n0\r\n\r\n", 200),
        (b"5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n", 200),
        (b"five\r\nhello\r\n", 400),
        (b"a00001\r\n", 413),
    ],
)
def test_a_body_in_chunks_is_read_as_one(gateway: Gateway, chunks: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        head = (
            "POST /api/things/7 HTTP/1.1\r\nHost: box\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode() + chunks)
        response = http.client.HTTPResponse(connection)
        response.begin()
        answer = Answer(response)
        assert answer.status == status
        if status == 200:
            assert answer.json["body"] == "hello"
            connection.sendall(head.encode() + chunks)
            again = http.client.HTTPResponse(connection)
            again.begin()
            assert again.status == 200, "the next request on the connection begins where this one ended"


def test_a_client_that_waits_before_it_sends_its_body_is_told_to_go_on(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        head = "POST /api/things/7 HTTP/1.1\r\nHost: box\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert connection.recv(1024).startswith(b"HTTP/1.1 200 ")


def test_an_answer_over_6_mb_fails_as_on_aws(gateway: Gateway) -> None:
    answer = ask(gateway, "GET", "/api/huge")
    assert (answer.status, answer.json["code"]) == (502, "bad_gateway")


def test_requests_at_the_same_time_do_not_see_each_other(gateway: Gateway) -> None:
    answers: list[bool] = []

    def one(name: str) -> None:
        answers.append(ask(gateway, "GET", f"/api/together/{name}?name={name}").json["mine"])

    threads = [threading.Thread(target=one, args=(f"n{number}",)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * AT_ONCE, "they ran one after the other"


def test_keep_alive_requests_do_not_wait_for_each_other(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    spent = []
    for _ in range(100):
        started = time.monotonic()
        connection.request("GET", "/api/things/fixed")
        connection.getresponse().read()
        spent.append(time.monotonic() - started)
    connection.close()
    # The quickest ten, for a busy machine may hold up the others; the wait would hold up each.
    assert sorted(spent)[9] < 0.03, "the delayed-ACK wait is 40 ms"
