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

from chalicelib.adapters import tables
from chalicelib.bootstrap import Box
from chalicelib.domain.page_signature import sign_page
from chalicelib.services import aside, receipts
from chalicelib.settings import Settings
from ops.boxes import stats, transfer
from ops.boxes.output import Failed, WrongInput
from ops.cli import main
from ops.local.dynoxide import Dynoxide
from ops.local.process import ROOT
from ops.local.running import RunningBox
from ops.story import ask
from tests.shopper import as_merchant, buy, final_receipt, follow_link

PASSWORD = "correct horse"
DATA = ROOT / "tests" / "data"


@dataclass
class Local:
    """A box that `box up` runs with a DynamoDB of the operator's own, and the `box` command looking at the same tables."""

    box: RunningBox
    folder: Path
    dynamodb_url: str

    def run(self, *arguments: str) -> Result:
        """`box …` with the environment that `box up` wrote, whatever comes of it; in this process, for most of a command's second is
        its imports."""
        words = shlex.split((self.folder / "environment").read_text())
        environment = dict(word.split("=", 1) for word in words if word != "export")
        return CliRunner().invoke(main, list(arguments), env={**environment, "BOX_KEYSTORE_PASSWORD": PASSWORD})

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
    [listed] = local.json("agreement", "list", "demo", "slow-table")["agreements"]
    assert (listed["agreementId"], listed["state"]) == (registered["agreementId"], "active")
    local.json("agreement", "end", "demo", "slow-table", "--keystore", merchant)
    assert "clickId" not in ask("GET", link).headers["Location"]


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
