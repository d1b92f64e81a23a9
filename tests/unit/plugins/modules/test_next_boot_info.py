"""What is read of the kernels that may boot next, with stand-ins for modinfo, modprobe, dkms and mokutil, and files as boot loaders write them."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, next_boot_survey
from ansible_collections.protocol_omni.bunker.plugins.modules import next_boot_info

OLD, NEW = "6.8.0-45-generic", "6.8.0-50-generic"
KEY = "/var/lib/dkms/mok.pub"


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module with stand-ins (name to what the shell does) and files (path to text), and returns what it printed."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(commands, "FOLDERS", (str(tmp_path / "bin"), "/usr/bin", "/bin"))  # where who became root by su alone finds them

    def run(stand_ins, files=(), **options):
        (tmp_path / "bin").mkdir(exist_ok=True)
        for name in ("modinfo", "modprobe", "dkms", "mokutil"):
            # None of this machine's may answer: 127 is what a shell says of a command that is not there.
            (tmp_path / "bin" / name).write_text("#!/bin/sh\n%s\n" % stand_ins.get(name, "exit 127"), encoding="utf-8")
            (tmp_path / "bin" / name).chmod(0o755)
        there = dict(files)
        monkeypatch.setattr(next_boot_survey, "text", lambda path: there.get(path, ""))
        monkeypatch.setattr(next_boot_survey, "names", lambda folder: sorted(path.rpartition("/")[2] for path in there if path.rpartition("/")[0] == folder))
        with patch_module_args(dict({"kernels": [NEW]}, **options)), pytest.raises(SystemExit):
            next_boot_info.main()
        return json.loads(capsys.readouterr().out)
    return run


def test_each_kernel_is_asked_for_and_one_that_was_chosen_besides(look):
    said = look({"modinfo": 'echo "version: $*"', "dkms": "true"}, {"/etc/default/grub": 'GRUB_DEFAULT="x>x, with Linux %s"\n' % OLD})
    assert said["pinned"] == OLD and said["changed"] is False
    assert said["lines"] == ["pin " + OLD, "kernel " + NEW, "version: -k %s nvidia" % NEW, "kernel " + OLD, "version: -k %s nvidia" % OLD]
    said = look({"modinfo": "true", "dkms": "true"}, {"/etc/default/grub": 'GRUB_DEFAULT="x>x, with Linux %s"\n' % NEW})
    assert said["lines"] == ["pin " + NEW, "kernel " + NEW]


@pytest.mark.parametrize("configuration, modinfo, lines", [
    ("", 'echo "version: $3"', ["version: nvidia"]),
    # Debian's own packages, and NVIDIA's for Debian that are made from them: /etc/nvidia/current-open/nvidia-modprobe.conf
    ("install nvidia modprobe -i nvidia-current-open $CMDLINE_OPTS", 'echo "version: $3"', ["version: nvidia-current-open"]),
    ("", 'test $3 = nvidia-current || { echo "modinfo: ERROR: Module $3 not found." >&2; exit 1; }; echo "version: $3"', ["version: nvidia-current"]),
    ("", 'echo "modinfo: ERROR: Module $3 not found." >&2; exit 1', ["modinfo: ERROR: Module nvidia-current not found."]),
])
def test_the_module_is_asked_for_by_the_names_under_which_modprobe_loads_it(look, configuration, modinfo, lines):
    said = look({"modinfo": modinfo, "modprobe": '[ "$*" = --showconfig ] && echo "%s"' % configuration, "dkms": "true"})
    assert said["lines"] == ["kernel " + NEW] + lines and said["pinned"] == ""


def test_what_is_not_there_is_told(look):
    said = look({"modinfo": "true", "mokutil": 'test "$1" = --test-key && echo "$2 is not enrolled"'}, certificates=[KEY])
    assert said["lines"] == ["kernel " + NEW, "dkms absent", "key %s absent" % KEY]
    said = look({"modinfo": "true", "dkms": "true", "mokutil": 'echo "$2 is already enrolled"; exit 1'}, certificates=[KEY])
    assert said["lines"] == ["kernel " + NEW, "key %s enrolled" % KEY]
    said = look({"modinfo": "true", "dkms": "true", "mokutil": "echo EFI variables are not supported >&2; exit 1"}, certificates=[KEY])
    assert said["lines"] == ["kernel " + NEW]


def test_a_folder_that_cannot_be_read_has_no_names(tmp_path, monkeypatch):
    """An automount of /efi whose device is gone, a vfat with errors."""
    def fails(_folder):
        raise OSError(5, "Input/output error")
    monkeypatch.setattr(next_boot_survey.os, "listdir", fails)
    assert next_boot_survey.names(str(tmp_path)) == []
