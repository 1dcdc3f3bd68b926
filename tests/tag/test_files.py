"""The tag's files: what is committed is what the sources build, small enough, and each name gets the right bytes for the right time."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from chalice.test import Client
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page

from chalicelib.domain import tag_revision
from tests.tag.conftest import Call, Noise
from tests.tag.sites import FOLDER, STUB, FaultBox, Shop

ROOT = Path(__file__).parents[2]
TAG = (FOLDER / "mtag.js").read_bytes()
REVISION = tag_revision.revision_of(TAG)
RELEASES = sorted((FOLDER / "releases").glob("*.js"))


@pytest.fixture(scope="module")
def http() -> Client:
    from app import app

    return Client(app)


def test_the_committed_files_are_what_the_sources_build() -> None:
    subprocess.run(["node", "tag/build.mjs", "--check"], cwd=ROOT, check=True, capture_output=True)


def test_the_tag_is_within_its_limits() -> None:
    assert len(gzip.compress(TAG, 9)) + len("mtag.js\0") <= 2000  # gzip writes a file's name into it
    assert len(TAG) <= 4500
    assert len(STUB) <= 300


def test_the_current_tag_is_released() -> None:
    """Else a page that pins what /v1/config names would get other bytes after the next change."""
    assert f"mtag.{REVISION}.js" in [file.name for file in RELEASES]


@pytest.mark.parametrize("file", RELEASES, ids=lambda file: file.name)
def test_a_release_still_has_the_bytes_its_name_promises(file: Path) -> None:
    assert file.name == f"mtag.{tag_revision.revision_of(file.read_bytes())}.js"


def test_base62_agrees_with_the_build_script() -> None:
    """Two implementations, in two languages, and one by hand: 62 ** 2 + 1 has the digits 1, 0, 1."""
    printed = subprocess.run(
        ["node", "tag/build.mjs", "--check"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert f"revision {REVISION}" in printed


@given(st.binary(max_size=200))
def test_base62_reads_back_as_the_digest(content: bytes) -> None:
    number = 0
    for character in tag_revision.base62_sha256(content):
        number = number * 62 + tag_revision.BASE62.index(character)
    assert number == int.from_bytes(hashlib.sha256(content).digest(), "big")


@pytest.mark.parametrize("prefix", ["/libs/mtag", "/attrace/libs/mtag"])
@pytest.mark.parametrize(
    ("revision", "cache"),
    [
        ("", "public, max-age=300"),
        ("kCcc6elx", "public, max-age=86400"),
        (REVISION, "public, max-age=31536000, immutable"),
    ],
)
@pytest.mark.parametrize("form", ["{0}.js", "{0}_js"])
def test_every_form_of_the_name_gets_the_tag(http: Client, prefix: str, revision: str, cache: str, form: str) -> None:
    separator = "." if form.endswith(".js") else "_"
    path = form.format(prefix + (separator + revision if revision else ""))
    answer = http.http.get(path)
    assert (answer.status_code, answer.body) == (200, TAG)
    assert answer.headers["Cache-Control"] == cache
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    # A browser would keep the mode for a year with a pinned release, so it may not stand there.
    assert ("Server-Timing" in answer.headers) is (revision != REVISION)
    again = http.http.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.body) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "mtag.abc.js",
        "mtag.123456789.js",
        "mtag.kCcc6el-.js",
        "mtag.kCcc6elx_js",
        "mtag",
        "app.js",
        "MTAG.js",
        "mtag.js.map",
        "..%2fapp.py",
        "mtag.kCcc6elé.js",
    ],
)
def test_anything_else_under_libs_is_404_as_problem_json(http: Client, name: str) -> None:
    answer = http.http.get(f"/libs/{name}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.body)["code"] in ("no_such_library", "not_found")


def test_the_config_names_the_revision_and_integrity_of_the_current_tag(http: Client) -> None:
    named = json.loads(http.http.get("/v1/config").body)["tag"]
    assert named["revision"] == REVISION
    assert named["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(TAG).digest()).decode()


@pytest.mark.parametrize(
    ("header", "matches"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), (None, False), ("a", False)],
)
def test_if_none_match_is_compared_weakly(header: str | None, matches: bool) -> None:
    assert tag_revision.none_match(header, '"a"') is matches


def test_serving_the_tag_imports_no_aws_client() -> None:
    code = (
        "import sys; from chalicelib.routes import tag; tag._content('mtag.js'); tag._consent_mode(); "
        "sys.exit(any(name.split('.')[0] in ('boto3', 'botocore', 'pynamodb', 'web3') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("right", [True, False])
def test_a_pinned_release_runs_only_with_the_right_integrity_hash(
    page: Page, box: FaultBox, shop: Shop, right: bool
) -> None:
    integrity = tag_revision.integrity_of(TAG if right else b"other bytes")
    script = f'<script src="{box.url}/libs/mtag.{REVISION}.js" integrity="{integrity}" crossorigin></script>'
    page.goto(shop.page("/", script))
    assert page.evaluate("typeof window.mtag") == ("function" if right else "undefined")


def test_a_pinned_release_sells_without_the_consent_mode_beside_it(
    page: Page, box: FaultBox, shop: Shop, call: Call, noise: Noise
) -> None:
    page.goto(shop.page("/", f'<script src="{box.url}/libs/mtag.{REVISION}.js"></script>'))
    assert call("sale", {"orderId": 1}, ["1.00"])[0] is True
    assert noise.console == []
