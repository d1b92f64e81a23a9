"""A command that does not answer is ended and told, as nvidia-smi is on a card that hangs; what it has said by then counts."""
import subprocess
import sys
import time

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands
from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_rules import gpu
from ansible_collections.protocol_omni.bunker.plugins.modules import host_info

ROW = "GPU-1, NVIDIA A, 12.0, 580.95.05, 97887, 97251, 00000000:01:00.0"


class Module:
    """Of Ansible: runs a shell's text in place of the command, as run_command does."""

    def __init__(self, script):
        self.script, self.asked = script, 0

    def get_bin_path(self, name):
        return "/usr/bin/" + name

    def run_command(self, _words, before_communicate_callback=None, **_more):
        self.asked += 1
        with subprocess.Popen(["/bin/sh", "-c", self.script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            if before_communicate_callback:
                before_communicate_callback(process)
            out, error = process.communicate()
        return process.returncode, out, error


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(commands, "LIMITS", {"nvidia-smi": 60})


@pytest.fixture
def shorter(monkeypatch):
    """Long enough for a busy machine to say what is said, and short against what hangs."""
    monkeypatch.setattr(commands, "LIMITS", {"nvidia-smi": 3})
    monkeypatch.setattr(commands, "LONGEST", 3)


@pytest.mark.usefixtures("shorter")
def test_what_hangs_is_ended_and_named():
    began = time.monotonic()
    assert commands.answer(Module("echo said; exec sleep 120"), "nvidia-smi", "-L") == (124, "said\n", "nvidia-smi has not answered within 3 s")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("script, ended", [("echo said", (0, "said\n", "")), ("echo no >&2; exit 3", (3, "", "no\n")), ("kill -9 $$", (-9, "", ""))])
def test_what_answers_is_handed_on(script, ended):
    assert commands.answer(Module(script), "nvidia-smi", "-L") == ended
    assert commands.answer(Module(script), "ss", "-H") == ended


@pytest.mark.usefixtures("shorter")
def test_a_driver_that_hangs_is_asked_once_and_the_cards_that_it_has_told_count():
    module = Module("echo '%s'; exec sleep 120" % ROW)
    reader = host_info.Reader(module)
    cards = reader.gpus([])
    assert [card["uuid"] for card in cards] == ["GPU-1"] and reader.said == "nvidia-smi has not answered within 3 s"
    assert reader.slices(cards) == [] and reader.fabric([], cards)["states"] == {}
    assert module.asked == 3  # nvidia-smi once; nv-fabricmanager and systemctl are other programs


@pytest.mark.usefixtures("shorter")
def test_a_driver_that_says_nothing_at_all_is_no_missing_nvidia_smi():
    reader = host_info.Reader(Module("exec sleep 120"))
    card = {"address": "0000:01:00.0", "vendor": "0x10de\n", "device": "0x2bb1\n", "class": "0x030200\n", "driver": "nvidia"}
    host = {"gpus": reader.gpus([card]), "kernel": {"nvidia": "580.95.05"}, "nvidia_smi": reader.said, "slices": []}
    (finding,) = gpu.gpu_exists({"bunker_services": [{"name": "oracle", "device": "gpu", "gpus": ["GPU-1"]}]}, host)
    assert "has not answered within" in finding.found and "Install" not in finding.remedy and "dmesg" in finding.remedy


def test_programs_of_the_administrator_are_found_whoever_became_root(tmp_path, monkeypatch):
    """su without a login keeps the user's path, which has no folder with nft or ldconfig; so do programs that a command calls itself."""
    (tmp_path / "nft").write_text("#!/bin/sh\necho a table\n", encoding="ascii")
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setattr(commands, "FOLDERS", (str(tmp_path),), raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "argv", ["module"])
    with patch_module_args({}):
        module = AnsibleModule(argument_spec={})
    assert commands.answer(module, "nft", "list") == (0, "a table\n", "")
    assert commands.answer(module, "sh", "-c", "exec nft list", LC_ALL="C.UTF-8") == (0, "a table\n", "")
    assert commands.answer(module, "no-such-command")[0] == 127
