"""A key of an inventory without a value is named by its path, whatever variable it stands in."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import empty_values


@pytest.mark.parametrize("value, paths", [
    ({"oracle": None}, ["gateway_fallbacks.oracle"]), (None, ["gateway_fallbacks"]), ([None, 1], ["gateway_fallbacks.0"]),
    ([{"name": "oracle", "expected": {"memory": None}}], ["gateway_fallbacks.oracle.expected.memory"]), ([{"name": None}], ["gateway_fallbacks.0.name"]),
    ({"a": {"b": None, "c": None}}, ["gateway_fallbacks.a.b", "gateway_fallbacks.a.c"]), ({"a": "", "b": 0, "c": [], "d": False}, [])])
def test_each_is_named(value, paths):
    assert [problem.value for problem in empty_values.check("gateway_fallbacks", value)] == ["%s: null" % path for path in paths]


def test_what_to_do_is_said():
    (problem,) = empty_values.check("bunker_services", {"oracle": None})
    assert problem.rule == "a key of an inventory has a value" and problem.remedy == "Write one behind it, or leave the key out: then the default holds."


@pytest.mark.parametrize("value, word", [({"oracle": {"model": "x"}}, "a mapping"), ("oracle", "a text"), (7, "a number")])
def test_services_that_are_no_list_are_told_how_one_is_written(value, word):
    (problem,) = empty_values.no_list_of_services(value)
    assert problem.value == "bunker_services: %s" % word and problem.remedy == "Write a list, each entry begun with - name: NAME."
    assert list(empty_values.no_list_of_services([{"name": "oracle"}])) == []
    (problem,) = empty_values.no_list_of_services(["oracle"])
    assert problem.value == "bunker_services, number 1: a text"
