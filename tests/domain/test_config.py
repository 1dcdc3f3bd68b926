"""A mistake in a config is reported with its place, the fault and the remedy."""

import json
from typing import Any

import pytest

from chalicelib.domain.config import ConfigError, json_schema, parse
from tests.domain.orders import DEMO


def edited(**changes: Any) -> bytes:
    """The demo's config with values set by dotted path; None removes the key."""
    config: dict[str, Any] = json.loads(DEMO.read_text())
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = config
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[key]
        else:
            place[key] = value
    return json.dumps(config).encode()


def fault(**changes: Any) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        parse(edited(**changes), "configs/demo.json")
    return error.value


def test_the_demos_config_reads() -> None:
    assert parse(DEMO.read_bytes(), "configs/demo.json").merchant.id == "demo"


def test_a_wrong_type_names_path_and_value() -> None:
    error = fault(network__chainId="31337")
    assert (error.file, error.path) == ("configs/demo.json", "$.network.chainId")
    assert "int" in error.fault and '"31337"' in error.remedy


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    error = fault(network__chianId=1, network__chainId=None)
    assert error.path == "$.network" and "chianId" in error.fault and "'chainId'" in error.remedy


def test_a_missing_key_is_named() -> None:
    assert "'currency'" in fault(currency=None).fault


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("currency", "eur"),
        ("merchant__id", "Demo Shop"),
        ("merchant__account", "0x12"),
        ("site__origins", []),
        ("site__origins", ["https://shop.example/path"]),
        ("site__origins", ["https://shop.example", "none"]),
        ("site__landingPage", "shop.example"),
        ("network__batchSeconds", 0),
        ("signer__kind", "plaintext"),
        ("version", 2),
    ],
)
def test_a_value_out_of_range_is_reported_at_its_path(path: str, value: Any) -> None:
    assert fault(**{path: value}).path.startswith("$." + path.replace("__", "."))


def test_a_value_of_the_wrong_shape_is_told_in_words_not_as_a_pattern() -> None:
    assert fault(currency="euro").fault == "this is not ISO 4217, such as EUR"
    assert fault(merchant__account="0x12").fault == "this is not an address: 0x and 40 hex digits"
    assert '"0x12"' in fault(merchant__account="0x12").remedy


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("agreementDefaults__rules", [{"action": "sale", "percent": "10,5"}], "a decimal string"),
        ("tracking", {"cookieDomain": "Not A Domain"}, "a domain"),
        ("signer__kind", "plaintext", "local or keystore or kms"),
        ("merchant__id", "Demo Shop", "3-40 of a-z"),
        ("site__hosts", ["no host"], "a host name"),
    ],
)
def test_no_pattern_is_shown_to_a_person(path: str, value: Any, meant: str) -> None:
    error = fault(**{path: value})
    assert error.fault.startswith(f"this is not {meant}")
    assert "^" not in error.fault


def test_what_is_not_json_is_said_to_be_so() -> None:
    with pytest.raises(ConfigError, match="not JSON"):
        parse(b"{", "configs/demo.json")


def test_the_schema_knows_every_key_of_the_demo() -> None:
    definitions = json_schema()["$defs"]
    for key in json.loads(DEMO.read_text()):
        assert key in definitions["Config"]["properties"]
