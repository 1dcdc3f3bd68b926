"""The page and its files, before any browser reads them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

import pytest

from ops.asking import Answer, ask
from ops.local.process import ROOT
from ops.local.running import RunningBox

WEB = ROOT / "chalicelib" / "web" / "dashboard"


@pytest.mark.parametrize("path", ["/dashboard", "/login"])
def test_the_page_lets_nothing_in_but_the_boxs_own_files(box: RunningBox, path: str) -> None:
    answer = ask("GET", box.url + path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == policy["style-src"] == policy["img-src"] == "'self'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert not re.search(rb"""(?:src|href)="(?:https?:|//|/)""", answer.body), "only relative links survive a stage"


def test_every_file_of_the_page_is_kept_for_good_under_its_hash(box: RunningBox) -> None:
    page = ask("GET", f"{box.url}/dashboard").body.decode()
    named = set(re.findall(r'"(?:\./)?(assets/[^"]+\.[0-9a-f]{10}\.[a-z]+)"', page))
    assert {re.sub(r"\.[0-9a-f]{10}\.", ".", Path(name).name) for name in named} >= {
        path.name for path in WEB.iterdir() if path.suffix != ".html"
    }
    for name in named:
        answer = ask("GET", urljoin(f"{box.url}/dashboard", name))
        assert answer.status == 200, name
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_file_by_its_plain_name_is_looked_at_again_each_time(box: RunningBox) -> None:
    answer = ask("GET", f"{box.url}/assets/main.js")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["main.0000000000.js", "index.html", "..%2Findex.html", "nothing.css"])
def test_any_other_name_is_nothing(box: RunningBox, name: str) -> None:
    answer = ask("GET", f"{box.url}/assets/{name}")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_slash_too_many_leads_to_the_page(box: RunningBox) -> None:
    answer = ask("GET", f"{box.url}/dashboard/")
    assert answer.status == 308
    assert urljoin(f"{box.url}/dashboard/", answer.headers["Location"]) == f"{box.url}/dashboard"


def test_the_page_needs_no_aws_client() -> None:
    code = (
        "import sys; from chalice.test import Client; from app import app\n"
        "with Client(app) as client:\n"
        "    for path in ('/dashboard', '/login', '/assets/main.js'):\n"
        "        assert client.http.get(path).status_code == 200, path\n"
        "print([name for name in ('boto3', 'pynamodb', 'web3', 'eth_account') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_pasted_snippet_is_the_tags_own() -> None:
    stub = (ROOT / "tag" / "stub.html").read_text().strip()
    assert f"const STUB = '{stub}';" in (WEB / "empty.js").read_text()


def test_no_module_reads_text_as_html() -> None:
    ways_in = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|parseFromString"
    )
    assert [path.name for path in WEB.glob("*.js") if ways_in.search(path.read_text())] == []


def whose(box: RunningBox, key: str) -> Answer:
    return ask("GET", f"{box.url}/v1/key", Authorization=f"Bearer {key}")


@pytest.mark.parametrize(
    ("name", "scopes", "publisher"),
    [
        ("admin", ["admin"], None),
        ("server", ["server"], None),
        ("readonly", ["readonly"], None),
        ("publisher", ["publisher:demo-publisher"], "demo-publisher"),
    ],
)
def test_a_key_can_ask_what_it_is(box: RunningBox, name: str, scopes: list[str], publisher: str | None) -> None:
    assert whose(box, box.keys[name]).json == {"name": f"demo {name}", "scopes": scopes, "publisherId": publisher}


def test_whoever_has_no_key_learns_nothing(box: RunningBox) -> None:
    assert ask("GET", f"{box.url}/v1/key").json["code"] == "key_missing"
    assert whose(box, "box_" + "0" * 32).json["code"] == "key_invalid"
