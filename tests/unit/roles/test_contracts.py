"""Every role keeps its contract: defaults equal the specs in names, types and values, and variables carry the role's name."""
import re

import pytest
import yaml

from ansible_collections.protocol_omni.bunker.plugins.module_utils import argument_specs
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles, validated_inventory

ROLES = collection_roles.role_names()


def defaults(role):
    return yaml.safe_load((collection_roles.ROLES / role / "defaults" / "main.yml").read_text(encoding="utf-8"))


def test_there_are_roles():
    assert set(ROLES) >= {"preflight", "disk_layout", "container_engine", "golden_image", "networks", "model_store", "inference_service", "gateway",
                          "vram_watch", "observability"}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_equal_the_spec(role):
    options = collection_roles.argument_options(role)
    specified = {name: option["default"] for name, option in options.items() if "default" in option}
    assert defaults(role) == specified
    for name, option in options.items():
        assert ("default" in option) != bool(option.get("required")), name


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_valid_and_of_their_type(role):
    options = {name: option for name, option in collection_roles.argument_options(role).items() if not option.get("required")}
    validated, errors = argument_specs.validate(options, defaults(role))
    assert errors == []
    types = {"str": str, "path": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}
    for name, value in defaults(role).items():
        wanted = types[options[name]["type"]]
        assert isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool), name
        assert validated[name] == value or isinstance(value, (dict, list)), name  # nested defaults are filled in


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_described(role):
    def check(options):
        for name, option in options.items():
            assert option.get("description"), name
            check(option.get("options", {}))
    options = collection_roles.argument_options(role)
    assert options
    check(options)


@pytest.mark.parametrize("role", ROLES)
def test_public_variables_carry_the_roles_name(role):
    prefixes = ("bunker_", "preflight_") if role == "preflight" else role + "_"
    names = list(collection_roles.argument_options(role))
    assert names and [name for name in names if not name.startswith(prefixes)] == []


@pytest.mark.parametrize("role", ROLES)
def test_registered_and_internal_variables_carry_the_roles_name(role):
    tasks = [path.read_text(encoding="utf-8") for path in (collection_roles.ROLES / role / "tasks").glob("*.yml")]
    assert tasks
    registered = {name for text in tasks for name in re.findall(r"(?m)^\s*register: (\S+)", text)}
    assert {name for name in registered if not name.startswith("__%s_" % role)} <= validated_inventory.PUBLISHED_FACTS  # such as bunker_engine
    variables = collection_roles.ROLES / role / "vars" / "main.yml"
    names = list(yaml.safe_load(variables.read_text(encoding="utf-8"))) if variables.exists() else []
    assert [name for name in names if not (name + "_").startswith("_%s_" % role)] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_claim_has_a_sentence_and_a_way_to_observe_it(role):
    catalogue = collection_roles.claim_catalogue(role)
    assert catalogue
    for claim_id, entry in catalogue.items():
        assert set(entry) == {"sentence", "doctrine", "observed_by"}, claim_id
        assert entry["sentence"].endswith("."), claim_id
        assert entry["observed_by"], claim_id
