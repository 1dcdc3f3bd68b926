"""Types are read from any thread, also when the first reads of one meet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chalicelib.domain.decoding import convert, decode
from chalicelib.domain.transaction import Change, Transaction
from tests.domain.orders import conversion

ROOT = Path(__file__).parent.parent.parent
READERS = 16

MEET = """
import sys, threading
from chalicelib.domain.conversion import Conversion
from chalicelib.domain.decoding import decode
sys.setswitchinterval(1e-6)
given = sys.stdin.read()
together = threading.Barrier({readers})
def read():
    together.wait()
    decode(given, Conversion)
threads = [threading.Thread(target=read) for _ in range({readers})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_first_reads_of_a_type_that_meet_leave_the_process_alive() -> None:
    given = msgspec.json.encode(conversion())
    for _ in range(8):
        command = [sys.executable, "-c", MEET.format(readers=READERS)]
        ended = subprocess.run(command, input=given, cwd=ROOT, capture_output=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr.decode()


def test_what_does_not_fit_is_refused_as_msgspec_refuses_it() -> None:
    with pytest.raises(msgspec.ValidationError, match="signer"):
        decode("{}", Transaction)
    with pytest.raises(msgspec.DecodeError):
        decode("{", Transaction)
    with pytest.raises(msgspec.ValidationError):
        convert({"state": 1}, Change)
    assert decode("[1, 2]", list[int]) == [1, 2]
