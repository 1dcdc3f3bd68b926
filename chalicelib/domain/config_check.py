"""What a config must satisfy beyond its schema: no secret in it, and nothing that could not work. Every mistake at once.

The schema (domain.config) says what a file may look like; these rules say what it may mean.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from chalicelib.domain import config_versions
from chalicelib.domain.agreement import BadTerms
from chalicelib.domain.click import lies_under
from chalicelib.domain.config import NO_ORIGIN, VERSION, Config, ConfigError, parse
from chalicelib.domain.errors import Refusal
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.offer import offered_terms, rule_of

PRIVATE_CHAINS = (31337, 1337)
ANYBODY = "0x" + "11" * 20
"""Stands for a publisher while the offered terms are tried."""

SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"\b(0x)?[0-9a-fA-F]{64}\b")),
    ("an API key of a box", re.compile(r"\bbox_[A-Za-z0-9]{20,}")),
    ("a webhook or payment secret", re.compile(r"\b(whsec|sk_live|sk_test|rk_live|ghp|xoxb)_[A-Za-z0-9]{8,}")),
    ("an AWS key", re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a key in PEM form", re.compile(r"-----BEGIN [A-Z ]*(PRIVATE KEY|CERTIFICATE)")),
    ("a signed token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("an address with a password in it", re.compile(r"://[^/\s:@]+:[^/\s@]+@")),
    (
        "an RPC address with its API key",
        re.compile(r"(infura\.io|alchemy\.com|quiknode\.pro|ankr\.com|/v[23])/[\w-]{16,}"),
    ),
    ("a seed phrase", re.compile(r"^([a-z]{3,8} ){11,23}[a-z]{3,8}$")),
)
SECRET_NAMES = re.compile(r"passw|secret|private.?key|mnemonic|token|credential|rpc.?url", re.IGNORECASE)


def check(text: bytes, file: str, merchant: str) -> tuple[Config | None, list[ConfigError]]:
    """The config in `text`, and every mistake found. `merchant` is what the file's name says; `file` is for the messages."""
    mistakes = list(_secrets(text, file))
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict) and (old := config_versions.outdated(document)) is not None:
        told = f"this file is of version {old}, today's is {VERSION}"
        return None, [*mistakes, ConfigError(file, "$.version", told, f"Run `box config migrate {merchant}`")]
    try:
        config = parse(text, file)
    except ConfigError as mistake:
        # A secret under a key that does not exist is a secret first: saying both would print its neighbourhood twice.
        return None, mistakes or [mistake]
    return config, [*mistakes, *meaning(config, file, merchant)]


def meaning(config: Config, file: str, merchant: str) -> list[ConfigError]:
    """Every rule that the values break."""
    found: list[ConfigError] = []

    def wrong(path: str, fault: str, remedy: str) -> None:
        found.append(ConfigError(file, path, fault, remedy))

    if config.merchant.id != merchant:
        wrong(
            "$.merchant.id",
            f"'{config.merchant.id}' stands in the file of '{merchant}'",
            "A file has its merchant's id as its name",
        )
    _check_addresses(config, wrong)
    _check_site(config, wrong)
    _check_terms(config, wrong)
    _check_network(config, wrong)
    if config.currency in config.rates:
        wrong(f"$.rates.{config.currency}", "a currency has no rate to itself", f"Leave {config.currency} out of rates")
    return found


Wrong = Callable[[str, str, str], None]


def _check_addresses(config: Config, wrong: Wrong) -> None:
    for path, address in (
        ("$.merchant.account", config.merchant.account),
        ("$.network.contract", config.network.contract),
    ):
        if int(address, 16) == 0:
            wrong(path, "this is the zero address", "Nobody holds its key; give the real one")
        elif address[2:] not in (address[2:].lower(), address[2:].upper()) and address != checksummed(address):
            wrong(
                path, "its letters' case does not fit its checksum: a digit may be mistyped", "Copy the address again"
            )
    if config.merchant.account.lower() == config.network.contract.lower():
        wrong(
            "$.merchant.account",
            "the merchant's account is the contract's address",
            "Give the account that the merchant signs with",
        )


def _check_site(config: Config, wrong: Wrong) -> None:
    public = config.network.chain_id not in PRIVATE_CHAINS
    landing = urlsplit(config.site.landing_page)
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


def checksummed(address: str) -> str:
    """EIP-55: the case of the letters is the checksum."""
    digits = address[2:].lower()
    hashed = keccak256(digits.encode()).hex()
    return "0x" + "".join(c.upper() if int(hashed[i], 16) > 7 else c for i, c in enumerate(digits))


def _secrets(text: bytes, file: str) -> Iterator[ConfigError]:
    """Anything that looks like a secret, by its value or its key's name. The message never repeats the value."""
    try:
        document = json.loads(text)
    except ValueError:
        return
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
