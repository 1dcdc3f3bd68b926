"""The example pages are served with this stack's addresses in them, and nothing else of the machine is."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.asking import ask
from ops.local.pages import BOX, SHOP, Pages
from ops.local.process import ROOT

ADDRESSES = {BOX: "http://127.0.0.1:9999/api", SHOP: "http://127.0.0.1:9998"}


@pytest.fixture(scope="module")
def publisher() -> Iterator[Pages]:
    pages = Pages(ROOT / "examples" / "publisher", 0, ADDRESSES)
    yield pages
    pages.stop()


def test_links_lead_to_this_box_and_deep_links_to_this_shop(publisher: Pages) -> None:
    page = ask("GET", f"{publisher.url}/").body.decode()
    link = (
        "http://127.0.0.1:9999/api/click/demo-publisher?url=http%3A%2F%2F127.0.0.1%3A9998%2Fproduct.html%3Fid%3Dplates"
    )
    assert link in page
    assert "example" not in page.replace("examples", "")


@pytest.mark.parametrize("name", ["index.html", "product.html", "cart.html", "receipt.html"])
def test_every_page_of_the_shop_carries_the_snippet_once(name: str) -> None:
    page = (ROOT / "examples" / "shop" / name).read_text()
    assert page.count("window.mtag=window.mtag||function(){(mtag.q=mtag.q||[]).push(arguments)}") == 1
    assert page.count(f'<script async src="{BOX}/libs/mtag.js"></script>') == 1


@pytest.mark.parametrize(
    "path",
    ["/../shop/shop.css", "/%2e%2e/shop/shop.css", "/..%2fshop%2fshop.css", "//etc/passwd", "/nothing", "/%00"],
)
def test_nothing_outside_the_folder_is_served(publisher: Pages, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", publisher.port, timeout=10)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "leak.txt").symlink_to(tmp_path / "secret.txt")
    pages = Pages(tmp_path / "site", 0, {})
    assert ask("GET", f"{pages.url}/leak.txt").status == 404
    pages.stop()
