"""Cards by slot and model become UUIDs once the driver shows them; what is ambiguous stays."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.filter.card_uuids import card_uuids
from ansible_collections.protocol_omni.bunker.plugins.module_utils import card_names

SLOT_1, SLOT_2 = "PCI-0000:01:00.0-2bb1", "PCI-0000:41:00.0-2b85"


def card(pci, device, uuid):
    return {"pci": pci, "pci_device": device, "uuid": uuid}


TWO = [card("0000:01:00.0", "2bb1", "GPU-96"), card("0000:41:00.0", "2b85", "GPU-32")]


@pytest.mark.parametrize(("names", "cards", "expected"), [
    ([SLOT_2, SLOT_1], TWO, ["GPU-32", "GPU-96"]),
    ([SLOT_1], [], [SLOT_1]),
    ([SLOT_1], [card("0000:01:00.0", "2bb1", None)], [SLOT_1]),
    (["GPU-96", SLOT_2], TWO, ["GPU-96", "GPU-32"]),
    # moved to another slot: by model, where there is one alone
    ([SLOT_1], [card("0000:81:00.0", "2bb1", "GPU-96"), TWO[1]], ["GPU-96"]),
    ([SLOT_1], [card("0000:81:00.0", "2bb1", "GPU-A"), card("0000:82:00.0", "2bb1", "GPU-B")], [SLOT_1]),
    # another card in the slot is not taken for it
    ([SLOT_1], [card("0000:01:00.0", "2b85", "GPU-32")], [SLOT_1]),
    # two equal ones are wanted, one has moved: what is left is that one
    (["PCI-0000:01:00.0-2bb1", "PCI-0000:02:00.0-2bb1"], [card("0000:01:00.0", "2bb1", "GPU-A"), card("0000:09:00.0", "2bb1", "GPU-B")], ["GPU-A", "GPU-B"]),
    # both have moved: which is which nobody knows
    (["PCI-0000:01:00.0-2bb1", "PCI-0000:02:00.0-2bb1"], [card("0000:08:00.0", "2bb1", "GPU-A")], ["PCI-0000:01:00.0-2bb1", "PCI-0000:02:00.0-2bb1"]),
])
def test_a_name_becomes_the_uuid_of_its_card_alone(names, cards, expected):
    assert card_names.resolve(names, cards) == expected


def test_the_filter_takes_a_host_that_has_not_been_read():
    assert card_uuids([SLOT_1], {}) == [SLOT_1]
    assert card_uuids([SLOT_1], {"gpus": TWO}) == ["GPU-96"]


def test_a_card_gets_the_name_that_is_resolved():
    assert card_names.of_card(TWO[0]) == SLOT_1


def test_services_without_such_names_are_left():
    services = [{"name": "a", "gpus": [SLOT_1]}, {"name": "b", "gpus": []}]
    found = card_names.resolved_services(services, TWO)
    assert found == [{"name": "a", "gpus": ["GPU-96"]}, {"name": "b", "gpus": []}] and found[1] is services[1]
