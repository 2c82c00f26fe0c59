from harness.flows.progress import _reach, causes
from harness.store.history import History
from harness.values.failure import Failure, Phase, Reason
from harness.values.record import Outcome


def test_a_width_has_two_digits():
    assert _reach(0.0134) == "±1.3 %"
    assert _reach(0.28) == "±28 %"


def test_a_width_beyond_the_value_itself_is_not_counted_out():
    assert _reach(123.68) == "±100 % or more"
    assert _reach(1.0) == "±100 % or more"


def failed(reason, detail, remedy=""):
    return Failure(phase=Phase.PREPARE, reason=reason, detail=detail, remedy=remedy)


def history(**failures):
    made = History()
    for cell, failure in failures.items():
        made.outcomes["key", cell, 0] = Outcome(cell=cell, failure=failure)
    return made


def test_causes_are_told_once_with_their_remedy_and_the_most_frequent_first():
    hang = failed(Reason.HANG, "ended by force")
    card = [failed(Reason.NO_DEVICE, f"no device for {name}", "Install the driver.") for name in ("A", "B")]
    known = history(one=hang, two=card[0], three=card[1], four=card[0], other=hang)
    assert causes(("one", "two", "three", "four", "five"), known) == [
        "  3 cells: no_device: no device for A (and 1 like it)",
        "    -> Install the driver.",
        "  1 cell: hang: ended by force",
    ]


def test_of_many_causes_the_rest_is_counted():
    many = {reason.value: failed(reason, "x", reason.value) for reason in list(Reason)[:6]}
    assert causes(many, history(**many))[-1] == "  and 2 more reasons"


def test_cells_without_a_failure_have_no_cause():
    assert causes(("skipped",), history()) == []
