"""The operator's project directory: configs/, .chalice/config.json with a stage a merchant, and the stages' policies.

Files are written whole and renamed into place, so that a reader (or a second `box` at work on another merchant) never sees half of one.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.boxes.given import read_json
from ops.boxes.output import Failed
from ops.local.process import ROOT


class Project:
    """By default the directory the command is run in, as Chalice has it, if it is a box's project; else this one."""

    def __init__(self, root: Path | None = None) -> None:
        here = Path.cwd()
        self.root = root or (here if (here / "configs").is_dir() and (here / "app.py").exists() else ROOT)
        self.configs = self.root / "configs"
        self.chalice = self.root / ".chalice"
        self.stages_file = self.chalice / "config.json"
        self.releases = self.chalice / "releases"
        self._stages: tuple[tuple[int, int], dict[str, Any]] | None = None
        self._changing: dict[str, Any] | None = None
        self.locks: list[int] = []
        """Of the boxes that this command is at work on: file descriptors, for a child process to hold too."""

    def config_file(self, merchant: str) -> Path:
        return self.configs / f"{merchant}.json"

    def merchants(self) -> list[str]:
        return sorted(path.stem for path in self.configs.glob("*.json") if path.name != "schema.json")

    def policies(self, merchant: str) -> Path:
        return self.chalice / "policies" / merchant

    def read_stages(self) -> dict[str, Any]:
        """The whole of .chalice/config.json; the common part alone where there is no such file yet."""
        if self._changing is not None:
            return self._changing
        if not self.stages_file.exists():
            return {"stages": {}}
        stamp = self._stamp()
        if (
            self._stages is None or self._stages[0] != stamp
        ):  # with 200 stages, parsing it for each is what takes the time
            self._stages = (stamp, read_json(self.stages_file, dict, ".chalice/config.json"))
        return self._stages[1]

    def _stamp(self) -> tuple[int, int]:
        found = self.stages_file.stat()
        return found.st_mtime_ns, found.st_ino

    def stage(self, merchant: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.read_stages().get("stages", {}).get(merchant)
        return found

    @contextmanager
    def changing_stages(self) -> Iterator[dict[str, Any]]:
        """.chalice/config.json to change in place; one process at a time, written once at the end. May be nested: the outermost writes."""
        if self._changing is not None:
            yield self._changing
            return
        self.chalice.mkdir(parents=True, exist_ok=True)
        with (self.chalice / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._stages = None  # what is yielded is changed: nobody else may hold it
            self._changing = self.read_stages()
            self._stages = None
            try:
                yield self._changing
                text = json.dumps(self._changing, indent=1) + "\n"
                if not self.stages_file.exists() or self.stages_file.read_text() != text:
                    write(self.stages_file, text)
            finally:
                self._changing = None

    @contextmanager
    def at_work_on(self, merchant: str) -> Iterator[None]:
        """One command at a time brings a box to AWS or takes it away: two would each make a part of it. Chalice holds the lock too, so
        what it goes on doing for a command that was killed is waited for. Raises Failed."""
        self.chalice.mkdir(parents=True, exist_ok=True)
        with (self.chalice / f".lock-{merchant}").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failed(
                    f"another command is at work on {merchant}, or one that was killed has left Chalice at it: "
                    "wait for its end, then do this again"
                ) from None
            self.locks.append(lock.fileno())
            try:
                yield
            finally:
                self.locks.remove(lock.fileno())

    def deployed(self, merchant: str) -> dict[str, dict[str, Any]]:
        """What Chalice says it deployed, by the resource's name; empty before the first deployment."""
        file = self._deployed_file(merchant)
        if not file.exists():
            return {}
        return {resource["name"]: resource for resource in json.loads(file.read_text()).get("resources", [])}

    def write_deployed(self, merchant: str, resources: list[dict[str, Any]]) -> None:
        """As Chalice writes it."""
        held = {"resources": resources, "schema_version": "2.0", "backend": "api"}
        write(self._deployed_file(merchant), json.dumps(held, indent=2) + "\n")

    def forget_deployed(self, merchant: str) -> None:
        self._deployed_file(merchant).unlink(missing_ok=True)

    def _deployed_file(self, merchant: str) -> Path:
        return self.chalice / "deployed" / f"{merchant}.json"


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(path)
