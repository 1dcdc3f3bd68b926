"""What `box config` says of a file: every mistake with its place and its remedy, no secret, no surprise."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib.domain import config_versions
from chalicelib.domain.config import Signer, json_schema, parse
from chalicelib.domain.config_check import check, checksummed
from ops.aws import releases
from ops.aws.releases import Release
from ops.boxes.checking import mistakes
from ops.boxes.config import config as config_command
from ops.boxes.new import create, create_many, document, new
from ops.boxes.output import WrongInput
from ops.boxes.project import Project, write
from ops.boxes.stages import Stage, read_stage, write_stage
from ops.local.process import ROOT

ZONES = ("Europe/Amsterdam", "UTC")
SITE = {
    "name": "Acme",
    "account": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "chain_id": 8453,
    "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "currency": "EUR",
    "time_zone": "UTC",
    "sale_percent": "10",
    "signer": "kms",
}
DEMO = json.loads((ROOT / "configs" / "demo.json").read_text())


def changed(path: str, value: Any) -> bytes:
    """The demo's config with one value changed; the path's parts divided by dots."""
    document = json.loads(json.dumps(DEMO))
    *way, last = path.split(".")
    held = document
    for part in way:
        held = held[int(part)] if isinstance(held, list) else held[part]
    if isinstance(held, list):
        held[int(last)] = value
    else:
        held[last] = value
    return json.dumps(document).encode()


def faults(text: bytes, merchant: str = "demo") -> list[tuple[str, str]]:
    _, found = check(text, "configs/demo.json", merchant, ZONES)
    return [(one.path, one.fault) for one in found]


def test_the_committed_configs_and_their_stages_have_no_mistakes() -> None:
    project = Project(ROOT)
    assert mistakes(project, project.merchants()) == []


def test_the_committed_schema_is_the_models_own() -> None:
    assert json.loads((ROOT / "configs" / "schema.json").read_text()) == json.loads(json.dumps(json_schema()))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("merchant.id", "other", "stands in the file of 'demo'"),
        ("merchant.account", "0x70997970c51812dc3A010C7d01b50e0d17dc79C8", "checksum"),
        ("merchant.account", "0x" + "0" * 40, "zero address"),
        ("network.contract", "0x" + "0" * 40, "zero address"),
        ("site.landingPage", "http://elsewhere.example/", "not in site.hosts"),
        ("site.landingPage", "http://[bad", "this is no address"),
        ("tracking", {"cookieDomain": "elsewhere.example"}, "does not lie under"),
        ("network.chainId", 8453, "is public"),
        ("agreementDefaults.rules.0", {"action": "sale", "percent": "10", "fixed": "1"}, "exactly one"),
        ("agreementDefaults.rules.0", {"action": "sale", "percent": "10.00001"}, "four decimals"),
        ("agreementDefaults.rules.1", {"action": "lead", "fixed": "2.505"}, "decimals"),
        ("agreementDefaults.rules.1", {"action": "sale", "percent": "5"}, "overlap"),
        ("agreementDefaults.validationDays", 60, "lock_days"),
        ("agreementDefaults.validationDays", "14", "expected"),
        ("rates", {"EUR": "1"}, "no rate to itself"),
        ("timeZone", "Europe/Nowhere", "there is no time zone 'Europe/Nowhere'"),
        ("tracking", {"clickParametres": ["x"]}, "clickParametres"),
    ],
)
def test_a_mistake_is_named_with_its_place(path: str, value: Any, told: str) -> None:
    found = faults(changed(path, value))
    assert any(told in fault for _, fault in found), found
    assert all(where.startswith("$") for where, _ in found)


def test_a_page_without_an_origin_may_be_let_in_on_a_public_network_too() -> None:
    document = json.loads(changed("network.chainId", 8453))
    document["site"]["origins"] = ["http://shop.example", "null"]
    told = [where for where, _ in faults(json.dumps(document).encode()) if "origins" in where]
    assert told == ["$.site.origins[0]"]


def test_every_mistake_is_told_at_once() -> None:
    document = json.loads(changed("network.chainId", 8453))
    document["rates"] = {"EUR": "1"}
    assert len(faults(json.dumps(document).encode())) >= 4


def test_every_mistake_in_the_form_is_told_at_once() -> None:
    document = json.loads(json.dumps(DEMO))
    document["curency"] = document.pop("currency")
    document["timezone"] = "UTC"
    document["agreementDefaults"]["lokDays"] = 30
    document["agreementDefaults"]["rules"][1]["fixed"] = "2,50"
    document["network"]["batchSize"] = 0
    document["site"]["hosts"] = []
    document["rates"] = {"usd": "1", "GBP": 2}
    assert sorted(faults(json.dumps(document).encode())) == [
        ("$", "the key 'currency' is missing"),
        ("$", "there is no key 'curency' here"),
        ("$", "there is no key 'timezone' here"),
        ("$.agreementDefaults", "there is no key 'lokDays' here"),
        ("$.agreementDefaults.rules[1].fixed", 'this is not a decimal string, such as "10" or "2.50"'),
        ("$.network.batchSize", "expected `int` >= 1"),
        ("$.rates", "the key 'usd' cannot be: this is not ISO 4217, such as EUR"),
        ("$.rates.GBP", 'this is not a decimal string, such as "10" or "2.50"'),
        ("$.site.hosts", "expected `array` of length >= 1"),
    ]


def test_a_key_that_stands_twice_is_a_mistake() -> None:
    text = json.dumps(DEMO).replace('"currency": "EUR"', '"currency": "EUR", "currency": "USD"').encode()
    assert faults(text) == [("$.currency", "the key 'currency' stands here more than once")]
    text = json.dumps(DEMO).replace('"chainId":', '"chainId": 1, "chainId":').encode()
    assert faults(text) == [("$.network.chainId", "the key 'chainId' stands here more than once")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"a":', "it breaks off at line 1, column 6"),
        (b'{\n  "version": 1\n  "currency": "EUR"\n}', "at line 3, column 3"),
        (b"", "the file is empty"),
        (b"\x1f\x8b\x08\x00\xff", "no text in UTF-8"),
        (b'{"version": NaN}', "NaN is no number"),
        (b"[" * 100_000, "nests too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "thousands of digits"),
    ],
)
def test_what_is_no_json_is_told_by_line_and_column(text: bytes, told: str) -> None:
    [(path, fault)] = faults(text)
    assert path == "$"
    assert fault.startswith("not JSON")
    assert told in fault


def test_a_text_that_is_no_object_is_told_so() -> None:
    assert faults(b"[]") == [("$", "expected `object`, got `array`")]


def test_a_mark_of_utf_8_before_the_text_does_no_harm() -> None:
    assert faults(b"\xef\xbb\xbf" + json.dumps(DEMO).encode()) == []


def test_a_key_that_is_like_none_here_is_not_taken_for_one_from_elsewhere() -> None:
    _, [mistake] = check(changed("grupe", "x"), "configs/demo.json", "demo", ZONES)
    assert mistake.remedy == "Remove it; configs/schema.json lists the keys"


def test_a_time_zone_is_answered_with_the_nearest_one_and_taken_where_nobody_knows_any() -> None:
    text = changed("timeZone", "Europe/Amsterdm")
    _, [mistake] = check(text, "configs/demo.json", "demo", ZONES)
    assert (mistake.path, mistake.remedy) == ("$.timeZone", "Did you mean 'Europe/Amsterdam'?")
    assert check(text, "configs/demo.json", "demo", ())[1] == []


def test_an_unknown_key_is_answered_with_the_nearest_known_one() -> None:
    _, [mistake] = check(changed("curency", "EUR"), "configs/demo.json", "demo", ZONES)
    assert (mistake.fault, mistake.remedy) == ("there is no key 'curency' here", "Did you mean 'currency'?")


@pytest.mark.parametrize(
    "secret",
    [
        "0x" + "a1" * 32,
        "b2" * 32,
        "box_" + "Ab3" * 8,
        "whsec_C2FuZ29sYW0xMjM0",
        "AKIA" + "ABCDEFGH12345678",
        "-----BEGIN EC PRIVATE KEY-----",
        "https://user:pass@rpc.example/",
        "https://mainnet.infura.io/v3/0123456789abcdef0123456789abcdef",
        "https://mainnet.infura.io/v3/testkey",
        "https://rpc.example/v2/aB3dEfGhIjKlMnOpQrSt",
        "https://rpc.example/?apikey=0123456789abcdef",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AIza" + "Sy0-abcde" * 3 + "12345678",
        "github_pat_11ABCDEFG0abcdefghijkl",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "test test test test test test test test test test test junk",
    ],
)
def test_a_secret_is_refused_and_never_repeated(secret: str) -> None:
    for text in (
        changed("merchant.name", secret),
        changed("note", secret),
        changed("site.parameters.utm_source", secret),
    ):
        _, found = check(text, "configs/demo.json", "demo", ZONES)
        assert any("looks like" in one.fault for one in found), secret
        assert all(secret not in str(one) for one in found)


def test_a_key_that_sounds_like_a_secret_is_refused_whatever_its_value() -> None:
    for key in ("rpc", "rpcUrl", "rpc_urls", "webhookSecret"):
        [(path, fault)] = faults(changed(key, "https://rpc.example/"))
        assert (path, "sounds like a secret" in fault) == (f"$.{key}", True)


def test_ordinary_configs_look_like_no_secret() -> None:
    assert faults(json.dumps(DEMO).encode()) == []
    assert faults(changed("merchant.name", "The quick brown fox shop")) == []
    for page in ("v2/summer-collection-2026-women", "v3/die-neue-kollektion", "?color=red&size=40"):
        assert faults(changed("site.parameters.utm_content", f"https://www.shop.example/{page}")) == []


def test_an_account_without_its_0x_is_no_key_that_leaked() -> None:
    [(path, fault)] = faults(changed("merchant.account", str(SITE["account"])[2:]))
    assert (path, "looks like" in fault) == ("$.merchant.account", False)


def test_a_site_as_somebody_writes_it_becomes_the_host_that_browsers_send() -> None:
    answers = {**SITE, "site": "https://Shop.Acme.Example/Sale"}
    assert document("acme", answers)["site"]["origins"] == ["https://shop.acme.example"]
    assert check(json.dumps(document("acme", answers)).encode(), "configs/acme.json", "acme", ZONES)[1] == []
    with pytest.raises(WrongInput, match="xn--"):
        document("acme", {**SITE, "site": "https://bücher.example/"})


def test_checksums_are_those_of_the_standard() -> None:
    """The examples of EIP-55 itself."""
    for address in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):
        assert checksummed(address.lower()) == address


OLD = {
    "merchant": DEMO["merchant"],
    **{key: DEMO["site"][key] for key in ("landingPage", "origins", "hosts")},
    "currency": "EUR",
    "agreement": DEMO["agreementDefaults"],
    "network": DEMO["network"],
    "signer": DEMO["signer"],
}


def test_an_older_file_is_named_as_such_and_migrates_to_todays_form() -> None:
    _, [mistake] = check(json.dumps(OLD).encode(), "configs/demo.json", "demo", ZONES)
    assert "version 0" in mistake.fault
    assert "box config migrate demo" in mistake.remedy
    today = config_versions.migrate(OLD)
    assert faults(json.dumps(today).encode()) == []
    assert parse(json.dumps(today).encode(), "x").site.landing_page == DEMO["site"]["landingPage"]
    assert config_versions.migrate(today) is today


def test_a_file_of_a_later_version_is_left_alone() -> None:
    with pytest.raises(config_versions.TooNew):
        config_versions.migrate({**DEMO, "version": 99})


ANSWERS = {
    "name": "Shop",
    "site": "https://shop.example/",
    "account": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "chain_id": 8453,
    "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    "currency": "EUR",
    "time_zone": "UTC",
    "sale_percent": "7.5",
    "signer": "kms",
}


def test_two_hundred_merchants_are_made_and_checked_in_ten_seconds(tmp_path: Path) -> None:
    """Its own seconds: nothing is waited for, and another program on the machine is not this one's affair."""
    project = Project(tmp_path)
    started = time.process_time()
    create_many(project, [{"merchant": f"shop-{number:03}"} for number in range(200)], "arm64", ANSWERS)
    assert len(project.merchants()) == 200
    assert mistakes(project, project.merchants()) == []
    seconds = time.process_time() - started
    print(f"200 stages made and checked in {seconds:.1f} s")
    assert seconds < 10


def test_a_policy_changed_by_hand_is_a_mistake(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.configs).mkdir()
    (project.configs / "demo.json").write_text(json.dumps(DEMO))
    create(project, "demo", "x86_64", None)
    assert mistakes(project, ["demo"]) == []
    file = project.policies("demo") / "api_handler.json"
    file.write_text(file.read_text().replace("dynamodb:GetItem", "dynamodb:*"))
    [mistake] = mistakes(project, ["demo"])
    assert mistake.file == ".chalice/policies/demo/api_handler.json"


def test_what_an_operator_set_on_a_stage_stays(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.configs.mkdir()
    (project.configs / "demo.json").write_text(json.dumps(DEMO))
    create(project, "demo", "x86_64", None)
    with project.changing_stages() as held:
        held["stages"]["demo"]["api_gateway_custom_domain"] = {"domain_name": "track.demo.example"}
        held["stages"]["demo"]["lambda_functions"]["api_handler"]["lambda_memory_size"] = 2048
    create(project, "demo", "x86_64", None)
    stage = project.stage("demo")
    assert stage is not None
    assert stage["api_gateway_custom_domain"] == {"domain_name": "track.demo.example"}
    assert stage["lambda_functions"]["api_handler"]["lambda_memory_size"] == 2048


def test_a_merchant_is_not_made_with_a_time_zone_that_there_is_not(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(WrongInput, match="there is no time zone 'Nowhere/X'"):
        create(project, "acme", "arm64", {**ANSWERS, "time_zone": "Nowhere/X"})
    assert not list(tmp_path.rglob("*.json"))


def test_a_box_whose_region_is_gone_can_be_provisioned_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a call to AWS: what the region knew cannot be asked any more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").touch()
    project = Project(tmp_path)
    project.configs.mkdir()
    (project.configs / "demo.json").write_bytes(changed("signer", {"kind": "kms", "keys": 2}))
    create(project, "demo", "arm64", None)
    lost = Stage(
        *("demo", Signer("kms", 2), "arm64"),
        conversions_stream="arn:aws:dynamodb:eu-lost-1:123456789012:table/merchant-box-demo-conversions/stream/1",
        signer_addresses=("0x" + "1" * 40, "0x" + "2" * 40),
        region="eu-lost-1",
        account="123456789012",
        key_arns=tuple(f"arn:aws:kms:eu-lost-1:123456789012:key/{number}" for number in (1, 2)),
    )
    write_stage(project, lost)
    with project.changing_stages() as held:
        held["stages"]["demo"]["lambda_memory_size"] = 2048
    write(project.chalice / "deployed" / "demo.json", json.dumps({"resources": [{"name": "rest_api"}]}))
    package = project.chalice / "deployments" / "package.zip"
    write(package, "")
    releases.keep(project, Release("demo", "1", "hash", str(package), "deployment", {}))

    done = CliRunner().invoke(new, ["demo", "--keep-config", "--elsewhere", "--json"])
    assert done.exit_code == 0, done.output
    assert read_stage(project, "demo", lost.signer) == Stage("demo", lost.signer, "arm64")
    assert "eu-lost-1" not in "".join(file.read_text() for file in project.chalice.rglob("*.json"))
    assert (project.stage("demo") or {})["lambda_memory_size"] == 2048
    assert project.deployed("demo") == {}
    assert releases.last(project, "demo") is None
    assert mistakes(project, ["demo"]) == []
    refused = CliRunner().invoke(new, ["demo", "--elsewhere"])
    assert (refused.exit_code, "--keep-config" in refused.output) == (2, True)


def test_the_command_exits_with_2_on_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "app.py").touch()
    (tmp_path / "configs" / "demo.json").write_bytes(changed("currency", "euro"))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(config_command, ["check", "--json"])
    assert done.exit_code == 2
    told = json.loads(done.output)["mistakes"]
    assert told[0]["path"] == "$.currency"
    assert "configs/schema.json" in told[0]["remedy"]
