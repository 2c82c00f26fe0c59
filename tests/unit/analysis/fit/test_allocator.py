from harness.analysis.fit.allocator import ALIGNMENT, Graph, allocate

KIB = 1024


def test_what_is_freed_is_used_again() -> None:
    graph = Graph()
    first = graph.put(4 * KIB, graph.given(KIB))
    second = graph.put(4 * KIB, first)
    graph.put(4 * KIB, second)
    # The input and the first are free when the third is made.
    assert allocate(graph).size_bytes == 9 * KIB


def test_an_operation_that_may_writes_over_its_only_input() -> None:
    graph = Graph()
    first = graph.put(4 * KIB)
    graph.put(4 * KIB, first, over=True)
    assert allocate(graph).size_bytes == 4 * KIB


def test_an_input_that_is_used_again_is_not_written_over() -> None:
    graph = Graph()
    first = graph.put(4 * KIB)
    second = graph.put(4 * KIB, first, over=True)
    graph.put(4 * KIB, second, first, over=True)
    assert allocate(graph).size_bytes == 8 * KIB


def test_a_view_keeps_what_it_shows() -> None:
    graph = Graph()
    first = graph.put(4 * KIB)
    look = graph.view(first)
    second = graph.put(2 * KIB)
    graph.put(KIB, look, second)
    assert allocate(graph).size_bytes == 7 * KIB


def test_a_look_in_another_layout_is_not_written_over() -> None:
    sizes = []
    for same in (True, False):
        graph = Graph()
        graph.put(4 * KIB, graph.view(graph.put(4 * KIB), same_layout=same), over=True)
        sizes.append(allocate(graph).size_bytes)
    assert sizes == [4 * KIB, 8 * KIB]


def test_the_best_fitting_hole_is_taken() -> None:
    graph = Graph()
    large, small = graph.put(8 * KIB), graph.put(2 * KIB)
    kept = graph.put(KIB)
    graph.write(large)
    graph.write(small)
    graph.put(2 * KIB)
    graph.put(8 * KIB)
    graph.write(kept)
    # Large and small are neighbours, so that their holes are one; nothing grows.
    assert allocate(graph).size_bytes == 11 * KIB


def test_an_output_is_never_freed() -> None:
    graph = Graph()
    first = graph.put(4 * KIB)
    graph.nodes[first].is_output = True
    second = graph.put(4 * KIB, first, over=True)
    graph.put(4 * KIB, second)
    assert allocate(graph).size_bytes == 12 * KIB


def test_sizes_are_aligned_and_only_what_is_used_is_touched() -> None:
    graph = Graph()
    graph.put(1)
    graph.put(10 * KIB, used=3 * KIB)
    found = allocate(graph)
    assert found.size_bytes == ALIGNMENT + 10 * KIB
    assert found.touched_bytes == 1 + 3 * KIB
