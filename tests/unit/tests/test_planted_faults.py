"""The sample of planted faults fits the tree: each can be planted, and the tests that should catch it are there."""
import pathlib

import pytest
import yaml

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

ROOT = pathlib.Path(__file__).resolve().parents[3]
FAULTS = yaml.safe_load((ROOT / "tests/planted_faults/faults.yml").read_text(encoding="utf-8"))


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len({fault["id"] for fault in FAULTS}) == len(FAULTS) >= 30


def test_every_role_has_one():
    assert {fault["file"].split("/")[1] for fault in FAULTS if fault["file"].startswith("roles/")} == set(collection_roles.role_names())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault["id"])
def test_it_can_be_planted_and_is_explained(fault):
    assert set(fault) == {"id", "file", "find", "replace", "why", "caught_by"}
    assert (ROOT / fault["file"]).read_text(encoding="utf-8").count(fault["find"]) == 1
    assert fault["replace"] != fault["find"] and fault["why"].endswith(".")


@pytest.mark.parametrize("path", sorted({path for fault in FAULTS for path in fault["caught_by"]}))
def test_what_should_catch_it_is_there(path):
    file, _colons, name = path.partition("::")
    assert (ROOT / file).exists()
    assert not name or "def %s(" % name.partition("[")[0] in (ROOT / file).read_text(encoding="utf-8")
