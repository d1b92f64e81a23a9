"""Validation leaves the spec as it is: specs are cached, and another validation in the same process reads them again."""
import copy

from ansible_collections.protocol_omni.bunker.plugins.module_utils import argument_specs

SPEC = {"models": {"type": "list", "elements": "dict", "default": [{"name": "small"}], "options": {
    "name": {"type": "str", "required": True}, "size": {"type": "int", "default": 0}}}}


def test_nested_defaults_are_filled_in_and_the_spec_stays():
    spec = copy.deepcopy(SPEC)
    values, errors = argument_specs.validate(spec, {})
    assert (values, errors) == ({"models": [{"name": "small", "size": 0}]}, [])
    assert spec == SPEC


def test_ansibles_own_containers_are_read_and_not_copied():
    """A lazy container holds the templar, which holds all variables and loaders: a copy of it took time and said that a loader is deprecated."""
    class Lazy(dict):
        def __deepcopy__(self, memo):
            raise AssertionError("copied")

    class LazyList(list):
        def __deepcopy__(self, memo):
            raise AssertionError("copied")

    found, errors = argument_specs.validate({"x": {"type": "list", "elements": "dict", "options": {"a": {"type": "int"}, "b": {"type": "raw"}}}},
                                            {"x": LazyList([Lazy(a="1", b=Lazy(c=LazyList([1])))])})
    assert errors == [] and found == {"x": [{"a": 1, "b": {"c": [1]}}]}
