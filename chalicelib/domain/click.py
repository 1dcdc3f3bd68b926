"""A click: who sent the shopper, under which agreement, when."""

import string
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from chalicelib.domain.config import Config
from chalicelib.domain.errors import Malformed


class Click(Struct, rename="camel", frozen=True, kw_only=True):
    """Times in milliseconds since 1970 UTC. Nothing of the visitor is kept: no address, no user agent."""

    click_id: str
    publisher_id: str
    agreement_id: str
    clicked_at: int
    attributable_until: int
    """End of the attribution window of the agreement in force at the click; a later version of the terms never changes it."""
    sub_id: str | None
    salt: str
    """32 bytes in hex: hides the click inside its anchor's Merkle leaf; shown in its proof."""
    private_salt: str
    """Likewise for what the proof does not show (the sub id)."""


MAX_SUB_ID = 128


def readable_sub_id(said: str | None) -> str | None:
    """The publisher's note as it is kept: what is not printable left away, at most 128 characters. It is the publisher's own, and no reason
    to keep a shopper from the shop."""
    kept = "".join(one for one in said or "" if one.isprintable())
    return kept[:MAX_SUB_ID] or None


def sub_id_of(said: str | None, url: str | None) -> str | None:
    """Of a direct link: the tag passes it on as it stands in the landing page's address, escaped, and a link through the box must come to
    the same."""
    return unquote_plus(said) if said and f"subId={said}" in (url or "") else said


def landing_url(config: Config, deep_link: str | None) -> str:
    """Where the redirect leads: the landing page, or the deep link if its host is the merchant's.

    Raises Malformed, never redirects elsewhere.
    """
    target = deep_link or config.site.landing_page
    if not _leads_to(config, target):
        raise Malformed("url_not_allowed", "The url leads to a host that is not in the merchant's config.")
    return _with_query(target, dict(config.site.parameters))


def _leads_to(config: Config, url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() in config.site.hosts and "\\" not in url


def with_click(url: str, config: Config, click_id: str) -> str:
    """The URL with the click id in its query; the fragment stays behind it."""
    return _with_query(url, {config.tracking.click_parameters[0]: click_id})


def cookie_of(click: Click, config: Config, host: str, *, objects: bool) -> str | None:
    """The first-party cookie, as the tag would write it, where the box may set it: under the shop's own domain, and where a visitor's
    silence is a yes. `host` as the request named it; `objects`: the browser sent Global Privacy Control. docs/decisions/0023."""
    domain = (config.tracking.cookie_domain or "").lstrip(".")
    permitted = {"off": True, "granted": not objects, "required": False}[config.tracking.consent]
    if not (domain and lies_under(host, domain) and permitted):
        return None
    seconds = (click.attributable_until - click.clicked_at) // 1000
    return f"mtag={click.click_id}; Domain={domain}; Path=/; Max-Age={seconds}; Secure; SameSite=Lax"


def lies_under(host: str, domain: str) -> bool:
    """Whether a browser takes a cookie of that domain from that host (its port does not matter)."""
    return f".{host.partition(':')[0].lower()}".endswith(f".{domain.lstrip('.')}")


def _with_query(url: str, parameters: dict[str, str]) -> str:
    """The rest of the query stays as it was written: shops read `?flag` and `?flag=` differently. What a header cannot carry is escaped, as
    a browser would."""
    parts = urlsplit(url)
    kept = [one for one in parts.query.split("&") if one and unquote_plus(one.partition("=")[0]) not in parameters]
    query = "&".join([*kept, *([urlencode(parameters)] if parameters else [])])
    return quote(urlunsplit(parts._replace(path=parts.path or "/", query=query)), safe=string.punctuation)
