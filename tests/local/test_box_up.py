"""`box up`: what it prints, what it refuses, and that nothing of it is left when it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.asking import ask
from ops.local import rpc
from ops.local.anvil import Anvil
from ops.local.dynoxide import Dynoxide
from ops.local.process import ROOT, PartFailed
from ops.local.running import RunningBox
from tests.shopper import buy, final_receipt, follow_link

SNIPPET_SOURCE = '<script async src="{box}/libs/mtag.js"></script>'


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def up(*options: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops.cli", "up", "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_json_line_names_everything_and_everything_answers(box: RunningBox) -> None:
    line = box.line
    wanted = ["box", "shop", "publisher", "dashboard", "rpc", "chainId", "contract", "merchant", "publisherId", "keys"]
    assert list(line) == wanted
    assert {"admin", "server", "readonly"} <= set(line["keys"])
    assert all(key.startswith("box_") and len(key) == 36 for key in line["keys"].values())
    assert ask("GET", f"{line['box']}/v1/status").status == 200
    shown = ask("GET", f"{line['box']}/v1/config").json
    assert (shown["contract"], shown["chainId"]) == (line["contract"], line["chainId"])
    assert line["shop"] in shown["origins"]
    assert len(rpc.call(line["rpc"], "eth_getCode", line["contract"], "latest")) > 1000
    for page in (line["shop"], line["publisher"]):
        assert ask("GET", page).status == 200
    assert SNIPPET_SOURCE.format(box=line["box"]) in ask("GET", line["shop"]).body.decode()


def test_the_prefix_is_part_of_every_address_and_of_no_other(box: RunningBox) -> None:
    assert box.url.endswith("/api")
    answer = ask("GET", box.url.removesuffix("/api") + "/v1/status")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/none", "/libs", "/v1/receipts/none/of/this"])
def test_an_unknown_address_of_the_box_is_a_problem(box: RunningBox, path: str) -> None:
    answer = ask("GET", box.url + path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_the_answers_say_what_is_left_of_the_limits_as_on_aws(box: RunningBox) -> None:
    listed = ask("GET", f"{box.url}/v1/conversions", Authorization=f"Bearer {box.keys['readonly']}")
    for answer in (listed, ask("GET", f"{box.url}/v1/status")):
        assert answer.headers["RateLimit-Limit"] == "1000000"
        assert 0 < int(answer.headers["RateLimit-Remaining"]) < 1_000_000
        assert 0 < int(answer.headers["RateLimit-Reset"]) <= 60


def test_a_body_of_another_type_is_a_problem(box: RunningBox) -> None:
    answer = ask("POST", f"{box.url}/v1/conversions", {}, Content_Type="application/xml")
    assert (answer.status, answer.headers["Content-Type"]) == (415, "application/problem+json")
    assert answer.json["status"] == 415


def test_the_demo_keys_are_private_files_and_the_log_names_nobody(box: RunningBox) -> None:
    buy(box, follow_link(box), "B-named-in-no-log")
    for key in (box.data / "keys").iterdir():
        assert key.stat().st_mode & 0o077 == 0, key.name
    # An answer leaves before its line is written.
    wait_for(lambda: "POST /v1/beacon/conversion 202" in (box.data / "box.log").read_text())
    log = (box.data / "box.log").read_text()
    for private in ("B-named-in-no-log", "127.0.0.1 -", *box.keys.values()):
        assert private not in log


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_box_and_every_part_in_order(tmp_path: Path, how: signal.Signals) -> None:
    box = RunningBox(tmp_path, "--port", "0")
    parts = box.children()
    assert len(parts) == 2
    box.process.send_signal(how)
    assert box.process.wait(20) == 0
    assert not any(map(is_running, parts))
    assert "best_block_number" in json.loads((tmp_path / "network" / "state.json").read_text())


@pytest.mark.parametrize("later", [0.0, 0.5, 1.0])
def test_a_signal_during_the_start_leaves_nothing_behind(tmp_path: Path, later: float) -> None:
    command = [sys.executable, "-m", "ops.cli", "up", "--port", "0", "--data", str(tmp_path)]
    starting = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_for(lambda: (tmp_path / "dynamodb" / "dynamodb.sqlite").exists())
    time.sleep(later)
    children = Path(f"/proc/{starting.pid}/task/{starting.pid}/children").read_text().split()
    starting.terminate()
    assert starting.wait(20) == 0
    assert children
    # What the box had started and not yet noted the kernel ends, when it has seen the box end.
    wait_for(lambda: not any(is_running(int(pid)) for pid in children))


def test_a_part_that_dies_is_started_again_and_loses_nothing(tmp_path: Path) -> None:
    box = RunningBox(tmp_path, "--port", "0")
    try:
        first = buy(box, follow_link(box), "B-before").json["conversionId"]
        final_receipt(box, first)
        wait_for(lambda: (tmp_path / "network" / "snapshot.json").stat().st_mtime > time.time() - 5)
        time.sleep(2.5)  # longer than the pause between two snapshots of the chain
        parts = box.children()
        for part in parts:
            os.kill(part, signal.SIGKILL)
        wait_for(lambda: len(box.children()) == 2 and not set(box.children()) & set(parts))
        wait_for(lambda: rpc.answers(box.line["rpc"]))
        wait_for(lambda: ask("GET", f"{box.url}/v1/receipts/{first}").status == 200)
        second = buy(box, follow_link(box), "B-after").json["conversionId"]
        assert final_receipt(box, second, 150)["sequence"] == 2
    finally:
        assert box.stop() == 0


def test_a_second_box_on_the_same_data_is_refused_with_the_remedy(box: RunningBox) -> None:
    refused = up("--data", str(box.data))
    assert refused.returncode == 1
    assert "choose another --data" in refused.stderr
    assert refused.stdout == ""


def test_data_that_cannot_be_kept_where_it_is_asked_for_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = up("--data", str(tmp_path / "file" / "data"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("The box did not start: ")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("change", "path", "remedy"),
    [
        ({"currency": "euro"}, "$.currency", "schema.json"),
        ({"curency": "EUR"}, "$", "Did you mean 'currency'?"),
        ({"version": "one"}, "$.version", "schema.json"),
        ({"timeZone": "Europe/Nowhere"}, "$.timeZone", "Europe/Amsterdam"),
    ],
)
def test_a_mistake_in_the_config_stops_the_start_and_says_where(
    tmp_path: Path, change: dict[str, Any], path: str, remedy: str
) -> None:
    config = json.loads((ROOT / "configs" / "demo.json").read_text())
    mistaken = tmp_path / "shop.json"
    mistaken.write_text(json.dumps({**config, **change}))
    refused = up("--data", str(tmp_path / "data"), "--config", str(mistaken))
    assert refused.returncode == 2
    assert str(mistaken) in refused.stderr
    assert not (tmp_path / "data" / "network").exists()
    assert path in refused.stderr
    assert remedy in refused.stderr
    assert "Traceback" not in refused.stderr


def test_every_mistake_stops_the_start_at_once_in_the_file_as_it_was_named(tmp_path: Path) -> None:
    config = json.loads((ROOT / "configs" / "demo.json").read_text())
    (tmp_path / "shop.json").write_text(json.dumps({**config, "curency": "EUR", "rpc": "https://rpc.example/"}))
    refused = up("--data", "data", "--config", "shop.json", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("shop.json: $.rpc: 'rpc' sounds like a secret")
    assert "shop.json: $: there is no key 'curency' here" in refused.stderr


def test_the_box_runs_on_a_database_and_a_node_that_the_operator_runs(tmp_path: Path, chain: Anvil) -> None:
    dynamodb = Dynoxide(tmp_path / "dynamodb", usual_port=0)
    box = RunningBox(tmp_path / "box", "--port", "0", "--dynamodb", dynamodb.url, "--rpc", chain.url)
    try:
        assert box.children() == []
        assert box.line["rpc"] == chain.url
        answer = buy(box, follow_link(box), "B-own-parts")
        assert answer.status == 202
        tables = boto3.client("dynamodb", endpoint_url=dynamodb.url).list_tables()["TableNames"]
        assert "merchant-box-demo-conversions" in tables
        wait_for(lambda: mined(box, chain, answer.json["conversionId"]), 60)
    finally:
        assert box.stop() == 0
        dynamodb.stop()


def mined(box: RunningBox, chain: Anvil, conversion_id: str) -> bool:
    rpc.call(chain.url, "anvil_mine", "0x1")
    answer = ask("GET", f"{box.url}/v1/receipts/{conversion_id}")
    return answer.status == 200 and bool(answer.json["final"])


def test_a_node_that_does_not_answer_is_named(tmp_path: Path) -> None:
    refused = up("--data", str(tmp_path), "--rpc", "http://127.0.0.1:9")
    assert refused.returncode == 1
    assert "no network node answers at http://127.0.0.1:9" in refused.stderr


def test_a_missing_npm_part_is_named_with_its_remedy() -> None:
    from ops.local.process import npm_binary

    with pytest.raises(PartFailed, match="make setup"):
        npm_binary("@nobody/nothing/binary")
