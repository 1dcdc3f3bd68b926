"""The embedded DynamoDB and network: they keep their data whichever way they die, and never outlive who
started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.local import anvil, rpc
from ops.local.anvil import FAUCET, Anvil
from ops.local.dynoxide import Dynoxide
from ops.local.process import Part, PartFailed, free_port, lock_directory, started_on_a_free_port

SERVER = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
SOMEBODY = "0x00000000000000000000000000000000000000aA"


def client(url: str) -> Any:
    return boto3.client("dynamodb", endpoint_url=url)


def pay(chain: Anvil, wei: int) -> str:
    """Sends `wei` to SOMEBODY and waits until it is mined; the transaction's hash."""
    sent = {"from": FAUCET, "to": SOMEBODY, "value": hex(wei)}
    transaction: str = rpc.call(chain.url, "eth_sendTransaction", sent)
    wait_for(lambda: rpc.call(chain.url, "eth_getTransactionReceipt", transaction) is not None)
    return transaction


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_what_dynamodb_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    part = Dynoxide(tmp_path, usual_port=0)
    client(part.url).create_table(
        TableName="kept-by-kill",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client(part.url).put_item(TableName="kept-by-kill", Item={"id": {"S": "last"}})
    part.kill()
    part.restart()
    try:
        assert "Item" in client(part.url).get_item(TableName="kept-by-kill", Key={"id": {"S": "last"}})
    finally:
        part.stop()


def test_the_chain_survives_a_clean_end_with_receipts_and_logs(tmp_path: Path) -> None:
    first = Anvil(tmp_path, usual_port=0, block_seconds=0)
    transaction = pay(first, 7)
    first.stop()
    second = Anvil(tmp_path, usual_port=0, block_seconds=0)
    try:
        assert int(rpc.call(second.url, "eth_getBalance", SOMEBODY, "latest"), 16) == 7
        assert rpc.call(second.url, "eth_getTransactionReceipt", transaction)["status"] == "0x1"
    finally:
        second.stop()


def test_the_chain_survives_kill_9_of_the_node_itself(tmp_path: Path) -> None:
    node = Anvil(tmp_path, usual_port=0, block_seconds=1)
    try:
        transaction = pay(node, 9)
        wait_for(lambda: (tmp_path / "snapshot.json").exists())
        node.kill()
        node.restart()
        assert int(rpc.call(node.url, "eth_getBalance", SOMEBODY, "latest"), 16) == 9
        assert rpc.call(node.url, "eth_getTransactionReceipt", transaction)["status"] == "0x1"
        pay(node, 1)
        assert int(rpc.call(node.url, "eth_getBalance", SOMEBODY, "latest"), 16) == 10
    finally:
        node.stop()


def test_a_torn_state_file_gives_way_to_the_snapshot(tmp_path: Path) -> None:
    node = Anvil(tmp_path, usual_port=0, block_seconds=0)
    pay(node, 5)
    node.snapshot_if_changed()
    node.stop()
    state = tmp_path / "state.json"
    state.write_bytes(state.read_bytes()[:-100])
    node = Anvil(tmp_path, usual_port=0, block_seconds=0)
    try:
        assert int(rpc.call(node.url, "eth_getBalance", SOMEBODY, "latest"), 16) == 5
    finally:
        node.stop()


@pytest.fixture
def no_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """No snapshot but those that the test takes."""
    monkeypatch.setattr(anvil, "SNAPSHOT_SECONDS", 3600.0)


@pytest.mark.usefixtures("no_keeper")
def test_snapshots_taken_at_the_same_moment_do_not_take_each_others_file(tmp_path: Path) -> None:
    """The box takes one when it has been set up, its keeper every two seconds."""
    node = Anvil(tmp_path, usual_port=0, block_seconds=0)
    try:
        with ThreadPoolExecutor(8) as pool:
            for wei in range(1, 6):
                pay(node, wei)
                taken = list(pool.map(lambda _: node.snapshot_if_changed(), range(8)))
                assert taken.count(True) == 1
    finally:
        node.stop()


@pytest.mark.usefixtures("no_keeper")
def test_blocks_without_transactions_are_not_written_down(tmp_path: Path) -> None:
    node = Anvil(tmp_path, usual_port=0, block_seconds=0)
    try:
        rpc.call(node.url, "anvil_mine", "0x3")
        assert not node.snapshot_if_changed()
        pay(node, 1)
        assert node.snapshot_if_changed()
        assert not node.snapshot_if_changed()
    finally:
        node.stop()


PARENT = """
import sys, time
from pathlib import Path
from ops.local.anvil import Anvil
from ops.local.dynoxide import Dynoxide
data = Path(sys.argv[1])
chain = Anvil(data / "chain", usual_port=0, block_seconds=0)
dynamodb = Dynoxide(data / "dynamodb", usual_port=0)
print(chain.pid, dynamodb.pid, chain.url, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_part_outlives_its_parent_and_the_chain_is_kept(tmp_path: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    chain_pid, dynamodb_pid, url = parent.stdout.readline().split()
    rpc.call(url, "eth_sendTransaction", {"from": FAUCET, "to": SOMEBODY, "value": "0x3"})
    # A transaction is answered before it is mined, by a moment.
    wait_for(lambda: int(rpc.call(url, "eth_getBalance", SOMEBODY, "latest"), 16) == 3)
    os.kill(parent.pid, how)
    parent.wait()
    wait_for(lambda: not is_running(int(chain_pid)) and not is_running(int(dynamodb_pid)))
    chain = Anvil(tmp_path / "chain", usual_port=0, block_seconds=0)
    try:
        assert int(rpc.call(chain.url, "eth_getBalance", SOMEBODY, "latest"), 16) == 3
    finally:
        chain.stop()


def test_a_taken_port_gives_way_to_a_free_one(dynamodb: Dynoxide) -> None:
    assert free_port(dynamodb.port) != dynamodb.port


def test_a_port_that_somebody_took_in_between_is_not_mistaken_for_ours(tmp_path: Path) -> None:
    """Whoever took it would answer as well, and two boxes would share one database."""
    theirs = Dynoxide(tmp_path / "theirs", usual_port=0)
    asked: list[int] = []

    def start_on(port: int) -> Part:
        asked.append(theirs.port if not asked else port)
        part = Part("sleeper", ["sleep", "1"] if len(asked) == 1 else [*SERVER, str(port)], tmp_path / str(len(asked)))
        part.wait_until_it_serves(asked[-1])
        return part

    ours = started_on_a_free_port(0, start_on)
    assert len(asked) == 2
    ours.stop()
    theirs.stop()


def test_a_second_start_waits_for_the_first_to_end(tmp_path: Path) -> None:
    first = Part("sleeper", ["sleep", "0.5"], tmp_path)
    begun = time.monotonic()
    second = Part("sleeper", ["sleep", "0"], tmp_path)
    assert time.monotonic() - begun > 0.3
    assert not first.alive
    second.stop()


def test_a_directory_in_use_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with lock_directory(tmp_path, "box", 0), pytest.raises(PartFailed, match="choose another --data"):
        lock_directory(tmp_path, "box", 0.05)


def test_a_part_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    part = Part("talker", ["sh", "-c", "echo no such thing; exit 3"], tmp_path)
    with pytest.raises(PartFailed, match=r"code 3: no such thing"):
        part.wait_until(lambda: False)


def test_the_parts_listen_on_loopback_alone(dynamodb: Dynoxide, chain: Anvil) -> None:
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    for port in (dynamodb.port, chain.port):
        addresses = {
            line.split()[1].split(":")[0]
            for line in listening.splitlines()[1:]
            if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
        }
        assert addresses == {"0100007F"}
