"""The filter: what was measured counts for the model that it was measured with, and for its draft model."""
import json

import pytest

from ansible_collections.protocol_omni.bunker.plugins.filter import tune_service
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import fingerprint, topology

CPUS = topology.parse(json.dumps({"cpus": [{"cpu": number, "core": number, "socket": 0, "node": 0, "l1d:l1i:l2:l3": "%d:%d:%d:0" % ((number,) * 3),
                                            "online": True} for number in range(2)]}))
SERVICE = {"name": "executor", "threads": "auto", "cpuset": "auto", "batch": "auto", "speculation": "auto", "device": "cpu", "draft_model": "small"}
LARGE, SMALL, OTHER = ({"name": name, "files": [{"name": name + ".gguf", "sha256": letter * 64}]} for name, letter in zip(("large", "small", "other"), "abc"))
SETTINGS = {"threads": 1, "cpuset": "1", "mems": "", "batch": 256, "speculation": "draft"}
SPECULATIONS = {"draft": {"needs": "draft_model", "arguments": ["--spec-type", "draft-simple"]}}
HOST = fingerprint.host("EPYC", CPUS)


def tune(measured_with, draft):
    """What the service would run with that drafts with one model, after a measurement with others."""
    files = [entry for model in measured_with for entry in model["files"]]
    measured = {"host": HOST, "image": "sha256:1", "services": {"executor": {"model": fingerprint.model_hash(files), "settings": SETTINGS, "evidence": "fast"}}}
    return tune_service.FilterModule().filters()["tune_service"](
        dict(SERVICE, draft_model=draft), ["executor"], {"fingerprint": HOST, "cpus": CPUS, "measured": measured}, "sha256:1", LARGE, SPECULATIONS,
        [LARGE, SMALL, OTHER])


def test_what_was_measured_with_its_draft_model_is_taken():
    found = tune([LARGE, SMALL], "small")
    assert (found["origin"], found["batch"]) == ("measured", 256)
    assert found["arguments"] == ["--spec-type", "draft-simple", "--spec-draft-model", "/draft/small.gguf"]


@pytest.mark.parametrize("measured_with, draft", [([LARGE, SMALL], "other"), ([LARGE, SMALL], ""), ([LARGE], "small")],
                         ids=["another draft model", "none any more", "none before"])
def test_what_was_measured_with_another_draft_model_is_stale(measured_with, draft):
    found = tune(measured_with, draft)
    assert found["origin"] == "rule" and "what was measured is stale: the model was" in found["evidence"]
