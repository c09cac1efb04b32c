"""Levels of a graph without circles: how many steps a node is from the first ones, by the longest way."""

from collections.abc import Sequence

from jobs.pictures.picture import Edge


def list_children(count: int, edges: Sequence[Edge]) -> list[list[int]]:
    """Return the children of each of `count` nodes."""
    children: list[list[int]] = [[] for _ in range(count)]
    for parent, child in edges:
        children[parent].append(child)
    return children


def sort_topologically(count: int, children: Sequence[Sequence[int]]) -> list[int]:
    """Return the nodes so that parents come before their children; those of a circle come last, in their own order."""
    missing = [0] * count
    for of_one in children:
        for child in of_one:
            missing[child] += 1
    ready = [node for node in range(count) if not missing[node]]
    for node in ready:  # which grows
        for child in children[node]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    return ready if len(ready) == count else [*ready, *(node for node in range(count) if missing[node] > 0)]


def compute_levels(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return the level of each of `count` nodes: 0 without parents, else one more than that of its last parent."""
    children = list_children(count, edges)
    levels, done = [0] * count, [False] * count
    for node in sort_topologically(count, children):
        done[node] = True
        below = levels[node] + 1
        for child in children[node]:
            if below > levels[child] and not done[child]:
                levels[child] = below
    return levels
