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
