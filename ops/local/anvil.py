"""The embedded network: anvil, a real EVM node with blocks of one second, whose chain is kept across every
way of dying.

anvil writes its chain to `state.json` on a clean end alone (and its own `--state-interval` lost or tore the
file in 11 of 25 kills). So two things guard it: the kernel asks it to end cleanly when the box dies
(ops/local/process.py), and a thread of ours asks it for its state over RPC after each block that changed
something and renames the answer into place. The next start takes whichever of the two is newer and whole.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ops.local import rpc
from ops.local.process import LOOPBACK, Part, npm_binary, started_on_a_free_port

USUAL_PORT = 8545
CHAIN_ID = 31337
SNAPSHOT_SECONDS = 2.0
# The first of the accounts that every anvil funds, known to everybody: it pays for the local stack's set-up
# and for nothing else.
FAUCET_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
FAUCET = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

_log = logging.getLogger("box.local.anvil")


class Anvil:
    """An Ethereum RPC endpoint at `url` whose chain is kept in `directory`. `block_seconds` 0 mines a block
    a transaction."""

    def __init__(self, directory: Path, usual_port: int = USUAL_PORT, block_seconds: int = 1) -> None:
        self.directory = directory
        self.chain_id = CHAIN_ID
        self._block_seconds = block_seconds
        self._ending = threading.Event()
        self._saving = threading.Lock()
        self._part = started_on_a_free_port(usual_port, self._start_on)
        self._saved_block = int(rpc.call(self.url, "eth_blockNumber"), 16)
        self._keeper = threading.Thread(target=self._keep_snapshots, name="anvil-snapshots", daemon=True)
        self._keeper.start()

    def _start_on(self, port: int) -> Part:
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        return self._start()

    def _start(self) -> Part:
        options = ["--state", str(self._state.resolve())]
        if self._block_seconds:
            options += ["--block-time", str(self._block_seconds)]
        # Chosen by the part itself once it holds the directory's lock: an older anvil may still be writing.
        return _started(self.directory, self.port, options, before=self._restore_newest)

    @property
    def _state(self) -> Path:
        return self.directory / "state.json"

    @property
    def _snapshot(self) -> Path:
        return self.directory / "snapshot.json"

    def _restore_newest(self) -> None:
        """Leaves in `state.json` the newest whole state there is, or no file at all."""
        candidates = [path for path in (self._state, self._snapshot) if path.exists()]
        for path in sorted(candidates, key=lambda path: path.stat().st_mtime_ns, reverse=True):
            if _is_whole(path):
                if path != self._state:
                    _write_atomically(self._state, path.read_bytes())
                return
            _log.warning("%s is torn: taking an older state of the chain", path.name)
        self._state.unlink(missing_ok=True)

    def _keep_snapshots(self) -> None:
        while not self._ending.wait(SNAPSHOT_SECONDS):
            try:
                self.snapshot_if_changed()
            except (OSError, ValueError, rpc.RpcRefused) as error:
                _log.warning("no snapshot of the chain this time: %s", error)

    def snapshot_if_changed(self) -> bool:
        """Writes the chain down when a block since the last time holds a transaction; whether it did. One at a time: the file beside it
        has one name, and an older state is not to come after a newer."""
        with self._saving:
            return self._save_if_changed()

    def _save_if_changed(self) -> bool:
        head = int(rpc.call(self.url, "eth_blockNumber"), 16)
        fresh = range(min(self._saved_block, head) + 1, head + 1)
        if not any(self._has_transactions(number) for number in fresh):
            self._saved_block = head
            return False
        state = gzip.decompress(bytes.fromhex(rpc.call(self.url, "anvil_dumpState")[2:]))
        _write_atomically(self._snapshot, state)
        self._saved_block = head
        return True

    def _has_transactions(self, number: int) -> bool:
        return rpc.call(self.url, "eth_getBlockTransactionCountByNumber", hex(number)) not in (None, "0x0")

    @property
    def alive(self) -> bool:
        return self._part.alive

    @property
    def pid(self) -> int:
        return self._part.process.pid

    def restart(self) -> None:
        """On the same port, from the newest state kept, after it ended or was killed."""
        self._part.stop()
        self._part = self._start()
        self._saved_block = int(rpc.call(self.url, "eth_blockNumber"), 16)

    def kill(self) -> None:
        self._part.kill()

    def stop(self) -> None:
        self._ending.set()
        self._part.stop()


def throwaway_node(directory: Path, *options: str) -> tuple[Part, str]:
    """A node whose chain nobody keeps, and its URL: a block a transaction, unless the options say otherwise."""
    ports = []

    def start_on(port: int) -> Part:
        ports.append(port)
        return _started(directory, port, options)

    part = started_on_a_free_port(0, start_on)
    return part, f"http://{LOOPBACK}:{ports[-1]}"


def _started(directory: Path, port: int, options: Sequence[str], before: Callable[[], None] = lambda: None) -> Part:
    command = [
        *(npm_binary("@foundry-rs/anvil-linux-amd64/bin/anvil"), "--quiet"),
        *("--host", LOOPBACK, "--port", str(port), "--chain-id", str(CHAIN_ID)),
        *("--hardfork", "prague", "--slots-in-an-epoch", "1"),
        *options,
    ]
    part = Part("anvil", command, directory, before=before)
    part.wait_until_it_serves(port, lambda: rpc.answers(f"http://{LOOPBACK}:{port}"))
    return part


def _is_whole(path: Path) -> bool:
    try:
        return "best_block_number" in json.loads(path.read_bytes())
    except ValueError:
        return False


def _write_atomically(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
