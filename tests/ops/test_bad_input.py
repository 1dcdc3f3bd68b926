"""What a person gets who gives a command of `box` something that cannot work: a sentence and exit code 2, never a traceback, and
nothing is changed. Nothing is asked of AWS or of a network before that: none can be reached from here."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from eth_account import Account

from ops.cli import main
from ops.local.process import ROOT
from tests.ops.test_help import COMMANDS

NOWHERE = "http://127.0.0.1:9"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "DYNAMODB_URL": NOWHERE,
    "RPC_URLS": NOWHERE,
    "SIGNER_ADDRESS": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "BOX_KEYSTORE_PASSWORD": "none",
}
SHOP = {
    "name": "Shop",
    "site": "https://shop.example/",
    "account": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "chain_id": 8453,
    "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
}
FILES: dict[str, str | bytes] = {
    "broken.json": '{"a":',
    "object.json": "{}",
    "list.json": '["a"]',
    "number.json": "3",
    "twice.json": '{"version": 3, "version": 4}',
    "binary.json": bytes(range(256)),
    "half.json": '{"version": 3, "crypto": {"kdf": "scrypt"}}',
    "shops.json": json.dumps([{"merchant": "acme", **SHOP}, {"merchant": "globex", **SHOP, "site": "http://[bad"}]),
    "same.json": json.dumps([{"merchant": "acme", **SHOP}, {"merchant": "acme", **SHOP}]),
    "known.json": json.dumps([{"merchant": "acme", **SHOP}, {"merchant": "demo", **SHOP}]),
    "mistyped.json": json.dumps([{"merchant": "acme", **SHOP, "nmae": "Acme"}]),
    "unsigned.json": '{"typedData": {}, "publisherId": "p", "signatures": {"merchant": "signed"}}',
    "configs/broken.json": '{\n  "version": 1\n  "currency": "EUR"\n}',
    "configs/list.json": "[]",
    "configs/empty.json": "{}",
    "configs/later.json": '{"version": 99}',
    "configs/binary.json": bytes(range(256)),
}
HASH = "0x" + "00" * 32
PROOF = {
    "clickId": "c",
    "payload": {"clickId": "c", "publisherId": "p", "agreementId": HASH, "clickedAt": "2026-11-23T10:00:00Z"},
    "salt": "00" * 32,
    "merchant": SHOP["account"],
    "chainId": 1,
    "contract": SHOP["account"],
    "root": "00" * 32,
    "index": 0,
    "count": 1,
    "proof": [],
    "sequence": 1,
    "transaction": HASH,
    "blockNumber": 1,
    "final": True,
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "app.py").touch()
    (tmp_path / "configs" / "demo.json").write_bytes((ROOT / "configs" / "demo.json").read_bytes())
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def held(project: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in project.rglob("*") if file.is_file()}


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(command), env=ENVIRONMENT)


def is_refused(project: Path, command: str, *told: str) -> None:
    before = held(project)
    done = run(command)
    assert isinstance(done.exception, SystemExit), f"{command}: {done.exception!r}"
    assert (done.exit_code, done.stdout) == (2, ""), f"{command}: {done.output}"
    assert "Error: " in done.stderr
    for part in ("Traceback", "Errno", "codec can't", "object has no"):
        assert part not in done.stderr, command
    for part in told:
        assert part in done.stderr, f"{command}: {done.stderr}"
    assert held(project) == before, command


NOT_ABOUT_A_MERCHANT = ("audit", "costs", "demo", "doctor", "up", "verify", "new", "config schema", "agreement sign")
TELL_IN_THEIR_ANSWER = ("config check", "status")


def of_a_merchant(merchant: str) -> list[str]:
    """Every command that is about a merchant, called for this one; its other arguments are well-formed."""
    left_out = {f"box {name}" for name in (*NOT_ABOUT_A_MERCHANT, *TELL_IN_THEIR_ANSWER)}
    return [_call(path, command, merchant) for path, command in COMMANDS.items() if path not in left_out]


def _call(path: str, command: click.Command, merchant: str) -> str:
    needed = {
        "name": "x",
        "scopes": "readonly",
        "account": str(SHOP["account"]),
        "canary": merchant,
        "confirm": merchant,
    }
    words = path.split()[1:]
    for one in command.params:
        if isinstance(one, click.Argument):
            other = "shops.json" if isinstance(one.type, click.Path) else "some-one"
            words.append(merchant if one.name in ("merchant", "merchants") else other)
        elif one.required or one.name == "confirm":
            words += [one.opts[0], needed[str(one.name)]]
    return shlex.join(words)


@pytest.mark.parametrize("command", of_a_merchant("nobody"))
def test_a_merchant_that_there_is_not_is_named_with_the_remedy(project: Path, command: str) -> None:
    is_refused(project, command, "nobody.json", "box new nobody")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("command", of_a_merchant("nobody"))
def test_who_reads_json_is_told_on_stdout_too(command: str) -> None:
    done = run(f"{command} --json")
    assert "box new nobody" in json.loads(done.stdout)["error"]
    assert "box new nobody" in done.stderr


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("verify cut.json", "the receipt is no JSON"),
        ("verify whole.json", "not checked: the node does not answer"),
        (f"audit --publisher {SHOP['account']}", "not audited: the node does not answer"),
        ("audit --publisher 0x1", "--publisher is an account"),
        (f"audit --publisher {SHOP['account']} --saved cut.json", "--saved is neither"),
    ],
)
def test_who_reads_the_verdict_as_json_is_told_there_that_there_is_none(project: Path, command: str, told: str) -> None:
    (project / "cut.json").write_text("{")
    (project / "whole.json").write_text(json.dumps(PROOF))
    done = run(f"{command} --rpc http://127.0.0.1:9 --json")
    assert (done.exit_code, told in json.loads(done.stdout)["error"], told in done.stderr) == (2, True, True), (
        done.output
    )


@pytest.mark.parametrize("command", of_a_merchant("broken"))
def test_a_config_that_breaks_off_is_told_by_file_line_and_column(project: Path, command: str) -> None:
    is_refused(project, command, "configs/broken.json", "not JSON", "line 3, column 3")


@pytest.mark.parametrize("name", ["list", "empty", "later", "binary"])
@pytest.mark.parametrize("command", ["config migrate {}", "deploy {}", "keys list {}", "new {} --keep-config"])
def test_a_config_of_another_shape_is_told_so(project: Path, command: str, name: str) -> None:
    is_refused(project, command.format(name), f"{name}.json" if name != "later" else "version")


@pytest.mark.parametrize("command", ["signer authorise demo", "signer revoke demo", "signer fund demo"])
@pytest.mark.parametrize("file", ["broken", "object", "list", "number", "twice", "binary", "half"])
def test_what_is_no_keystore_is_told_so(project: Path, command: str, file: str) -> None:
    is_refused(project, f"{command} --keystore {file}.json", f"{file}.json")


def test_a_wrong_password_is_told_so_and_a_password_file_that_is_no_text(project: Path) -> None:
    sealed = Account.encrypt(Account.create().key, "right", kdf="pbkdf2", iterations=1_000)
    (project / "key.json").write_text(json.dumps(sealed))
    is_refused(project, "signer fund demo --keystore key.json", "key.json does not open with this password")
    is_refused(project, "signer fund demo --keystore key.json --password-file binary.json", "binary.json", "UTF-8")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("broken", "broken.json: not JSON: it breaks off at line 1, column 6"),
        ("object", "object.json: a list is wanted, and this is an object"),
        ("list", "number 1 of the list is no object"),
        ("number", "a list is wanted, and this is a number"),
        ("binary", "UTF-8"),
        ("shops", "globex: 'http://[bad' is no site"),
        ("same", "'acme' stands in the list more than once"),
        ("known", "configs/demo.json exists"),
        ("mistyped", "acme: there is no 'nmae' in such a list"),
    ],
)
def test_a_list_of_merchants_is_taken_whole_or_not_at_all(project: Path, file: str, told: str) -> None:
    is_refused(project, f"new --from {file}.json", told)


@pytest.mark.parametrize("file", ["broken", "object", "list", "number", "binary", "unsigned", "missing"])
def test_what_is_no_offer_is_told_so(project: Path, file: str) -> None:
    for command in ("agreement sign {}", "agreement register demo {}"):
        is_refused(project, command.format(f"{file}.json"), f"{file}.json")


@pytest.mark.parametrize("amount", ["abc", "NaN", "Infinity", "-1", "0", "1e3", "0,5", "''", "0.0000000000000000001"])
def test_what_is_no_amount_is_told_so(project: Path, amount: str) -> None:
    is_refused(project, f"signer fund demo --amount={amount}", "is no amount above 0")


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ("0x12", "0x and 40 hex digits"),
        ("0x" + "g" * 40, "0x and 40 hex digits"),
        ("0x" + "0" * 40, "zero address"),
        ("0x70997970c51812dc3A010C7d01b50e0d17dc79C8", "a digit may be mistyped"),
    ],
)
def test_what_is_no_account_is_told_so(project: Path, account: str, told: str) -> None:
    for command in (
        "signer authorise demo --print --address",
        "signer revoke demo --print --address",
        "signer fund demo --address",
        "publisher add demo slow-table --name x --account",
    ):
        is_refused(project, f"{command} {account}", told)


@pytest.mark.parametrize("address", ["foo", "ftp://x.example/", "http://", "http://[bad", "http://x.example:99999"])
def test_what_is_no_address_of_the_web_is_told_so(project: Path, address: str) -> None:
    is_refused(project, f"doctor {address}", "is no address")
    is_refused(project, f"audit --publisher {SHOP['account']} --rpc {address}", "is no address")


def test_stages_that_were_spoilt_by_hand_are_told_by_file_and_line(project: Path) -> None:
    (project / ".chalice").mkdir()
    (project / ".chalice" / "config.json").write_text('{"stages": {}\n')
    for command in ("new demo --keep-config", "keys list demo", "export demo out.gz", "agreement list demo"):
        is_refused(project, command, ".chalice/config.json: not JSON: it breaks off at line 2, column 1")


def test_an_ordinary_list_of_merchants_is_still_taken(project: Path) -> None:
    shops: list[dict[str, Any]] = [{"merchant": "acme", **SHOP}, {"merchant": "globex", **SHOP}]
    (project / "shops.json").write_text(json.dumps(shops))
    assert run("new --from shops.json").exit_code == 0
    assert {"acme.json", "globex.json"} <= {file.name for file in (project / "configs").iterdir()}
