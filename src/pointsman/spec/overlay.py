"""`--overlay prod.yaml`: a second document over the first. Maps are merged by key, the rest is replaced."""

from __future__ import annotations

from pointsman.spec.node import Node

__all__ = ["merge"]


def merge(under: Node, over: Node) -> Node:
    """The merged tree; every node keeps the file and place it came from, and neither tree is changed."""
    if under.shape != "map" or over.shape != "map":
        return over
    merged = Node(under.file, under.start, under.end, "map", under.style)
    merged.members = dict(under.members)
    merged.keys = dict(under.keys)
    for name, member in over.members.items():
        mine = under.members.get(name)
        merged.members[name] = member if mine is None else merge(mine, member)
        if mine is None or member.shape == "scalar" or mine.shape != member.shape:
            merged.keys[name] = over.keys[name]
    return merged
