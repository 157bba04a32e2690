"""Merkle trees as in RFC 6962, section 2.1: a leaf is never taken for a node, nor a node for a leaf."""

import hashlib
from collections.abc import Sequence


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


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a leaf and its path lead to (RFC 9162, section 2.1.3.2).

    Args:
        leaf: The leaf's hash.
        index: Its place, from 0.
        size: Leaves in the tree.
        path: From the leaf up.

    Returns:
        None where the path does not fit a tree of that size.
    """
    if not 0 <= index < size:
        return None
    place, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place % 2 or place == last:
            current = node_hash(sibling, current)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        place, last = place >> 1, last >> 1
    return current if last == 0 else None
