"""Where a publisher's link leads, and where it never leads."""

import pytest
from msgspec.structs import replace

from chalicelib.domain.click import landing_url, with_click
from chalicelib.domain.errors import Malformed
from tests.domain.orders import demo_config

SHOP = "http://127.0.0.1:8801"


def test_without_a_deep_link_the_shopper_lands_on_the_landing_page_with_its_parameters() -> None:
    assert landing_url(demo_config(), None) == f"{SHOP}/?utm_source=affiliate"


def test_the_click_id_goes_into_the_query_and_the_fragment_stays_behind_it() -> None:
    landed = landing_url(demo_config(), f"{SHOP}/shoes?size=42#reviews")
    assert with_click(landed, demo_config(), "abc") == f"{SHOP}/shoes?size=42&utm_source=affiliate&clickId=abc#reviews"


def test_a_click_id_that_is_there_already_is_replaced() -> None:
    assert with_click(f"{SHOP}/?clickId=old&a=1", demo_config(), "new") == f"{SHOP}/?a=1&clickId=new"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        f"{SHOP}@evil.example/",
        "http://127.0.0.1:8801.evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "http://127.0.0.1:8802/",
        f"{SHOP}\\@evil.example",
        "",
    ],
)
def test_a_link_to_any_other_host_is_refused_rather_than_followed(url: str) -> None:
    if url == "":
        assert landing_url(demo_config(), url) == landing_url(demo_config(), None)
        return
    with pytest.raises(Malformed) as refused:
        landing_url(demo_config(), url)
    assert refused.value.code == "url_not_allowed"


def test_hosts_are_compared_without_regard_to_case() -> None:
    config = replace(demo_config(), site=replace(demo_config().site, hosts=("shop.example",)))
    assert landing_url(config, "https://Shop.Example/a").startswith("https://Shop.Example/a")
