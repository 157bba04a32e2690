"""Merkle trees as in RFC 6962, section 2.1: a leaf is never taken for a node, nor a node for a leaf."""

import hashlib
from collections.abc import Sequence
from typing import Final

_HEX_DIGITS: Final = 64


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 of 0x00 and the data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node: SHA-256 of 0x01 and the hashes of its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of leaf hashes; of none, the hash of the empty string."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = [*paired, level[-1]] if len(level) % 2 else paired
    return level[0]


def inclusion_paths(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return, for each leaf, the hashes that lead from it to the root (RFC 6962, section 2.1.1)."""
    paths: list[list[bytes]] = [[] for _ in leaves]
    level = list(leaves)
    groups = [[index] for index in range(len(leaves))]
    while len(level) > 1:
        for left in range(0, len(level) - 1, 2):
            for index in groups[left]:
                paths[index].append(level[left + 1])
            for index in groups[left + 1]:
                paths[index].append(level[left])
        odd = len(level) % 2
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        merged = [groups[i] + groups[i + 1] for i in range(0, len(groups) - 1, 2)]
        level = [*paired, level[-1]] if odd else paired
        groups = [*merged, groups[-1]] if odd else merged
    return paths


class KnownPaths:
    """Checks the paths of one tree's leaves, and hashes each node once however many leaves there are.

    Args:
        size: Leaves in the tree.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._root: bytes | None = None
        self._known: dict[tuple[int, int], tuple[bytes, list[str]]] = {}

    def root(self, leaf: bytes, index: int, path: list[str]) -> bytes | None:
        """Return the root that a leaf and its path lead to (RFC 9162, section 2.1.3.2).

        Args:
            leaf: The leaf's hash.
            index: Its place, from 0.
            path: From the leaf up, in hex.

        Returns:
            None where the path does not fit a tree of that size.
        """
        climbed: list[tuple[tuple[int, int], bytes, int]] = []
        place, last, current = index, self._size - 1, leaf
        if not 0 <= index <= last:
            return None
        for step, text in enumerate(path):
            known = self._known.get((place, last))
            if known is not None and known[0] == current and known[1] == path[step:]:
                self._learn(climbed, path)
                return self._root
            sibling = _hash_of(text)
            if sibling is None or last == 0:
                return None
            climbed.append(((place, last), current, step))
            if place % 2 or place == last:
                current = node_hash(sibling, current)
                while place % 2 == 0 and place:
                    place, last = place >> 1, last >> 1
            else:
                current = node_hash(current, sibling)
            place, last = place >> 1, last >> 1
        if last:
            return None
        if self._root is None:
            self._root = current
        if current == self._root:
            self._learn(climbed, path)
        return current

    def _learn(self, climbed: list[tuple[tuple[int, int], bytes, int]], path: list[str]) -> None:
        """Keep the nodes that were passed and their siblings, all of which lead to the root."""
        for (place, last), value, step in climbed:
            self._known[place, last] = (value, path[step:])
            if place % 2 or place != last:
                self._known[place ^ 1, last] = (bytes.fromhex(path[step]), [value.hex(), *path[step + 1 :]])


def _hash_of(text: object) -> bytes | None:
    """Read a hash in the one way in which it is written."""
    if not isinstance(text, str) or len(text) != _HEX_DIGITS:
        return None
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return None
    return value if value.hex() == text else None
