"""Child processes that never outlive the box and never share their data directory.

Each part runs in a session of its own, so that Ctrl-C reaches the box alone and the box ends its parts in
order. The kernel sends SIGTERM to a part when its parent dies, however it dies. A part holds a lock on its
data directory for as long as it lives: the next start waits for that lock, and so for an old part that is
still writing down its state.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
READY_SECONDS = 20.0
STOP_SECONDS = 20.0
START_ATTEMPTS = 5
_PR_SET_PDEATHSIG = 1
_TCP_LISTEN = "0A"
# Loaded here: after the fork only async-signal-safe things may happen, and loading a library is none of them.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class PartFailed(RuntimeError):
    """A local part did not start or did not end; the message says which, why, and where its log is."""


def free_port(usual: int = 0) -> int:
    """`usual` where nothing listens on it, else a port the system picks. Somebody may take it before it is used: a server of ours that
    needs no certain port binds 0 itself."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PartFailed("no free port on the loopback interface")


def lock_directory(directory: Path, name: str, wait_seconds: float) -> IO[str]:
    """An exclusive lock on `directory`, held until the returned file (or a child that inherits it) is closed.

    Raises PartFailed when another process still holds it after `wait_seconds`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / f"{name}.lock").open("w")
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise PartFailed(f"another process uses {directory}: stop it, or choose another --data") from None
            time.sleep(0.02)


def end_with_parent(parent: int) -> Callable[[], None]:
    """What a child runs before its program: asks the kernel for SIGTERM when `parent` dies."""

    def in_child() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the line above
            os._exit(1)

    return in_child


class Part:
    """A running child process with its log. Start it from a thread that lives as long as the process: the
    kernel counts the starting thread, not the process, as the parent whose death ends the child."""

    def __init__(
        self,
        name: str,
        command: list[str],
        directory: Path,
        *,
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """`before` runs once the directory is ours and before the child starts."""
        self.name = name
        self.log = directory / f"{name}.log"
        with lock_directory(directory, name, STOP_SECONDS) as lock, self.log.open("a") as log:
            before()
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock.fileno()],
                preexec_fn=end_with_parent(os.getpid()),
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Polls `ready` until it is true; raises PartFailed with the end of the log when the part ends or
        takes too long. Whatever breaks the waiting off ends the part: nobody else has it yet."""
        deadline = time.monotonic() + seconds
        try:
            while not ready():
                if not self.alive:
                    raise PartFailed(f"{self.name} ended with code {self.process.returncode}: {self._last_words()}")
                if time.monotonic() > deadline:
                    raise PartFailed(f"{self.name} was not ready after {seconds:.0f} s: {self._last_words()}")
                time.sleep(0.01)
        except BaseException:
            self.stop()
            raise

    def wait_until_it_serves(
        self, port: int, ready: Callable[[], bool] = lambda: True, seconds: float = READY_SECONDS
    ) -> None:
        """As `wait_until`, and only once the part itself listens on `port`: somebody who took the port before it would answer too."""
        self.wait_until(lambda: _listens(self.process.pid, port) and ready(), seconds)

    def stop(self) -> None:
        """Ends it, giving it the time to write down its state; kills it only when it does not end by
        itself."""
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self) -> None:
        """What a crash would do: no chance to write anything down."""
        self.process.kill()
        self.process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return " | ".join(lines[-5:]) + f" (log: {self.log})"


def _listens(pid: int, port: int) -> bool:
    """Whether that very process has a socket that listens on the port. Where there is no /proc to tell: yes."""
    table, descriptors = Path("/proc/net/tcp"), Path(f"/proc/{pid}/fd")
    if not table.exists():
        return True
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    sockets = {
        f"socket:[{row[9]}]" for row in rows if row[3] == _TCP_LISTEN and int(row[1].partition(":")[2], 16) == port
    }
    try:
        return bool(sockets) and any(str(held.readlink()) in sockets for held in descriptors.iterdir())
    except FileNotFoundError:  # it ended, or closed the one just looked at
        return False


def npm_binary(*candidates: str) -> str:
    """The first of these paths under node_modules that exists. Raises PartFailed naming the remedy."""
    for candidate in candidates:
        path = ROOT / "node_modules" / candidate
        if path.exists():
            return str(path)
    raise PartFailed(
        f"node_modules/{candidates[0]} is missing: run `make setup`. It exists for Linux on x86-64; "
        "elsewhere give `box up` a --dynamodb and a --rpc of your own"
    )


def started_on_a_free_port(usual: int, start: Callable[[int], Part]) -> Part:
    """Starts a part that must be told its port. Somebody may take a free port before the part does: then
    another is tried."""
    for _ in range(START_ATTEMPTS - 1):
        try:
            return start(free_port(usual))
        except PartFailed:
            usual = 0
    return start(free_port(usual))
