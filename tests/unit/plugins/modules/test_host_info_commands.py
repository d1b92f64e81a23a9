"""What host_info makes of what commands say; each is a stand-in."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.modules import host_info

LISTING = """GPU 0: NVIDIA RTX PRO 6000 Blackwell Server Edition (UUID: GPU-a)
  MIG 1g.24gb     Device  0: (UUID: MIG-1)
GPU 1: NVIDIA GeForce RTX 5090 (UUID: GPU-b)
"""


class Module:
    """Of Ansible, as far as the reader asks it: answers by the command line's words."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def get_bin_path(self, name):
        return "/usr/bin/" + name if any(line.startswith(name + " ") for line in self.answers) else None

    def run_command(self, words, **_more):
        line = " ".join([words[0].rpartition("/")[2], *words[1:]])
        self.asked.append(line)
        found = next((answer for start, answer in self.answers.items() if line.startswith(start)), None)
        return (0, found, "") if found is not None else (6, "Field is not a valid field to query.\n", "")


def gpus():
    return [{"uuid": "GPU-a"}, {"uuid": "GPU-b"}, {"uuid": None}]


def test_slices_and_what_a_card_needs():
    module = Module({"nvidia-smi --query-gpu=uuid,mig.mode.current": "GPU-a, Enabled\nGPU-b, [N/A]\n", "nvidia-smi -L": LISTING, "nvidia-smi -q -x": "",
                     "nvidia-smi --query-gpu=uuid,gpu_recovery_action": "GPU-a, Reset\nGPU-b, None\n"})
    cards = gpus()
    (part,) = host_info.Reader(module).slices(cards)
    assert (part["uuid"], part["card"], part["memory"]) == ("MIG-1", "GPU-a", 22_800_000_000)
    assert [(card["mig"], card["recovery"]) for card in cards] == [(True, "Reset"), (None, "None"), (None, None)]


def test_a_driver_that_knows_neither_question_says_nothing():
    module, cards = Module({"nvidia-smi -L": LISTING}), gpus()
    assert host_info.Reader(module).slices(cards) == [] and [(card["mig"], card["recovery"]) for card in cards] == [(None, None)] * 3
    assert sum("-q -x" in line for line in module.asked) == 1  # drivers show the recovery action there that do not know it as a field


def test_a_driver_that_shows_the_recovery_action_and_knows_no_such_field():
    module, cards = Module({"nvidia-smi -q -x": "<log><gpu><uuid>GPU-b</uuid><gpu_recovery_action>Reset</gpu_recovery_action></gpu></log>"}), gpus()
    host_info.Reader(module).slices(cards)
    assert [card["recovery"] for card in cards] == [None, "Reset", None]


def test_a_driver_that_answers_is_not_asked_for_all_it_knows():
    module = Module({"nvidia-smi --query-gpu=uuid,gpu_recovery_action": "GPU-a, None\nGPU-b, None\n", "nvidia-smi -L": LISTING})
    cards = gpus()
    host_info.Reader(module).slices(cards)
    assert [card["recovery"] for card in cards] == ["None", "None", None]
    assert not any("-q -x" in line for line in module.asked)  # half a second, for nothing


def test_a_host_without_cards_is_not_asked():
    module = Module({"nvidia-smi -L": LISTING})
    reader = host_info.Reader(module)
    assert reader.slices([]) == [] and reader.fabric([], []) == {"switches": [], "states": {}, "manager": None, "active": False} and module.asked == []


@pytest.mark.parametrize("answers, manager, active", [
    ({"nvidia-smi --query-gpu=uuid,fabric.state": "GPU-a, Completed\n", "nv-fabricmanager --version": "Fabric Manager version is : 580.95.05\n",
      "systemctl is-active": ""}, "580.95.05", True),
    ({"nvidia-smi --query-gpu=uuid,fabric.state": "GPU-a, Completed\n"}, None, False)])
def test_who_manages_the_fabric(answers, manager, active):
    switch = {"address": "0000:07:00.0", "vendor": "0x10de\n", "device": "0x22a3\n", "class": "0x068000\n", "driver": None}
    assert host_info.Reader(Module(answers)).fabric([switch], gpus()) == {
        "switches": ["0000:07:00.0"], "states": {"GPU-a": "Completed"}, "manager": manager, "active": active}


def test_networks_that_were_made_here_are_told_by_the_record(tmp_path):
    listed = '[{"Name": "former", "Driver": "bridge", "Id": "1", "IPAM": {"Config": [{"Subnet": "172.30.0.0/16"}]}}]'
    reader = host_info.Reader(Module({"docker network ls": "1\n", "docker network inspect": listed}))
    (tmp_path / "networks.json").write_text('["former"]', encoding="utf-8")
    said = [reader.docker_networks(path)[0]["made_here"] for path in (str(tmp_path / "networks.json"), str(tmp_path / "absent"), "")]
    assert said == [True, False, False]
