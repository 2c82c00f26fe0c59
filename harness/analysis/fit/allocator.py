"""ggml's graph allocator, played through: how large a compute buffer becomes, and how much of it is touched.

A tensor takes the best fitting hole; it is freed after its last use; some operations write over their input. The order
and the rules are those of `ggml-alloc.c` (b11312) for one backend, so the size is that which the log prints.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ALIGNMENT = 32
"""Of ggml's CPU backend. GPUs align to 128 or 256 bytes, which matters little for tensors of this size."""

_ENDLESS = 1 << 62


@dataclass(slots=True, kw_only=True)
class Node:
    """One tensor of a graph.

    Attributes:
        size: bytes that are reserved for it.
        used: bytes of it that are written in a run, at most `size`.
        inputs: the tensors that it is computed from, by their place in the graph. Weights are left out.
        over: whether it may be written over an input of the same layout.
        view_of: the tensor whose memory it shows; None for one with memory of its own.
        same_layout: of a view: whether it has the layout of what it shows.
        is_input: filled before the graph is computed. is_output: read afterwards, never freed.
    """

    size: int
    used: int
    inputs: tuple[int, ...] = ()
    over: bool = False
    view_of: int | None = None
    same_layout: bool = True
    is_input: bool = False
    is_output: bool = False


@dataclass(slots=True)
class Graph:
    """The tensors of a graph in the order in which they are computed."""

    nodes: list[Node] = field(default_factory=list)

    def put(self, size: int, *inputs: int, over: bool = False, used: int | None = None) -> int:
        """A tensor with memory of its own; returns its place."""
        return self._add(Node(size=size, used=size if used is None else used, inputs=inputs, over=over))

    def given(self, size: int, *, used: int | None = None) -> int:
        """An input of the graph."""
        return self._add(Node(size=size, used=size if used is None else used, is_input=True))

    def view(self, of: int, *, same_layout: bool = True) -> int:
        """Another look at a tensor."""
        root = self.nodes[of].view_of
        source = self.nodes[of]
        node = Node(size=source.size, used=source.used, inputs=(of,), view_of=of if root is None else root)
        node.same_layout = same_layout and source.same_layout
        return self._add(node)

    def write(self, *inputs: int) -> int:
        """Something that is written elsewhere: into the KV cache."""
        return self._add(Node(size=0, used=0, inputs=inputs))

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """What a graph takes: `size_bytes` reserved, of which `touched_bytes` are ever written."""

    size_bytes: int
    touched_bytes: int


def allocate(graph: Graph) -> Allocated:
    """Play the allocator through."""
    return _Allocation(graph).run()


class _Allocation:
    def __init__(self, graph: Graph) -> None:
        self.nodes = graph.nodes
        self.children = [0] * len(self.nodes)
        self.views = [0] * len(self.nodes)
        self.place: list[int | None] = [None] * len(self.nodes)
        self.free: list[list[int]] = [[0, _ENDLESS]]
        self.top = 0
        self.touched: list[tuple[int, int]] = []

    def run(self) -> Allocated:
        for node in self.nodes:
            if node.view_of is not None:
                self.views[node.view_of] += 1
            for source in node.inputs:
                self.children[source] += 1
        for index, node in enumerate(self.nodes):
            if node.is_input:
                self._take(index, node)
        for index, node in enumerate(self.nodes):
            if node.view_of is None and self.place[index] is None and node.size:
                self._allocate(index, node)
            for source in node.inputs:
                self._release(source)
        return Allocated(size_bytes=self.top, touched_bytes=_covered(self.touched))

    def _allocate(self, index: int, node: Node) -> None:
        if node.over:
            for source in node.inputs:
                root = self._written_over(node, source)
                if root is not None:
                    self.place[index] = self.place[root]
                    self.place[root] = None
                    self._touch(index, node)
                    return
        self._take(index, node)

    def _written_over(self, node: Node, source: int) -> int | None:
        """The tensor whose memory a node can take over from an input."""
        parent = self.nodes[source]
        if parent.size != node.size or not parent.same_layout or self.children[source] != 1 or self.views[source]:
            return None
        root = source if parent.view_of is None else parent.view_of
        if self.nodes[root].is_output or self.place[root] is None:
            return None
        alone = parent.view_of is None or (self.views[root] == 1 and self.children[root] == 0)
        return root if alone else None

    def _take(self, index: int, node: Node) -> None:
        size = _aligned(node.size)
        fitting = [hole for hole in self.free[:-1] if hole[1] >= size]
        hole = min(reversed(fitting), key=lambda h: h[1]) if fitting else self.free[-1]
        self.place[index] = hole[0]
        hole[0] += size
        hole[1] -= size
        if hole[1] == 0:
            self.free.remove(hole)
        self.top = max(self.top, hole[0])
        self._touch(index, node)

    def _touch(self, index: int, node: Node) -> None:
        begin = self.place[index]
        if begin is not None and node.used:
            self.touched.append((begin, begin + node.used))

    def _release(self, source: int) -> None:
        self.children[source] -= 1
        if self.children[source] or self.views[source]:
            return
        node = self.nodes[source]
        if node.view_of is not None:
            self.views[node.view_of] -= 1
            if self.views[node.view_of] == 0 and self.children[node.view_of] == 0:
                self._free(node.view_of)
        else:
            self._free(source)

    def _free(self, index: int) -> None:
        place, node = self.place[index], self.nodes[index]
        if place is None or node.is_output:
            return
        self.place[index] = None
        self.free.append([place, _aligned(node.size)])
        self.free.sort()
        joined = [self.free[0]]
        for hole in self.free[1:]:
            if joined[-1][0] + joined[-1][1] == hole[0]:
                joined[-1][1] += hole[1]
            else:
                joined.append(hole)
        self.free = joined


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _covered(parts: list[tuple[int, int]]) -> int:
    """How many bytes lie in any of the parts."""
    total, reached = 0, 0
    for begin, end in sorted(set(parts)):
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total
