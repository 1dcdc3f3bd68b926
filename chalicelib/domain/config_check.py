"""What a config must satisfy beyond its schema: no secret in it, and nothing that could not work.

The schema (domain.config) says what a file may look like; these rules say what it may mean. Every mistake in the form is told at once,
and when there is none, every one in the meaning.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any
from urllib.parse import urlsplit

from chalicelib.domain import config_versions, json_text
from chalicelib.domain.agreement import BadTerms
from chalicelib.domain.click import lies_under
from chalicelib.domain.config import NO_ORIGIN, VERSION, Config, ConfigError, formed
from chalicelib.domain.errors import Refusal
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.offer import offered_terms, rule_of

PRIVATE_CHAINS = (31337, 1337)
ANYBODY = "0x" + "11" * 20
"""Stands for a publisher while the offered terms are tried."""

SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"\b(0x)?[0-9a-fA-F]{64}\b")),
    ("an API key of a box", re.compile(r"\bbox_[A-Za-z0-9]{20,}")),
    (
        "a webhook or payment secret",
        re.compile(r"\b(whsec|sk_live|sk_test|rk_live|ghp|github_pat|xoxb)_[A-Za-z0-9]{8,}"),
    ),
    ("an API key of Google's", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    (
        "an AWS key",
        # Of hex digits alone it is an address without its 0x, which is told as such.
        re.compile(
            r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"
            r"|^(?![0-9a-fA-F]{40}$)(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9/+]{40}$"
        ),
    ),
    ("a key in PEM form", re.compile(r"-----BEGIN [A-Z ]*(PRIVATE KEY|CERTIFICATE)")),
    ("a signed token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("an address with a password in it", re.compile(r"://[^/\s:@]+:[^/\s@]+@")),
    (
        "an RPC address with its API key",
        # A key is of hex digits, or of letters both large and small and digits; the words of a page's address are not.
        re.compile(
            r"(infura\.io|alchemy\.com|quiknode\.pro|rpc\.ankr\.com)/(v[0-9]+/)?[\w-]+"
            r"|/v[23]/([0-9a-f]{16,}|(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[\w-]{16,})"
            r"|[?&](api_?key|access_token)=[\w-]{16,}"
        ),
    ),
    ("a seed phrase", re.compile(r"^([a-z]{3,8} ){11,23}[a-z]{3,8}$")),
)
SECRET_NAMES = re.compile(r"passw|secret|private.?key|mnemonic|token|credential|^rpc", re.IGNORECASE)


class Mistaken(Exception):
    """A config that cannot be started with; `mistakes` are all that were found."""

    def __init__(self, mistakes: list[ConfigError]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def check(
    text: bytes, file: str, merchant: str | None, time_zones: Collection[str]
) -> tuple[Config | None, list[ConfigError]]:
    """The config in `text`, and every mistake found. `merchant` is what the file's name says, None where it may have any name; `file` is
    for the messages; `time_zones` are those there are, and none of them where nobody can say (adapters.time_zones)."""
    try:
        written = json_text.read(text)
    except json_text.NotJson as error:
        return None, [ConfigError(file, "$", error.fault, error.remedy)]
    document = written.document
    secrets = list(_secrets(document, file))
    if isinstance(document, dict) and (old := config_versions.outdated(document)) is not None:
        told = f"this file is of version {old}, today's is {VERSION}"
        return None, [
            *secrets,
            ConfigError(file, "$.version", told, f"Run `box config migrate {merchant or 'MERCHANT'}`"),
        ]
    config, faults = formed(written)
    if config is None:
        # A secret under a key that does not exist is a secret first: saying both would print its neighbourhood twice.
        said = {secret.path for secret in secrets}
        rest = [ConfigError(file, one.path, one.fault, one.remedy) for one in faults if one.culprit not in said]
        return None, [*secrets, *rest]
    return config, [*secrets, *meaning(config, file, merchant, time_zones)]


def meaning(config: Config, file: str, merchant: str | None, time_zones: Collection[str]) -> list[ConfigError]:
    """Every rule that the values break."""
    found: list[ConfigError] = []

    def wrong(path: str, fault: str, remedy: str) -> None:
        found.append(ConfigError(file, path, fault, remedy))

    if merchant is not None and config.merchant.id != merchant:
        wrong(
            "$.merchant.id",
            f"'{config.merchant.id}' stands in the file of '{merchant}'",
            "A file has its merchant's id as its name",
        )
    _check_addresses(config, wrong)
    _check_site(config, wrong)
    _check_terms(config, wrong)
    _check_network(config, wrong)
    if time_zones and config.time_zone not in time_zones:
        wrong("$.timeZone", f"there is no time zone '{config.time_zone}'", _nearest_zone(config.time_zone, time_zones))
    if config.currency in config.rates:
        wrong(f"$.rates.{config.currency}", "a currency has no rate to itself", f"Leave {config.currency} out of rates")
    return found


Wrong = Callable[[str, str, str], None]


def _check_addresses(config: Config, wrong: Wrong) -> None:
    for path, address in (
        ("$.merchant.account", config.merchant.account),
        ("$.network.contract", config.network.contract),
    ):
        if odd := address_fault(address):
            wrong(path, *odd)
    if config.merchant.account.lower() == config.network.contract.lower():
        wrong(
            "$.merchant.account",
            "the merchant's account is the contract's address",
            "Give the account that the merchant signs with",
        )


def address_fault(address: str) -> tuple[str, str] | None:
    """(fault, remedy) of what has an address's form and cannot be one that is meant."""
    if int(address, 16) == 0:
        return "this is the zero address", "Nobody holds its key; give the real one"
    if address[2:] not in (address[2:].lower(), address[2:].upper()) and address != checksummed(address):
        return "its letters' case does not fit its checksum: a digit may be mistyped", "Copy the address again"
    return None


def _check_site(config: Config, wrong: Wrong) -> None:
    public = config.network.chain_id not in PRIVATE_CHAINS
    try:
        landing = urlsplit(config.site.landing_page)
    except ValueError as error:
        wrong("$.site.landingPage", f"this is no address: {error}", "Copy it from a browser")
        return
    if landing.netloc.lower() not in config.site.hosts:
        wrong(
            "$.site.landingPage",
            f"its host '{landing.netloc}' is not in site.hosts",
            "Add it there: clicks go to listed hosts alone",
        )
    domain = config.tracking.cookie_domain
    if domain and not lies_under(landing.netloc, domain):
        wrong(
            "$.tracking.cookieDomain",
            f"the landing page's host '{landing.netloc}' does not lie under '{domain}'",
            "Browsers refuse such a cookie: name the shop's own domain",
        )
    if public and landing.scheme != "https":
        wrong("$.site.landingPage", "it is not https", "A shop on a public network needs https")
    for number, origin in enumerate(config.site.origins):
        if public and not origin.startswith("https://") and origin != NO_ORIGIN:
            wrong(f"$.site.origins[{number}]", f"'{origin}' is not https", "A page on a public network needs https")


def _check_terms(config: Config, wrong: Wrong) -> None:
    sound = True
    for number, rule in enumerate(config.agreement_defaults.rules):
        try:
            rule_of(rule, config.currency)
        except (BadTerms, Refusal, ValueError) as error:
            sound = False
            said = error.detail if isinstance(error, Refusal) else str(error)
            wrong(f"$.agreementDefaults.rules[{number}]", said, "Compare configs/schema.json")
    if sound and config.merchant.account.lower() != ANYBODY:
        try:
            offered_terms(config, ANYBODY, nonce=0, version=1, deadline=1)
        except BadTerms as error:
            wrong("$.agreementDefaults", str(error), "No party could sign these terms")


def _check_network(config: Config, wrong: Wrong) -> None:
    if config.signer.kind == "local" and config.network.chain_id not in PRIVATE_CHAINS:
        wrong(
            "$.signer.kind",
            f"the local signer keeps its key in a file, and chain {config.network.chain_id} is public",
            "Use 'kms' or 'keystore'",
        )


def _nearest_zone(name: str, time_zones: Collection[str]) -> str:
    close = difflib.get_close_matches(name, time_zones, n=1, cutoff=0.8)
    return f"Did you mean '{close[0]}'?" if close else "Use one such as Europe/Amsterdam"


def checksummed(address: str) -> str:
    """EIP-55: the case of the letters is the checksum."""
    digits = address[2:].lower()
    hashed = keccak256(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(hashed[i], 16) > 7 else c for i, c in enumerate(digits))


def _secrets(document: Any, file: str) -> Iterator[ConfigError]:
    """Anything that looks like a secret, by its value or its key's name. The message never repeats the value."""
    for path, key, value in _strings(document, "$", ""):
        for what, pattern in SECRETS:
            if pattern.search(value):
                yield ConfigError(
                    file,
                    path,
                    f"this looks like {what}",
                    "Configs are public: put it into the parameter store (docs/operations.md)",
                )
                break
        else:
            if SECRET_NAMES.search(key):
                yield ConfigError(
                    file,
                    path,
                    f"'{key}' sounds like a secret",
                    "Configs are public: put it into the parameter store (docs/operations.md)",
                )


def _strings(value: Any, path: str, key: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, f"{path}.{name}", name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _strings(inner, f"{path}[{number}]", key)
    elif isinstance(value, str):
        yield path, key, value
