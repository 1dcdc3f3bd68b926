"""Where a publisher's link leads, and where it never leads."""

import pytest
from msgspec.structs import replace

from chalicelib.domain.click import Click, cookie_of, landing_url, readable_sub_id, sub_id_of, with_click
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
    ("link", "landed"),
    [
        ("/a?flag&b=&c=%20+d", "/a?flag&b=&c=%20+d&"),
        ("/\u20ac/\xfc?q=\xe9 x#\xf6", "/%E2%82%AC/%C3%BC?q=%C3%A9%20x&"),
        ("/%E2%82%AC?a=%26&&utm_source=mine", "/%E2%82%AC?a=%26&"),
        ("", "/?"),
    ],
)
def test_a_deep_link_stays_as_it_was_written_and_fits_into_a_header(link: str, landed: str) -> None:
    target = with_click(landing_url(demo_config(), SHOP + link), demo_config(), "abc")
    assert target.partition("#")[0] == f"{SHOP}{landed}utm_source=affiliate&clickId=abc"
    assert target.isascii() and " " not in target


@pytest.mark.parametrize(
    ("said", "kept"),
    [("mail", "mail"), ("a\nb\x00", "ab"), ("x" * 200, "x" * 128), ("\n", None), ("", None), (None, None)],
)
def test_a_sub_id_is_kept_as_far_as_it_can_be_read(said: str | None, kept: str | None) -> None:
    assert readable_sub_id(said) == kept


@pytest.mark.parametrize(
    ("said", "url", "kept"),
    [
        ("a%20b", f"{SHOP}/?via=p1&subId=a%20b", "a b"),
        ("a+b", f"{SHOP}/#subId=a+b&via=p1", "a b"),
        ("%C3%BC", f"{SHOP}/?via=p1&subId=%C3%BC", "\xfc"),
        ("100%25", "https://elsewhere.example/", "100%25"),
        ("100%", None, "100%"),
        (None, f"{SHOP}/?via=p1", None),
    ],
)
def test_a_direct_links_sub_id_is_what_a_link_through_the_box_would_have_said(
    said: str | None, url: str | None, kept: str | None
) -> None:
    assert sub_id_of(said, url) == kept


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
        "http://[",
        "http://[::1",
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


def cookie(
    host: str, domain: str | None = "shop.example", consent: str = "granted", objects: bool = False
) -> str | None:
    config = demo_config()
    config = replace(config, tracking=replace(config.tracking, cookie_domain=domain, consent=consent))
    click = Click(
        click_id="c1",
        publisher_id="p1",
        agreement_id="a1",
        clicked_at=1_000,
        attributable_until=1_000 + 30 * 86_400_000,
        sub_id=None,
        salt="",
        private_salt="",
    )
    return cookie_of(click, config, host, objects=objects)


@pytest.mark.parametrize("host", ["box.shop.example", "Box.Shop.Example:8443", "shop.example", "a.b.shop.example"])
@pytest.mark.parametrize("domain", ["shop.example", ".shop.example"])
def test_under_the_shops_own_domain_the_box_sets_the_cookie_as_the_tag_would(host: str, domain: str) -> None:
    wanted = "mtag=c1; Domain=shop.example; Path=/; Max-Age=2592000; Secure; SameSite=Lax"
    assert cookie(host, domain) == wanted


@pytest.mark.parametrize("host", ["box.example", "myshop.example", "shop.example.evil", "", "127.0.0.1:8800"])
def test_elsewhere_it_sets_none(host: str) -> None:
    assert cookie(host) is None


def test_without_a_cookie_domain_or_a_yes_the_box_sets_none() -> None:
    assert cookie("box.shop.example", domain=None) is None
    assert cookie("box.shop.example", consent="required") is None
    assert cookie("box.shop.example", objects=True) is None
    assert cookie("box.shop.example", consent="off", objects=True) is not None


def test_hosts_are_compared_without_regard_to_case() -> None:
    config = replace(demo_config(), site=replace(demo_config().site, hosts=("shop.example",)))
    assert landing_url(config, "https://Shop.Example/a").startswith("https://Shop.Example/a")
