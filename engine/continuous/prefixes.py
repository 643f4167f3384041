"""Which prompts begin alike, so that what they share is computed once. Runs in the worker, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from engine.batching import Index

#: A shared beginning costs a product of its own at every step: one of fewer tokens, or that saves fewer, is none.
LEAST_TOKENS: Final = 16
LEAST_SAVED: Final = 32


@dataclass(frozen=True)
class Common:
    """A beginning that prompts share.

    Args:
        length: its tokens.
        members: positions of the prompts that begin with it.
    """

    length: int
    members: tuple[int, ...]


def common(prompts: Sequence[Index]) -> list[Common]:
    """Beginnings that save many tokens, every prompt in one of them at most, and the last token of none in it.

    Prompts in order of their tokens form a tree whose nodes are runs of neighbours. Of every node, from the leaves on,
    it is decided which of its branches save more by beginnings of their own than by the one that all of it shares.

    Args:
        prompts: int64 [tokens] each; the last token of a prompt is always computed for itself, since it is what the
            first written token is chosen by.
    """
    order = sorted(range(len(prompts)), key=lambda i: prompts[i].astype(">u4").tobytes())
    alike = [_alike(prompts[a], prompts[b]) for a, b in pairwise(order)]
    return [Common(length, tuple(order[i] for i in members)) for length, members in _best(alike)]


def _alike(one: Index, other: Index) -> int:
    """Tokens that two prompts begin with alike, the last of each left out."""
    length = min(len(one), len(other)) - 1
    differ = one[:length] != other[:length]
    return int(differ.argmax()) if differ.any() else max(0, length)


@dataclass
class _Node:
    """A run of neighbours that share ``depth`` tokens.

    Args:
        depth: tokens.
        members: positions of all prompts in it.
        branches: the runs within it that share more, and its other prompts, each alone.
        saved, found: the most tokens that can be saved in it, and the beginnings that save them.
    """

    depth: int
    members: list[int]
    branches: list[_Node]
    saved: int = 0
    found: list[tuple[int, list[int]]] = field(default_factory=list)

    def close(self) -> None:
        """Decides: every branch on its own or under this node's beginning; what is left alone in a branch stays so."""
        joined = [one for one in self.branches if one.saved <= len(one.members) * self.depth]
        apart = [one for one in self.branches if one.saved > len(one.members) * self.depth]
        members = [at for one in joined for at in one.members]
        own = (len(members) - 1) * self.depth
        alone = sum(one.saved for one in joined)
        if self.depth < LEAST_TOKENS or own < max(alone, LEAST_SAVED):
            apart, own, members = self.branches, 0, []
        self.saved = own + sum(one.saved for one in apart)
        self.found = [each for one in apart for each in one.found] + ([(self.depth, members)] if members else [])


def _best(alike: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Beginnings with the positions that share them, of sorted prompts, of which ``alike`` says what neighbours share.

    One pass with a stack of nodes that are still open, each deeper than the one below it, as for the intervals of
    longest common prefixes in a suffix array (Abouelhoda et al., 2004).
    """
    stack = [_Node(0, [], [])]
    for at, depth in enumerate([*alike, 0]):
        leaf = _Node(depth, [at], [])
        while stack[-1].depth > depth:
            node = stack.pop()
            _add(node, leaf)
            node.close()
            leaf = node
        if stack[-1].depth < depth:
            stack.append(_Node(depth, [], []))
        _add(stack[-1], leaf)
    stack[0].close()
    return stack[0].found


def _add(node: _Node, branch: _Node) -> None:
    node.branches.append(branch)
    node.members += branch.members
