"""The catalogue among which a draft chooses, and the cards that it knows without a driver."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils import host_survey, inventory_rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.inventory_draft import cards, draft
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import candidates

LOADED = candidates.load("https://hub.example")


def test_every_candidate_is_a_model_that_validation_takes():
    assert list(inventory_rules.check_models([draft.model_entry(candidate) for candidate in LOADED])) == []
    assert all(set(candidate["roles"]) <= {"oracle", "executor"} and candidate["roles"] for candidate in LOADED)


def test_worse_ones_stand_first():
    sizes = [candidate["gigabytes"] for candidate in LOADED]
    assert sizes == sorted(sizes) and len(sizes) == 8


def test_a_file_is_in_the_folder_of_its_repository():
    entry = LOADED[-1]["files"][0]
    assert entry["source"]["url"] == ("https://hub.example/unsloth/DeepSeek-V3-0324-GGUF/resolve/main/Q3_K_M/DeepSeek-V3-0324-Q3_K_M-00001-of-00007.gguf")
    assert entry["sha256"] == "REPLACE: curl -sL %s | grep oid" % entry["source"]["url"].replace("/resolve/", "/raw/")


def test_the_shipped_model_has_its_hash():
    assert LOADED[0]["files"][0]["sha256"].startswith("b179c952") and LOADED[0]["files"][0]["size"] == 98362432


def test_each_known_card_is_of_a_chip_that_the_survey_knows():
    assert {device for device in cards.KNOWN if host_survey.chip_of(device) == (None, None)} == set()
    assert len(cards.KNOWN) == 16


def test_an_unknown_card_without_a_driver_has_no_memory_that_anybody_knows():
    gpu = {"uuid": None, "name": None, "family": "Blackwell", "capability": "12.0", "memory": None, "pci": "0000:01:00.0", "pci_device": "2f04",
           "unreadable": {}, "mig": None}
    found, left = cards.usable({"gpus": [gpu], "slices": [], "other_gpus": []})
    assert (found[0].memory, found[0].bandwidth, found[0].architecture, left) == (None, None, "120", [])


def test_a_split_card_without_slices_is_left():
    gpu = {"uuid": "GPU-M", "name": "NVIDIA H200", "family": "Hopper", "capability": "9.0", "memory": 1, "pci": "0000:01:00.0", "pci_device": "2335",
           "unreadable": {}, "mig": True}
    found, left = cards.usable({"gpus": [gpu], "slices": [], "other_gpus": []})
    assert found == [] and "it is split (MIG) and has no slice" in left[0]


def test_whole_cards_come_before_slices():
    whole = {"uuid": "GPU-W", "name": "NVIDIA H200", "family": "Hopper", "capability": "9.0", "memory": 2, "pci": "0000:02:00.0", "pci_device": "2335",
             "unreadable": {}, "mig": False}
    split = dict(whole, uuid="GPU-M", mig=True, pci="0000:01:00.0")
    part = {"uuid": "MIG-1", "card": "GPU-M", "profile": "1g.18gb", "memory": 9, "room": "r"}
    found, left = cards.usable({"gpus": [split, whole], "slices": [part], "other_gpus": []})
    assert [card.name for card in found] == ["GPU-W"] and left == ["1g.18gb of NVIDIA H200: a service has one slice alone, or whole cards"]
