"""The Merkle tree that anchors a period's clicks: SHA-256, so that a page can check it with WebCrypto.

Leaves and nodes are hashed under different prefixes (0x00, 0x01), so that a node can never be shown as a leaf. The node
left over in a level of odd length moves up unchanged (RFC 6962's shape), so no leaf stands in the tree twice.
"""

from collections.abc import Sequence
from hashlib import sha256


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _up(level: list[bytes]) -> list[bytes]:
    pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + level[len(level) - len(level) % 2 :]


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of at least one leaf (any bytes)."""
    if not leaves:
        raise ValueError("a tree needs a leaf: anchor nothing for a period without clicks")
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _up(level)
    return level[0]


def proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The sibling hashes from a leaf up to the root, the lowest first."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    level = [leaf_hash(leaf) for leaf in leaves]
    siblings = []
    while len(level) > 1:
        if index ^ 1 < len(level):
            siblings.append(level[index ^ 1])
        level, index = _up(level), index // 2
    return siblings


def verify(root_hash: bytes, leaf: bytes, index: int, count: int, siblings: Sequence[bytes]) -> bool:
    """Whether `leaf` is number `index` (from 0) of the `count` leaves under `root_hash`."""
    if not 0 <= index < count:
        return False
    node, left = leaf_hash(leaf), list(siblings)
    while count > 1:
        if index ^ 1 < count:
            if not left:
                return False
            sibling = left.pop(0)
            node = _node(sibling, node) if index % 2 else _node(node, sibling)
        index, count = index // 2, (count + 1) // 2
    return not left and node == root_hash
