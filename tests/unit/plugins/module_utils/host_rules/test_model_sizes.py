"""How large a model is that is there in part, in a half-fetched file, or as an empty one."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import sizes

SHARDS = ["m-0000%d-of-00003.gguf" % number for number in (1, 2, 3)]
PATHS = ["/s/m/" + name for name in SHARDS]
INVENTORY = {"bunker_services": [{"name": "oracle", "model": "m", "draft_model": ""}], "model_store_catalogue": [], "model_store_path": "/s",
             "model_store_extra_models": [{"name": "m", "files": [{"name": name, "source": {"url": "https://hub.invalid/" + name}} for name in SHARDS]}]}
SAID = {path: {"bytes": 1000, "said": ""} for path in PATHS}


def model(stored, models=None):
    return sizes.models(INVENTORY, {"models": models or {}, "stored": stored, "sources": {path: SAID[path] for path in PATHS if not stored.get(path)}})["m"]


@pytest.mark.parametrize(("stored", "total", "missing"), [
    ({}, 3000, 3000),
    ({PATHS[1]: 900}, 2900, 2000),  # what is there counts as it is
    ({PATHS[0] + ".part": 400}, 3000, 2600),
    ({PATHS[0] + ".part": 4000}, 3000, 2000),  # more than the whole takes room from nobody else's
    ({PATHS[0]: 0}, 3000, 3000),  # an empty file is none
    ({PATHS[0]: 0, PATHS[0] + ".part": 400}, 3000, 2600)])
def test_what_is_there_and_what_is_still_to_come(stored, total, missing):
    found = model(stored)
    assert (found.total, found.missing, found.unknown) == (total, missing, [])


def test_a_model_of_empty_files_alone_has_the_size_that_it_will_have():
    found = model({path: 0 for path in PATHS}, {"m": {"bytes": 0, "projector": 0}})
    assert (found.total, found.missing, found.unknown) == (3000, 3000, [])
