"""What is read of a driver's installation, with stand-ins for ldconfig, dpkg-query and systemctl, and folders of a host's."""
import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.module_utils import commands, driver_survey, next_boot_survey
from ansible_collections.protocol_omni.bunker.plugins.modules import host_driver_info

# As glibc 2.41 prints it, shortened; a library of 32 bits stands before that of 64.
LDCONFIG = """\
312 libs found in cache `/etc/ld.so.cache'
\tlibnvidia-ml.so.1 (libc6) => /usr/lib/i386-linux-gnu/libnvidia-ml.so.1
\tlibnvidia-ml.so.1 (libc6,x86-64) => %s/libnvidia-ml.so.1
\tlibc.so.6 (libc6,x86-64, OS ABI: Linux 3.2.0) => /lib/x86_64-linux-gnu/libc.so.6
"""
DPKG = """\
install\tinstalled\tadduser\t3.134
hold\tinstalled\tlibcuda1\t580.95.05-1
install\tinstalled\tlibnvidia-ml1\t580.95.05-1
install\tinstalled\tnvidia-container-toolkit-base\t1.18.0-1
deinstall\tconfig-files\tnvidia-legacy-580.95.05\t580.95.05-1
hold\thalf-configured\tnvidia-smi\t580.95.05-1
install\tinstalled\tlinux-image-6.12.57+deb13-amd64\t6.12.57-1
install\tinstalled\tpve-kernel-6.8\t6.8.4-2
install\tinstalled\tpython3-debian\t1.0.1
install\tinstalled\tcuda-driver\t1
"""
CDI = """\
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "0"
- name: GPU-5747d1a0-0001-4a5e-8000-000000000000
- name: GPU-5747d1a0-0001-4a5e-8000-000000000000
containerEdits:
  mounts:
  - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05
"""
STAND_INS = {
    "ldconfig": "cat ldconfig", "dpkg-query": 'test "$1" = --show && cat dpkg; exit $(cat dpkg-rc)',
    "systemctl": 'test "$*" = "is-active nvidia-persistenced.service" && cat state; exit 3'}


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; ``run.folder`` is where the stand-ins look and the host's folders are."""
    for name, script in STAND_INS.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text('#!/bin/sh\ncd "%s"\n%s\n' % (tmp_path, script), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))
    for name in ("UNITS", "MODULES", "UPDATES"):
        monkeypatch.setattr(host_driver_info, name, str(tmp_path / name))
    for folder in ("UNITS", "UPDATES", "MODULES/" + os.uname().release, "root/proc"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in {"ldconfig": LDCONFIG % tmp_path, "dpkg": DPKG, "dpkg-rc": "0", "state": "inactive\n", "cdi.yaml": CDI, "root/proc/modules": "",
                       "libnvidia-ml.so.580.95.05": "", "UPDATES/tmp.i": "", "UNITS/nvidia-persistenced.service": ""}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.580.95.05")

    def run(**given):
        parameters = dict({"cdi": str(tmp_path / "cdi.yaml"), "hardware_root": str(tmp_path / "root"), "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            host_driver_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    return run


def test_library_packages_kernel_specification_and_daemon_are_read(look):
    found = look()
    assert not found["changed"] and (found["library"], found["dpkg"]) == ("580.95.05", "")
    assert [package["name"] for package in found["packages"]] == [
        "libcuda1", "libnvidia-ml1", "nvidia-container-toolkit-base", "nvidia-legacy-580.95.05", "nvidia-smi", "linux-image-6.12.57+deb13-amd64",
        "pve-kernel-6.8", "python3-debian"]
    assert found["packages"][0] == {"want": "hold", "status": "installed", "name": "libcuda1", "version": "580.95.05-1"}
    assert (found["held"], found["unheld"]) == (["libcuda1"], ["libnvidia-ml1"]) and found["interrupted"] == ["nvidia-smi is half-configured"]
    assert found["kernel"] == {"modules": True, "headers": False} and found["modules_listed"]
    assert found["cdi"] == ["580.95.05", "GPU-5747d1a0-0001-4a5e-8000-000000000000"]
    assert (found["persistenced"], found["persistence"]) == (True, "inactive")


def test_packages_of_the_inventory_count_too_and_only_by_their_whole_name(look):
    assert "cuda-driver" in [package["name"] for package in look(packages=["cuda-driver"])["packages"]]
    assert "cuda-driver" not in [package["name"] for package in look(packages=["cuda", "cuda.driver"])["packages"]]


def test_what_was_left_half_done_beside_the_driver_counts_too(look):
    with (look.folder / "dpkg").open("a", encoding="utf-8") as stream:
        stream.write("install\thalf-installed\tdkms\t3.2.2-1\tall\ninstall\tunpacked\tgcc-14\t14.2.0\tamd64\ninstall\tinstalled\tbash\t5\tamd64\n"
                     "install\ttriggers-pending\tlibc-bin\t2.41\tamd64\ndeinstall\tconfig-files\texim4\t4\tall\n")
    found = look()
    assert found["interrupted"] == ["nvidia-smi is half-configured", "dkms is half-installed", "gcc-14 is unpacked"]
    assert [package["name"] for package in found["packages"]][-3:] == ["python3-debian", "dkms", "gcc-14"]


def test_what_is_not_there_is_told_as_absent(look):
    for name in ("cdi.yaml", "UNITS/nvidia-persistenced.service", "root/proc/modules", "state", "UPDATES/tmp.i"):
        (look.folder / name).unlink()
    (look.folder / "UPDATES").rmdir()
    (look.folder / "MODULES" / os.uname().release).rmdir()
    (look.folder / "ldconfig").write_text("", encoding="utf-8")
    found = look()
    assert (found["cdi"], found["persistenced"], found["modules_listed"]) == ([], False, False) and "No such file" in found["persistence"]
    assert found["kernel"] == {"modules": False, "headers": False}


def test_the_kernels_headers_are_told(look):
    (look.folder / "MODULES" / os.uname().release / "build").mkdir()
    assert look()["kernel"] == {"modules": True, "headers": True}


@pytest.mark.parametrize("rc, said", [("2", "dpkg-query: exit status 2"), (None, "dpkg-query: ")])
def test_a_dpkg_that_does_not_answer_is_told(look, monkeypatch, rc, said):
    if rc:
        (look.folder / "dpkg-rc").write_text(rc, encoding="utf-8")
    else:
        (look.folder / "bin" / "dpkg-query").unlink()
        monkeypatch.setenv("PATH", str(look.folder / "bin"))
    found = look()
    assert found["dpkg"].startswith(said) and found["packages"] == found["held"] == found["unheld"] == found["interrupted"] == []


def test_before_an_installation_a_dpkg_that_does_not_answer_is_an_error(look):
    assert not look(strict=True).get("failed")
    (look.folder / "dpkg-rc").write_text("2", encoding="utf-8")
    found = look(strict=True)
    assert found["failed"] and found["msg"] == (
        "The packages of this host were not read: dpkg-query: exit status 2. Nothing further is installed. See: dpkg --audit")


def test_libraries_without_a_version_are_none(look):
    (look.folder / "libnvidia-ml.so.1").unlink()
    found = look()
    assert (found["library"], found["held"], found["unheld"]) == ("", [], [])


@pytest.mark.parametrize("path, version", [
    ("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05", "580.95.05"), ("/x/libnvidia-ml.so.570.86", "570.86"), ("/x/libnvidia-ml.so.1", ""), ("", ""),
    ("/x/libnvidia-ml.so.580.95.05.bak", "")])
def test_the_librarys_version_is_its_files(path, version):
    assert driver_survey.library_version(path) == version


def test_where_the_loader_does_not_say_the_library_is_looked_for_at_its_place():
    assert driver_survey.library_path("") == "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
    assert driver_survey.library_path(LDCONFIG % "/opt/nvidia") == "/opt/nvidia/libnvidia-ml.so.1"


@pytest.mark.parametrize("rows, updates, said", [
    ([], ["tmp.i"], []), ([], ["0003"], ["dpkg has unfinished notes (/var/lib/dpkg/updates)"]),
    ([("nvidia-smi", "half-configured"), ("libcuda1", "unpacked"), ("nvidia-persistenced", "installed")], [],
     ["nvidia-smi is half-configured", "libcuda1 is unpacked"]),
    ([("nvidia-kernel-open-dkms", "half-installed"), ("a", "config-files"), ("b", "not-installed")], ["0001"],
     ["nvidia-kernel-open-dkms is half-installed", "dpkg has unfinished notes (/var/lib/dpkg/updates)"])],
    ids=["nothing", "notes alone", "killed while it configured", "killed while it unpacked"])
def test_an_installation_that_was_interrupted_is_told(rows, updates, said):
    assert driver_survey.interrupted([{"name": name, "status": status} for name, status in rows], updates) == said


def test_what_only_looks_like_the_version_is_not_the_drivers_own():
    known = driver_survey.packages("install\tinstalled\tnvidia-a\t580195105-1\nhold\tinstalled\tnvidia-b\t580.95.05-1\n")
    assert driver_survey.own(known, "580.95.05") == (["nvidia-b"], []) and driver_survey.own(known, "") == ([], [])


def test_a_package_of_32_bits_is_another_one_than_the_hosts_own():
    """Desktops have both, for programs of 32 bits. A hold on the name alone is the native package's, and its fellow stayed unheld for good (dpkg(1))."""
    rows = ["hold\tinstalled\tlibnvidia-compute-580\t580.95.05-0ubuntu1\tamd64", "install\tinstalled\tlibnvidia-compute-580\t580.95.05-0ubuntu1\ti386",
            "hold\tinstalled\tnvidia-dkms-580-open\t580.95.05-0ubuntu1\tall", "install\tinstalled\tlibcuda1\t580.95.05-1\ti386"]
    known = driver_survey.packages("".join(row + "\n" for row in rows))
    assert driver_survey.own(known, "580.95.05") == (["libnvidia-compute-580", "nvidia-dkms-580-open"], ["libnvidia-compute-580:i386", "libcuda1:i386"])
    assert "libcuda1" not in [package["name"] for package in known]  # of which the host has none of its own
    assert driver_survey.PACKAGES[-1].strip().endswith("Architecture}\\n")


def test_what_is_built_for_the_kernel_that_boots_next_is_told(look, monkeypatch):
    running = os.uname().release
    monkeypatch.setattr(host_driver_info.os, "uname", lambda: type("Names", (), {"release": "6.12.50+deb13-amd64"}))
    monkeypatch.setattr(commands, "FOLDERS", (str(look.folder / "bin"), "/usr/bin", "/bin"))
    monkeypatch.setattr(next_boot_survey, "text", lambda path: "")
    monkeypatch.setattr(next_boot_survey, "names", lambda folder: [])
    for name, script in {"modinfo": 'echo "version: $*"', "dkms": "true", "modprobe": "true", "mokutil": 'echo "$2 is not enrolled"'}.items():
        (look.folder / "bin" / name).write_text("#!/bin/sh\n%s\n" % script, encoding="utf-8")
        (look.folder / "bin" / name).chmod(0o755)
    (look.folder / "MODULES" / running).rename(look.folder / "MODULES" / "6.12.50+deb13-amd64")
    assert look(certificates=["/mok.pub"])["next_boot"] == [
        "kernel 6.12.57+deb13-amd64", "version: -k 6.12.57+deb13-amd64 nvidia", "key /mok.pub absent"]
    (look.folder / "dpkg").write_text("install\tinstalled\tadduser\t3.134\n", encoding="utf-8")
    assert look()["next_boot"][0] == "kernel 6.12.50+deb13-amd64"
    (look.folder / "MODULES" / "6.12.50+deb13-amd64").rmdir()
    assert look(certificates=["/mok.pub"])["next_boot"] == []
