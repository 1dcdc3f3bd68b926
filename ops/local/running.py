"""A box of its own process, started as an operator would (`box up --json`), for the story and for tests."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.local.process import ROOT, PartFailed, end_with_parent

START_SECONDS = 120.0
STOP_SECONDS = 30.0


class RunningBox:
    """`line` is what the box printed when it was ready. It ends with `stop`, and with whoever started it.
    `env` adds to the environment it runs in."""

    def __init__(self, data: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        self._errors = data / "start.err"
        command = [sys.executable, "-m", "ops.cli", "up", "--json", "--data", str(data), *options]
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=end_with_parent(os.getpid()),
            )
        self.line: dict[str, Any] = json.loads(self._first_line())
        self.url: str = self.line["box"]
        self.keys: dict[str, str] = self.line["keys"]

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], START_SECONDS)[0]:
            self.stop()
            raise PartFailed(f"the box was not ready after {START_SECONDS:.0f} s; see {self.data}/box.log")
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(STOP_SECONDS)
            raise PartFailed(f"box up ended with code {self.process.returncode}: {self._errors.read_text()}")
        return line

    def stop(self) -> int:
        """Asks it to end; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise PartFailed(f"the box did not end within {STOP_SECONDS:.0f} s; see {self.data}/box.log") from None

    def children(self) -> list[int]:
        """Process ids of its parts, now."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    def kill(self) -> list[int]:
        """SIGKILL to the box alone: its parts have to end by themselves. The ids of those parts."""
        parts = self.children()
        self.process.kill()
        self.process.wait()
        return parts

    def kill_with_children(self) -> list[int]:
        """SIGKILL to the box and each of its parts at once, as a power cut would; the ids of those killed."""
        killed = [self.process.pid, *self.children()]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in killed):
            time.sleep(0.01)
        return killed
