"""The embedded DynamoDB: dynoxide, one SQLite file, nothing lost on `kill -9`."""

from __future__ import annotations

from pathlib import Path

from ops.local.process import LOOPBACK, Part, npm_binary, started_on_a_free_port

USUAL_PORT = 8000


class Dynoxide:
    """A DynamoDB endpoint at `url` whose data is `directory`/dynamodb.sqlite."""

    def __init__(self, directory: Path, usual_port: int = USUAL_PORT) -> None:
        self.directory = directory
        self._part = started_on_a_free_port(usual_port, self._start_on)

    def _start_on(self, port: int) -> Part:
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        return self._start()

    def _start(self) -> Part:
        binary = npm_binary("@dynoxide/linux-x64/dynoxide")
        database = self.directory.resolve() / "dynamodb.sqlite"
        part = Part(
            "dynoxide",
            [binary, "--host", LOOPBACK, "--port", str(self.port), "--db-path", str(database)],
            self.directory,
        )
        part.wait_until_it_serves(self.port)
        return part

    @property
    def alive(self) -> bool:
        return self._part.alive

    @property
    def pid(self) -> int:
        return self._part.process.pid

    def restart(self) -> None:
        """On the same port and the same data, after it ended or was killed."""
        self._part.stop()
        self._part = self._start()

    def kill(self) -> None:
        self._part.kill()

    def stop(self) -> None:
        self._part.stop()
