"""A local AWS that runs the deployed functions in processes of their own, under the IAM policies that were deployed with them."""

from __future__ import annotations

import os
from pathlib import Path

from ops.local.process import LOOPBACK, ROOT, Part, PartFailed, started_on_a_free_port

PYTHON = ROOT / ".venv-ministack" / "bin" / "python"
READY_SECONDS = 60.0
ACCOUNT = "000000000000"
REGION = "eu-central-1"


class LocalAws:
    """At `url`, on the loopback interface alone; `environment` is what leads an AWS client or Chalice there."""

    def __init__(self, directory: Path) -> None:
        if not PYTHON.exists():
            raise PartFailed("there is no local AWS: run `make setup`")
        self._directory = directory
        self._part = started_on_a_free_port(0, self._start)
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _start(self, port: int) -> Part:
        self.url = f"http://{LOOPBACK}:{port}"
        scratch = self._directory.resolve()
        part = Part(
            "ministack",
            [str(PYTHON), str(Path(__file__).with_name("ministack_with_import.py"))],
            scratch,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(scratch),
                "TMPDIR": str(scratch),
                "STATE_DIR": str(scratch / "state"),
                "BIND_HOST": LOOPBACK,
                "GATEWAY_PORT": str(port),
                "MINISTACK_HOST": LOOPBACK,
                "MINISTACK_REGION": REGION,
                "AUTH": "true",
                "LOG_LEVEL": "INFO",
            },
        )
        part.wait_until_it_serves(port, seconds=READY_SECONDS)
        return part

    @property
    def log(self) -> Path:
        return self._part.log

    def stop(self) -> None:
        self._part.stop()
