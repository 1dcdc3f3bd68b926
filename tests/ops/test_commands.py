"""The operator's commands on a running local box: keys, publishers, agreements, the signer, export and import."""

from __future__ import annotations

import gzip
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from eth_account import Account
from msgspec.structs import replace
from pynamodb.models import Model

from chalicelib.adapters import tables
from chalicelib.adapters.contract import encode_end
from chalicelib.bootstrap import Box
from chalicelib.domain.page_signature import sign_page
from chalicelib.services import aside, receipts
from chalicelib.settings import Settings
from ops.asking import ask
from ops.boxes import stats, transfer
from ops.boxes.output import Failed, WrongInput
from ops.cli import main
from ops.local.dynoxide import Dynoxide
from ops.local.process import ROOT
from ops.local.running import RunningBox
from ops.local.wallet import Wallet
from tests.shopper import as_merchant, buy, final_receipt, follow_link

PASSWORD = "correct horse"
DATA = ROOT / "tests" / "data"


@dataclass
class Local:
    """A box that `box up` runs with a DynamoDB of the operator's own, and the `box` command looking at the same tables."""

    box: RunningBox
    folder: Path
    dynamodb_url: str

    def run(self, *arguments: str, **more: str) -> Result:
        """`box …` with the environment that `box up` wrote and `more`, whatever comes of it; in this process, for most of a command's
        second is its imports."""
        words = shlex.split((self.folder / "environment").read_text())
        environment = dict(word.split("=", 1) for word in words if word != "export")
        given = {**environment, "BOX_KEYSTORE_PASSWORD": PASSWORD, **more}
        return CliRunner().invoke(main, list(arguments), env=given)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def wallet(key_file: Path) -> Any:
    return Account.from_key(key_file.read_text().strip())


def keystore(account: Any, path: Path) -> str:
    path.write_text(json.dumps(Account.encrypt(account.key, PASSWORD, kdf="pbkdf2", iterations=1_000)))
    return str(path)


@pytest.fixture(scope="module")
def local(dynamodb: Dynoxide, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("operated")
    box = RunningBox(folder, "--port", "0", "--dynamodb", dynamodb.url)
    yield Local(box, folder, dynamodb.url)
    box.stop()


@pytest.fixture(scope="module")
def merchant(local: Local) -> str:
    """The merchant's own keystore file, as they would keep it."""
    return keystore(wallet(local.folder / "keys" / "merchant.key"), local.folder / "merchant.json")


def test_a_key_is_shown_once_works_and_is_worthless_when_revoked(local: Local) -> None:
    made = local.json("keys", "new", "demo", "--name", "reports", "--scope", "readonly")
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert ask("GET", f"{local.box.url}/v1/conversions", **headers).status == 200
    listed = local.run("keys", "list", "demo", "--json").stdout
    assert "reports" in listed
    assert made["key"] not in listed
    local.json("keys", "revoke", "demo", made["key"])
    assert ask("GET", f"{local.box.url}/v1/conversions", **headers).status == 401


def test_a_key_with_an_unknown_scope_is_not_made(local: Local) -> None:
    done = local.run("keys", "new", "demo", "--name", "x", "--scope", "root")
    assert done.exit_code == 2
    assert "admin, server, readonly" in done.stderr


def test_a_key_for_a_publisher_that_is_not_there_is_not_made(local: Local) -> None:
    for nobody in ("nope", ""):
        done = local.run(
            "keys", "new", "demo", "--name", "theirs", "--scope", "server", "--scope", f"publisher:{nobody}"
        )
        assert (done.exit_code, f"no publisher '{nobody}'" in done.stderr) == (2, True)
    assert "theirs" not in local.run("keys", "list", "demo").stdout
    local.json("keys", "new", "demo", "--name", "theirs", "--scope", "publisher:demo-publisher")


def test_a_voucher_earns_for_its_publisher_until_it_is_withdrawn(local: Local) -> None:
    def sold(order_id: str) -> Any:
        body = {"action": "sale", "orderId": order_id, "values": ["10.00"], "voucher": "summer10"}
        return as_merchant(local.box, "POST", "/v1/conversions", body)["attribution"]

    local.json("voucher", "assign", "demo", "SUMMER10", "demo-publisher", "--exclusive")
    held = {"code": "SUMMER10", "publisherId": "demo-publisher", "exclusive": True}
    assert local.json("voucher", "list", "demo")["vouchers"] == [held]
    assert sold("V-1")["rule"] == "voucher"
    local.json("voucher", "withdraw", "demo", "Summer10")
    assert sold("V-2")["reason"] == "unknown_voucher"
    refused = local.run("voucher", "assign", "demo", "X", "nobody")
    assert (refused.exit_code, "no publisher of that id" in refused.stderr) == (2, True)


def test_a_renewed_page_secret_signs_pages_and_the_old_one_can_be_withdrawn(local: Local) -> None:
    def report(secret: str, order_id: str) -> int:
        signature = sign_page(secret, order_id, "sale", ["10.00"], "EUR")
        body = {"action": "sale", "values": ["10.00"], "metadata": {"orderId": order_id}, "signature": signature}
        return ask("POST", f"{local.box.url}/v1/beacon/conversion", body, Content_Type="text/plain").status

    old, new = (local.json("page-secret", "renew", "demo")["pageSecret"] for _ in range(2))
    assert (report(old, "PS-1"), report(new, "PS-2")) == (202, 202)
    local.json("page-secret", "withdraw-old", "demo")
    assert (report(old, "PS-3"), report(new, "PS-4")) == (422, 202)


def test_status_says_how_the_box_on_this_machine_fares(local: Local) -> None:
    final_receipt(local.box, buy(local.box, follow_link(local.box), "STATUS-1").json["conversionId"])
    [box] = local.json("status", "demo")["boxes"]
    assert (box["url"], box["status"], box["rpc"], box["config"]) == (local.box.url, "ok", "ok", "as here")
    [unasked] = local.json("status")["boxes"]
    assert (unasked["merchant"], unasked["url"]) == ("demo", local.box.url)


def test_status_of_a_merchant_that_is_not_there_is_no_box_that_fares_well(local: Local) -> None:
    elsewhere = local.run("status", "nope")
    assert (elsewhere.exit_code, "demo's box on this machine" in elsewhere.stderr) == (2, True), elsewhere.stderr
    nowhere = CliRunner().invoke(main, ["status", "nope"])
    assert (nowhere.exit_code, "no configs/nope.json" in nowhere.stderr) == (2, True), nowhere.stderr


def test_a_table_in_a_pipe_has_a_line_for_each_row(local: Local) -> None:
    heading, *rows = local.run("keys", "list", "demo").stdout.splitlines()
    assert heading.split()[:3] == ["id", "name", "scopes"]
    assert any("publisher:demo-publisher" in row for row in rows)


def test_limits_are_shown_and_changed_one_by_one(local: Local) -> None:
    usual = {"merchant": "demo", "key": 1_000_000, "address": 1_000_000}
    assert local.json("limits", "demo") == usual
    assert local.json("limits", "demo", "--key", "5000") == {**usual, "key": 5000}
    assert local.json("limits", "demo", "--address", "0") == {**usual, "key": 5000, "address": 0}
    local.json("limits", "demo", "--key", "1000000", "--address", "1000000")


def test_a_publisher_is_brought_in_with_both_parties_own_keys(local: Local, merchant: str, tmp_path: Path) -> None:
    account = Account.create()
    theirs = keystore(account, tmp_path / "publisher.json")
    link = f"{local.box.url}/click/slow-table"
    assert "clickId" not in ask("GET", link).headers["Location"]
    local.json("publisher", "add", "demo", "slow-table", "--name", "The Slow Table", "--account", account.address)
    assert "clickId" not in ask("GET", link).headers["Location"]
    offer = str(tmp_path / "offer.json")
    local.json("agreement", "offer", "demo", "slow-table", "--out", offer)
    unsigned = local.run("agreement", "register", "demo", offer, "--keystore", merchant)
    assert (unsigned.exit_code, "merchant has not signed" in unsigned.stderr) == (2, True)
    assert local.json("agreement", "sign", offer, "--keystore", merchant)["signedAs"] == "merchant"
    assert local.json("agreement", "sign", offer, "--keystore", theirs) == {
        "file": offer,
        "signedAs": "publisher",
        "missing": [],
    }
    registered = local.json("agreement", "register", "demo", offer, "--keystore", merchant)
    assert "clickId" in ask("GET", link).headers["Location"]
    assert local.json("agreement", "register", "demo", offer, "--keystore", merchant) == registered
    [listed] = local.json("agreement", "list", "demo", "slow-table")["agreements"]
    assert (listed["agreementId"], listed["state"]) == (registered["agreementId"], "active")
    local.json("agreement", "end", "demo", "slow-table", "--keystore", merchant)
    assert "clickId" not in ask("GET", link).headers["Location"]


def test_an_offer_in_another_currency_than_the_configs_is_not_registered(
    local: Local, merchant: str, tmp_path: Path
) -> None:
    """The network would take the box's amounts for amounts in it."""
    from chalicelib.domain.agreement import agreement_id, eip712, from_message

    file = tmp_path / "offer.json"
    account = Account.create().address
    local.json("publisher", "add", "demo", "in-dollars", "--name", "In Dollars", "--account", account)
    local.json("agreement", "offer", "demo", "in-dollars", "--out", str(file))
    offer = json.loads(file.read_text())
    message, domain = offer["typedData"]["message"], offer["typedData"]["domain"]
    terms = from_message({**message, "currency": "USD"})
    offer["typedData"] = eip712(terms, domain["chainId"], domain["verifyingContract"])
    offer["agreementId"] = f"0x{agreement_id(terms, domain['chainId'], domain['verifyingContract']).hex()}"
    file.write_text(json.dumps(offer))
    done = local.run("agreement", "register", "demo", str(file), "--keystore", merchant)
    assert (done.exit_code, "this offer is in USD; demo counts in EUR" in done.stderr) == (2, True)


def in_force(local: Local, merchant: str, publisher_id: str, folder: Path) -> str:
    """A publisher with an agreement on the network; the agreement's id."""
    account = Account.create()
    theirs, offer = keystore(account, folder / "theirs.json"), str(folder / "offer.json")
    local.json("publisher", "add", "demo", publisher_id, "--name", "Partner", "--account", account.address)
    local.json("agreement", "offer", "demo", publisher_id, "--out", offer)
    for signs in (merchant, theirs):
        local.json("agreement", "sign", offer, "--keystore", signs)
    made: str = local.json("agreement", "register", "demo", offer, "--keystore", merchant)["agreementId"]
    return made


def states(local: Local, publisher_id: str) -> list[str]:
    return [one["state"] for one in local.json("agreement", "list", "demo", publisher_id)["agreements"]]


def counts_clicks(local: Local, publisher_id: str) -> bool:
    return "clickId" in ask("GET", f"{local.box.url}/click/{publisher_id}").headers["Location"]


def test_who_is_no_party_ends_no_agreement_and_stops_no_link(local: Local, merchant: str, tmp_path: Path) -> None:
    in_force(local, merchant, "firm-table", tmp_path)
    stranger = keystore(Account.create(), tmp_path / "stranger.json")
    done = local.run("agreement", "end", "demo", "firm-table", "--keystore", stranger)
    assert (done.exit_code, "neither the merchant" in done.stderr) == (2, True)
    assert counts_clicks(local, "firm-table")
    assert states(local, "firm-table") == ["active"]


def test_an_end_that_the_network_refuses_stops_no_link(local: Local, merchant: str, tmp_path: Path) -> None:
    in_force(local, merchant, "poor-table", tmp_path)
    no_funds = str(tmp_path / "theirs.json")
    done = local.run("agreement", "end", "demo", "poor-table", "--keystore", no_funds)
    assert done.exit_code == 1, done.stderr
    assert counts_clicks(local, "poor-table")
    local.json("agreement", "end", "demo", "poor-table", "--keystore", merchant)
    assert not counts_clicks(local, "poor-table")


@pytest.mark.parametrize("left", ["only the network knows", "only the links know"])
def test_an_end_that_broke_off_is_finished_by_the_next_one(
    local: Local, merchant: str, tmp_path: Path, left: str
) -> None:
    """Killed before it could write down what it did on the network; or, by an earlier version, before it did it."""
    publisher_id = left.replace(" ", "-")
    name = in_force(local, merchant, publisher_id, tmp_path)
    box = opened(local, "merchant-box-demo")
    if left == "only the network knows":
        sent = encode_end(box.config.merchant.account, bytes.fromhex(name[2:]))
        Wallet(local.folder / "keys" / "merchant.key").send(local.box.line["rpc"], box.config.network.contract, sent)
    else:
        held = box.publishers.get(publisher_id)
        assert held
        box.publishers.put(replace(held, link=None))
    assert local.json("agreement", "end", "demo", publisher_id, "--keystore", merchant)["agreementId"] == name
    assert not counts_clicks(local, publisher_id)
    assert states(local, publisher_id) == ["ended"]
    assert box.views.agreement(box.config.merchant.account, bytes.fromhex(name[2:])).closes_at > 0
    again = local.run("agreement", "end", "demo", publisher_id, "--keystore", merchant)
    assert (again.exit_code, "no agreement in force" in again.stderr) == (2, True)


def test_an_agreement_that_was_ended_is_not_brought_back_by_its_offer(
    local: Local, merchant: str, tmp_path: Path
) -> None:
    in_force(local, merchant, "done-table", tmp_path)
    local.json("agreement", "end", "demo", "done-table", "--keystore", merchant)
    done = local.run("agreement", "register", "demo", str(tmp_path / "offer.json"), "--keystore", merchant)
    assert (done.exit_code, "is ended" in done.stderr) == (2, True)
    assert not counts_clicks(local, "done-table")


def test_what_the_contract_refuses_is_told_by_its_name(local: Local, merchant: str, tmp_path: Path) -> None:
    in_force(local, merchant, "late-table", tmp_path)
    made = [tmp_path / f"{which}.json" for which in ("first", "second")]
    for offer in made:
        local.json(
            "agreement", "offer", "demo", "late-table", "--out", str(offer), "--days", str(1 + made.index(offer))
        )
        for signs in (merchant, str(tmp_path / "theirs.json")):
            local.json("agreement", "sign", str(offer), "--keystore", signs)
    local.json("agreement", "register", "demo", str(made[0]), "--keystore", merchant)
    done = local.run("agreement", "register", "demo", str(made[1]), "--keystore", merchant)
    assert (done.exit_code, "WrongNonce" in done.stderr) == (1, True), done.stderr


def test_an_offer_is_signed_by_its_parties_and_in_its_own_words_alone(
    local: Local, merchant: str, tmp_path: Path
) -> None:
    account = Account.create()
    local.json("publisher", "add", "demo", "other-table", "--name", "Other", "--account", account.address)
    offer = tmp_path / "offer.json"
    local.json("agreement", "offer", "demo", "other-table", "--out", str(offer))
    operational = keystore(wallet(local.folder / "keys" / "operational.key"), tmp_path / "operational.json")
    done = local.run("agreement", "sign", str(offer), "--keystore", operational)
    assert (done.exit_code, "neither the merchant" in done.stderr) == (2, True)
    done = local.run("signer", "revoke", "demo", "--keystore", operational)
    assert (done.exit_code, "operational key" in done.stderr) == (2, True)
    text = offer.read_text()
    offer.write_text(text.replace('"lockDays": 30', '"lockDays": 31'))
    done = local.run("agreement", "sign", str(offer), "--keystore", merchant)
    assert (done.exit_code, "was changed" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "command", ["signer fund demo", "signer revoke demo --address 0x", "agreement end demo demo-publisher"]
)
def test_none_of_several_operational_keys_stands_in_for_a_party(local: Local, tmp_path: Path, command: str) -> None:
    first, second = Account.create(), Account.create()
    arguments = command.replace("0x", first.address).split()
    both = f"{first.address},{second.address}"
    done = local.run(*arguments, "--keystore", keystore(second, tmp_path / "second.json"), SIGNER_ADDRESS=both)
    assert (done.exit_code, "operational key" in done.stderr) == (2, True), done.stderr


def test_the_merchants_account_revokes_and_authorises_the_key_and_nothing_is_lost_between(
    local: Local, merchant: str
) -> None:
    assert local.json("signer", "show", "demo")["authorised"]
    assert not local.json("signer", "revoke", "demo", "--keystore", merchant)["authorised"]
    conversion_id = buy(local.box, follow_link(local.box), "R-1").json["conversionId"]
    assert ask("GET", f"{local.box.url}/v1/receipts/{conversion_id}").status == 202
    assert local.json("signer", "authorise", "demo", "--keystore", merchant, "--days", "30")["authorised"]
    assert final_receipt(local.box, conversion_id, 90)["commission"] == "10.00"


def test_what_was_set_aside_is_listed_and_tried_again(local: Local, merchant: str) -> None:
    local.json("signer", "revoke", "demo", "--keystore", merchant)
    conversion_id = buy(local.box, follow_link(local.box), "A-1").json["conversionId"]
    box = opened(local, "merchant-box-demo")
    held = box.conversions.get(conversion_id)
    assert held is not None
    aside.refuse(box, "record", held, "UnknownAgreement")
    [listed] = local.json("set-aside", "list", "demo")["setAside"]
    assert (listed["conversionId"], listed["reason"]) == (conversion_id, "UnknownAgreement")
    for wrong in ((), (conversion_id, "--all"), ("nothing-of-that-id",)):
        assert local.run("set-aside", "retry", "demo", *wrong).exit_code == 2
    tried = local.json("set-aside", "retry", "demo", "--all")["triedAgain"]
    assert tried == [{"conversionId": conversion_id, "reason": "UnknownAgreement"}]
    assert local.json("set-aside", "list", "demo")["setAside"] == []
    local.json("signer", "authorise", "demo", "--keystore", merchant, "--days", "30")
    assert final_receipt(local.box, conversion_id, 90)["commission"] == "10.00"


def test_a_call_can_be_printed_for_another_wallet_to_sign(local: Local) -> None:
    call = json.loads(local.run("signer", "authorise", "demo", "--print").stdout)
    assert call["to"] == local.box.line["contract"]
    assert call["data"].startswith("0x")
    assert call["chainId"] == 31337


def test_funding_reaches_the_key(local: Local, merchant: str) -> None:
    before = float(local.json("signer", "show", "demo")["balance"])
    assert (
        float(local.json("signer", "fund", "demo", "--amount", "0.5", "--keystore", merchant)["balance"]) > before + 0.4
    )


def test_tail_shows_events_and_no_order_id(local: Local) -> None:
    conversion_id = buy(local.box, follow_link(local.box), "SECRET-ORDER-1").json["conversionId"]
    lines = local.run("tail", "demo", "--once", "--json").stdout
    assert conversion_id in lines
    assert "SECRET-ORDER-1" not in lines


def opened(local: Local, prefix: str) -> Box:
    """The demo's box on other tables of the same DynamoDB."""
    box = Box(
        Settings(
            merchant="demo",
            config_file=local.folder / "config.json",
            table_prefix=prefix,
            region="eu-central-1",
            dynamodb_url=local.dynamodb_url,
            rpc_urls=(local.box.line["rpc"],),
            signer_key_files=(),
            kms_key_ids=(),
            parameter_path="/none",
            conversions_stream="",
            signer_addresses=(),
        )
    )
    tables.bind(prefix, "eu-central-1", local.dynamodb_url)
    tables.create_all()
    return box


def verify(local: Local, receipt: dict[str, Any], folder: Path) -> Result:
    file = folder / "receipt.json"
    file.write_text(json.dumps(receipt))
    return local.run("verify", str(file), "--rpc", local.box.line["rpc"])


def test_an_exported_box_stands_elsewhere_and_its_receipts_still_verify(local: Local, tmp_path: Path) -> None:
    conversion_id = buy(local.box, follow_link(local.box), "E-1").json["conversionId"]
    before = final_receipt(local.box, conversion_id)
    as_merchant(local.box, "PATCH", f"/v1/conversions/{conversion_id}", {"status": "approved"})
    file = tmp_path / "demo.jsonl.gz"
    exported = local.json("export", "demo", str(file))["items"]
    assert exported > 5

    elsewhere = opened(local, "merchant-box-moved")
    assert transfer.import_(elsewhere, file) == exported
    status, after = receipts.receipt(elsewhere, conversion_id)
    assert status == 200
    unchanged = ("payload", "salt", "commitment", "agreementId", "sequence", "transaction", "commission", "batch")
    assert {key: after[key] for key in unchanged} == {key: before[key] for key in unchanged}
    verified = verify(local, after, tmp_path)
    assert verified.exit_code == 0, verified.stdout + verified.stderr
    assert verify(local, {**after, "salt": "00" * 32}, tmp_path).exit_code != 0

    with pytest.raises(Failed, match="has data already"):
        transfer.import_(elsewhere, file)
    again = tmp_path / "again.jsonl.gz"
    assert transfer.export(elsewhere, again) == exported


def items(file: Path) -> list[str]:
    """Of an export, in an order of their own."""
    return sorted(gzip.decompress(file.read_bytes()).decode().splitlines()[1:])


def test_a_backup_restored_under_another_name_replaces_what_a_damaged_box_holds(local: Local, tmp_path: Path) -> None:
    """The runbook's steps, but for AWS's own restore: an import under that name stands for it."""
    before, restored, now = (tmp_path / f"{name}.jsonl.gz" for name in ("before", "restored", "now"))
    kept = buy(local.box, follow_link(local.box), "BACKUP-1").json["conversionId"]
    final_receipt(local.box, kept)
    local.json("export", "demo", str(before))
    transfer.import_(opened(local, "restored-demo"), before)
    later = buy(local.box, follow_link(local.box), "BACKUP-2").json["conversionId"]
    local.json("export", "demo", str(now))

    exported = local.json("export", "demo", str(restored), "--tables", "restored-demo")["items"]
    assert exported == len(items(before)) - 1
    damaged = opened(local, "merchant-box-damaged")
    transfer.import_(damaged, now)
    assert damaged.conversions.get(later)
    transfer.import_(damaged, restored, over=True)
    assert damaged.conversions.get(later) is None
    assert receipts.receipt(damaged, kept)[0] == 200
    transfer.export(damaged, now)
    assert items(now) == items(restored)


def test_tables_of_a_name_that_nobody_has_are_not_exported(local: Local, tmp_path: Path) -> None:
    file = tmp_path / "none.jsonl.gz"
    done = local.run("export", "demo", str(file), "--tables", "restored-demmo")
    assert (done.exit_code, "restored-demmo-" in done.stderr, file.exists()) == (1, True, False)


def test_a_file_that_cannot_be_imported_deletes_nothing(local: Local, tmp_path: Path) -> None:
    whole, unknown, again = (tmp_path / f"{name}.jsonl.gz" for name in ("whole", "unknown", "again"))
    local.json("export", "demo", str(whole))
    box = opened(local, "merchant-box-kept")
    transfer.import_(box, whole)
    transfer.export(box, whole)
    unknown.write_bytes(gzip.compress(gzip.decompress(whole.read_bytes()).replace(b'"table": "keys"', b'"table": "x"')))
    with pytest.raises(WrongInput, match="upgrade first"):
        transfer.import_(box, unknown, over=True)
    transfer.export(box, again)
    assert items(again) == items(whole)


def test_nobody_else_can_read_an_export_while_it_is_written(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, scan, modes = opened(local, "merchant-box-private"), tables.State.scan, list[int]()

    def look(*arguments: Any, **options: Any) -> Any:
        modes.extend(file.stat().st_mode & 0o777 for file in tmp_path.iterdir())
        return scan(*arguments, **options)

    monkeypatch.setattr(tables.State, "scan", look)
    transfer.export(box, tmp_path / "export.jsonl.gz")
    modes += [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()]
    assert modes == [0o600, 0o600]


def test_what_is_no_whole_export_of_this_merchant_is_not_imported(local: Local, tmp_path: Path) -> None:
    box = opened(local, "merchant-box-unwritten")
    whole = tmp_path / "whole.jsonl.gz"
    local.json("export", "demo", str(whole))
    lines = gzip.decompress(whole.read_bytes()).decode().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl.gz"
    for text, told in (
        ("".join(lines[:-1]), "breaks off"),
        ("".join([lines[0].replace('"demo"', '"acme"'), *lines[1:]]), "not of 'demo'"),
        ("".join([lines[0].replace('"format": 1', '"format": 9'), *lines[1:]]), "format 9"),
        ("nonsense\n", "not an export"),
    ):
        cut.write_bytes(gzip.compress(text.encode()))
        with pytest.raises(WrongInput, match=told):
            transfer.import_(box, cut)
    tables.bind("merchant-box-unwritten", "eu-central-1", local.dynamodb_url)
    assert all(next(iter(model.scan(limit=1)), None) is None for model in tables.MODELS)


def test_rebuilding_puts_index_attributes_right_and_finds_nothing_the_second_time(local: Local, tmp_path: Path) -> None:
    file = tmp_path / "demo.jsonl.gz"
    buy(local.box, follow_link(local.box), "S-1")
    local.json("export", "demo", str(file))
    box = opened(local, "merchant-box-rebuilt")
    transfer.import_(box, file)
    assert stats.rebuild(box, dry_run=False)[1] == 0
    spoiled = next(iter(tables.Conversions.scan(limit=1)))
    spoiled.update(actions=[tables.Conversions.day_slot.set("1970-01-01#0")])
    assert stats.rebuild(box, dry_run=True)[1] == 1
    assert stats.rebuild(box, dry_run=False)[1] == 1
    assert stats.rebuild(box, dry_run=True)[1] == 0


@pytest.mark.parametrize("model", [tables.Clicks, tables.Conversions])
def test_what_goes_while_it_is_put_right_is_not_brought_back(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: type[Model]
) -> None:
    file = tmp_path / "demo.jsonl.gz"
    buy(local.box, follow_link(local.box), f"GONE-{model.__name__}")
    local.json("export", "demo", str(file))
    box = opened(local, f"merchant-box-gone-{model.__name__.lower()}")
    transfer.import_(box, file)
    scan: Any = model.scan
    spoiled = next(iter(scan(limit=1)))
    spoiled.update(actions=[spoiled.__class__.day_slot.set("1970-01-01#0")])

    def forgotten(*_: Any, **__: Any) -> Iterator[Any]:
        """As the table does by itself when a click's time is over."""
        for row in list(scan()):
            row.delete()
            yield row

    monkeypatch.setattr(model, "scan", forgotten)
    assert stats.rebuild(box, dry_run=False)[1] == 1
    assert list(scan()) == []


@pytest.mark.parametrize("release", sorted(path.name for path in DATA.iterdir() if path.is_dir()))
def test_the_data_of_each_release_is_read_by_todays_code(local: Local, release: str, tmp_path: Path) -> None:
    """tests/data/<version> is an export of a box of that version; `expected.json` is what that version itself answered."""
    folder = DATA / release
    file = tmp_path / "export.jsonl.gz"
    file.write_bytes(gzip.compress((folder / "export.jsonl").read_bytes()))
    box = opened(local, f"merchant-box-{release.replace('.', '-')}")
    transfer.import_(box, file)
    expected = json.loads((folder / "expected.json").read_text())
    assert len(expected["receipts"]) >= 3
    for conversion_id, receipt in expected["receipts"].items():
        status, today = receipts.receipt(box, conversion_id)
        assert status == 200
        assert {key: today[key] for key in receipt} == receipt
    for conversion_id, held in expected["conversions"].items():
        found = box.conversions.get(conversion_id)
        assert found is not None
        assert {"decision": found.decision, "amount": found.amount, "orderId": found.order_id} == held
