"""The bytes of a batch of conversions, as the contract reads them (docs/decisions/0001-batch-layout.md).

    body         groups of 32-byte words: a head, the agreement's id unless it is the group before's, then more amounts
    head         flags 8 | action << 6 and group 8 | count 16 | zero 24 | five amounts 200      highest bits first
    amounts      40 bits each, the first in the lowest bits; five in the head, six in each further word
    commitments  20 bytes for each entry
    digest       keccak(keccak(body) || keccak(commitments)): the batch's name on chain and its guard against a second recording

An entry's sequence is the batch's first sequence plus its position. All figures are integers in minor units.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from chalicelib.domain.commitment import COMMITMENT_SIZE
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.terms import ACTIONS, MAX_AMOUNT, Action

MAX_ENTRIES: Final = 304
MAX_BODY: Final = 6400  # bytes
WORD: Final = 32
PER_WORD: Final = 6
IN_HEAD: Final = 5
VERIFIED: Final = 1
SAME_AGREEMENT: Final = 2
MAX_GROUP_NUMBER: Final = 63


class BadBatch(ValueError):
    """Entries or bytes the contract would refuse. `entry` is the position of the first bad one, None for the whole."""

    def __init__(self, message: str, entry: int | None = None) -> None:
        super().__init__(message if entry is None else f"entry {entry}: {message}")
        self.entry = entry


@dataclass(frozen=True, slots=True)
class Entry:
    """One commission group of one order. Entries of the same order are adjacent and share the commitment.

    `agreement` is its 32-byte id, `group` its number in the agreement, `amount` minor units, `commitment` 20 bytes.
    """

    agreement: bytes
    action: Action
    amount: int
    commitment: bytes
    group: int = 0
    verified: bool = False

    @property
    def key(self) -> int:
        return ACTIONS.index(self.action) << 6 | self.group


@dataclass(frozen=True, slots=True)
class Batch:
    """`entries` in the order of the batch; `positions[i]` is where the caller's i-th entry stands in it."""

    body: bytes
    commitments: bytes
    entries: tuple[Entry, ...]
    positions: tuple[int, ...]

    @property
    def digest(self) -> bytes:
        return digest(self.body, self.commitments)


def digest(body: bytes, commitments: bytes) -> bytes:
    """The batch's 32-byte name on chain."""
    return digest_of(body, keccak256(commitments))


def digest_of(body: bytes, commitments_hash: bytes) -> bytes:
    """The same, for who has only keccak256 of the commitments (an amendment shows no more)."""
    return keccak256(keccak256(body) + commitments_hash)


def pack(entries: Sequence[Entry], silence_all: Container[bytes] = frozenset()) -> Batch:
    """Packs entries into the cheapest order the contract accepts: what silence approves first, then by agreement.

    `silence_all`: the ids of agreements whose silence approves unverified conversions too. Agreements with different
    validation or lock days cannot share a batch: use `split` first. Raises BadBatch with the caller's position.
    """
    if not 0 < len(entries) <= MAX_ENTRIES:
        raise BadBatch(f"{len(entries)} entries: a batch has 1 to {MAX_ENTRIES}")
    for position, entry in enumerate(entries):
        _check(entry, position)
    order = _arrange(entries, silence_all)
    arranged = tuple(entries[i] for i in order)
    positions = [0] * len(entries)
    for position, i in enumerate(order):
        positions[i] = position
    body = _body(arranged)
    if len(body) > MAX_BODY:
        raise BadBatch(f"{len(body)} bytes: a batch's body has at most {MAX_BODY}; send fewer entries")
    return Batch(body, b"".join(e.commitment for e in arranged), arranged, tuple(positions))


def split(entries: Sequence[Entry], days: Mapping[bytes, tuple[int, int]]) -> list[list[int]]:
    """Positions of entries that may share a batch: same (validation, lock) days, few enough, orders kept whole.

    `days` gives both for each agreement id. The lists are in the order of their first entry.
    """
    batches: dict[tuple[int, int], list[list[int]]] = {}
    for order in _orders(entries):
        open_batches = batches.setdefault(days[entries[order[0]].agreement], [[]])
        # Each entry may cost a head and an agreement's id of its own: the bound that holds for any mixture.
        if len(open_batches[-1]) + len(order) > MAX_BODY // (2 * WORD):
            open_batches.append([])
        open_batches[-1].extend(order)
    return sorted((batch for group in batches.values() for batch in group if batch), key=lambda b: b[0])


def _check(entry: Entry, position: int) -> None:
    if len(entry.agreement) != WORD:
        raise BadBatch("an agreement's id has 32 bytes", position)
    if not 0 <= entry.amount <= MAX_AMOUNT:
        raise BadBatch(f"amount {entry.amount}: from 0 to {MAX_AMOUNT} minor units", position)
    if not 0 <= entry.group <= MAX_GROUP_NUMBER:
        raise BadBatch(f"commission group {entry.group}: from 0 to {MAX_GROUP_NUMBER}", position)
    if len(entry.commitment) != COMMITMENT_SIZE:
        raise BadBatch(f"a commitment has {COMMITMENT_SIZE} bytes", position)


def _orders(entries: Sequence[Entry]) -> list[list[int]]:
    return [list(run) for _, run in groupby(range(len(entries)), key=lambda i: entries[i].commitment)]


def _arrange(entries: Sequence[Entry], silence_all: Container[bytes]) -> list[int]:
    # By amount at last: the contract looks for a bracket only when an amount leaves the one before's.
    def place(order: list[int]) -> tuple[bool, bytes, bool, bool, int, int]:
        head = entries[order[0]]
        silent = head.verified or head.agreement in silence_all
        return not silent, head.agreement, not head.verified, len(order) > 1, head.key, head.amount

    return [i for order in sorted(_orders(entries), key=place) for i in order]


def _body(entries: Sequence[Entry]) -> bytes:
    words: list[int] = []
    before = b""
    for (agreement, key, verified), group in groupby(entries, key=lambda e: (e.agreement, e.key, e.verified)):
        amounts = [entry.amount for entry in group]
        same = agreement == before
        flags = VERIFIED * verified | SAME_AGREEMENT * same
        words.append(flags << 248 | key << 240 | len(amounts) << 224 | _word(amounts[:IN_HEAD]))
        if not same:
            words.append(int.from_bytes(agreement, "big"))
        rest = amounts[IN_HEAD:]
        words.extend(_word(rest[i : i + PER_WORD]) for i in range(0, len(rest), PER_WORD))
        before = agreement
    return b"".join(word.to_bytes(WORD, "big") for word in words)


def _word(amounts: Sequence[int]) -> int:
    return sum(amount << 40 * i for i, amount in enumerate(amounts))


def unpack_words(words: Iterable[int], count: int) -> list[int]:
    """`count` 40-bit figures, six a word: the `commissions` of a Recorded event."""
    figures = [word >> 40 * i & MAX_AMOUNT for word in words for i in range(PER_WORD)]
    return figures[:count]


def unpack(body: bytes, commitments: bytes) -> tuple[Entry, ...]:
    """The entries of a batch, in sequence. Raises BadBatch where the contract would."""
    if not body or len(body) % WORD:
        raise BadBatch("a body is one or more 32-byte words", 0)
    words = [int.from_bytes(body[i : i + WORD], "big") for i in range(0, len(body), WORD)]
    read: list[tuple[bytes, int, bool, int]] = []
    agreement = b""
    at = 0
    while at < len(words):
        head, at = words[at], at + 1
        flags, key, count = head >> 248, head >> 240 & 255, head >> 224 & 65535
        if flags > 3 or key > 127 or count == 0 or head >> 200 & 0xFFFFFF or (flags & SAME_AGREEMENT and not read):
            raise BadBatch("a group's head has unknown bits, no entries, or no agreement", len(read))
        if len(read) + count > MAX_ENTRIES:
            raise BadBatch(f"more than {MAX_ENTRIES} entries")
        if not flags & SAME_AGREEMENT:
            if at == len(words):
                raise BadBatch("the body ends before the agreement", len(read))
            agreement, at = words[at].to_bytes(WORD, "big"), at + 1
        further = -(-max(0, count - IN_HEAD) // PER_WORD)
        if at + further > len(words):
            raise BadBatch("the body ends before the amounts do", len(read))
        tail = [head & (1 << 200) - 1, *words[at : at + further]]
        at += further
        amounts = _amounts(tail, count, len(read))
        read.extend((agreement, key, bool(flags & VERIFIED), amount) for amount in amounts)
    if len(commitments) != len(read) * COMMITMENT_SIZE:
        raise BadBatch(f"{len(read)} entries need {len(read) * COMMITMENT_SIZE} bytes of commitments")
    entries = tuple(
        Entry(
            agreement=agreement,
            action=ACTIONS[key >> 6],
            group=key & MAX_GROUP_NUMBER,
            verified=verified,
            amount=amount,
            commitment=commitments[i * COMMITMENT_SIZE : (i + 1) * COMMITMENT_SIZE],
        )
        for i, (agreement, key, verified, amount) in enumerate(read)
    )
    if _body(entries) != body:
        raise BadBatch("neighbours of one agreement, action, group and verified bit stand under one head")
    return entries


def _amounts(words: Sequence[int], count: int, first: int) -> list[int]:
    amounts: list[int] = []
    for word in words:
        room = PER_WORD if amounts else IN_HEAD
        taken = min(room, count - len(amounts))
        if word >> 40 * taken:
            raise BadBatch("bits are set behind the last amount of a word", first + len(amounts) + taken - 1)
        amounts.extend(word >> 40 * i & MAX_AMOUNT for i in range(taken))
    return amounts
