from harness.flows.progress import _reach


def test_a_width_has_two_digits():
    assert _reach(0.0134) == "±1.3 %"
    assert _reach(0.28) == "±28 %"


def test_a_width_beyond_the_value_itself_is_not_counted_out():
    assert _reach(123.68) == "±100 % or more"
    assert _reach(1.0) == "±100 % or more"
