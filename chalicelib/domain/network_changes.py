"""The bytes of decisions and amendments: what changes on the network after a conversion was recorded.

A decision call holds, for each batch, its digest and then words of five runs: first entry 16 | entries 16 | status 8 |
reason 8, the first run in the lowest 48 bits. Bit 240 says that another word of the same batch follows. So one run of a
hundred and a hundred scattered entries have the same form.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from chalicelib.domain.batch import MAX_ENTRIES, WORD, BadBatch
from chalicelib.domain.network_status import STATUSES
from chalicelib.domain.terms import MAX_AMOUNT

Decision = Literal["open", "approved", "rejected"]

MAX_CHANGES: Final = 4096  # bytes of one decision call
MAX_AMENDMENTS: Final = 64  # in one call
_RUNS: Final = 5
_MORE: Final = 1 << 240

# Reason codes of rejections and amendments. 1-99: as below; 100-249: the merchant's own; 254 comes with `supersede` only.
REASONS: Final[Mapping[str, int]] = {
    "returned": 1,
    "cancelled": 2,
    "unpaid": 3,
    "duplicate": 4,
    "fraud": 5,
    "terms": 6,
    "test": 7,
    "refund": 8,
    "verified_report": 9,
    "other": 99,
    "superseded": 254,
    "unverified": 255,
}
SUPERSEDED: Final = REASONS["superseded"]
VERIFIED_REPORT: Final = REASONS["verified_report"]  # of amendments only: a verified report said another amount
UNVERIFIED: Final = REASONS["unverified"]  # refused by the contract: how a reader names what the lock rejected


@dataclass(frozen=True, slots=True)
class Change:
    """A decision on one entry of a batch. `reason` is a number of REASONS for a rejection, else 0."""

    entry: int
    status: Decision
    reason: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """The same decision on `count` entries from `start` on."""

    start: int
    count: int
    status: Decision
    reason: int = 0


@dataclass(frozen=True, slots=True)
class Amendment:
    """A new amount (minor units) of one entry. `verified`: the report that says so verifies the conversion too."""

    entry: int
    amount: int
    verified: bool = False
    reason: int = 0


def runs(changes: Iterable[Change]) -> list[Run]:
    """Joins neighbours with the same decision. A later change of an entry replaces an earlier one."""
    joined: list[Run] = []
    for entry, change in sorted({change.entry: change for change in changes}.items()):
        last = joined[-1] if joined else None
        if last and (last.start + last.count, last.status, last.reason) == (entry, change.status, change.reason):
            joined[-1] = Run(last.start, last.count + 1, last.status, last.reason)
        else:
            joined.append(Run(entry, 1, change.status, change.reason))
    return joined


def pack_changes(changes: Mapping[bytes, Sequence[Run]]) -> bytes:
    """The `changes` argument of decide and supersede, from each batch's digest to its runs. Raises BadBatch."""
    packed = bytearray()
    for digest, batch_runs in changes.items():
        if not batch_runs or len(digest) != WORD:
            raise BadBatch("each batch needs its 32-byte digest and at least one run")
        packed += digest
        for i in range(0, len(batch_runs), _RUNS):
            word = sum(_run(run) << 48 * k for k, run in enumerate(batch_runs[i : i + _RUNS]))
            more = _MORE if i + _RUNS < len(batch_runs) else 0
            packed += (word | more).to_bytes(WORD, "big")
    if not 0 < len(packed) <= MAX_CHANGES:
        raise BadBatch(f"{len(packed)} bytes of decisions: a call has up to {MAX_CHANGES}; send them in several")
    return bytes(packed)


def _run(run: Run) -> int:
    if run.start < 0 or run.count < 1 or run.start + run.count > MAX_ENTRIES:
        raise BadBatch(f"no batch has entries {run.start} to {run.start + run.count - 1}", run.start)
    if run.status == "rejected":
        if not 1 <= run.reason <= SUPERSEDED:
            raise BadBatch(f"a rejection needs a reason from 1 to {SUPERSEDED}", run.start)
    elif run.reason:
        raise BadBatch("only a rejection has a reason", run.start)
    return run.start | run.count << 16 | STATUSES.index(run.status) << 32 | run.reason << 40


def unpack_changes(changes: bytes) -> list[tuple[bytes, list[Run]]]:
    """The runs of a Decided event, batch by batch, in the order they were applied. Raises BadBatch."""
    if len(changes) % WORD:
        raise BadBatch("decisions are 32-byte words")
    words = [changes[i : i + WORD] for i in range(0, len(changes), WORD)]
    read: list[tuple[bytes, list[Run]]] = []
    at = 0
    while at < len(words):
        batch_runs: list[Run] = []
        digest, at = words[at], at + 1
        more = True
        while more:
            if at == len(words):
                raise BadBatch("decisions end before their runs")
            word, at = int.from_bytes(words[at], "big"), at + 1
            more = word >> 240 == 1
            bits = word & _MORE - 1
            while bits:
                batch_runs.append(_read_run(bits & (1 << 48) - 1))
                bits >>= 48
        read.append((digest, batch_runs))
    return read


def _read_run(bits: int) -> Run:
    status = STATUSES[bits >> 32 & 3]
    if status == "sale":
        raise BadBatch("no decision says 'sale': only the lock does")
    return Run(bits & 65535, bits >> 16 & 65535, status, bits >> 40)


def pack_amendments(amendments: Sequence[Amendment]) -> list[int]:
    """The `changes` argument of amend. Raises BadBatch."""
    if not 0 < len(amendments) <= MAX_AMENDMENTS:
        raise BadBatch(f"{len(amendments)} amendments: a call has 1 to {MAX_AMENDMENTS}")
    for change in amendments:
        sane = 0 <= change.amount <= MAX_AMOUNT and 0 <= change.entry < MAX_ENTRIES and 0 <= change.reason < SUPERSEDED
        if not sane:
            raise BadBatch("an amendment's amount, entry or reason is out of range", change.entry)
    return [a.amount | a.entry << 40 | a.verified << 56 | a.reason << 64 for a in amendments]
