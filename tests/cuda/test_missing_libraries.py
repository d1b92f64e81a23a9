"""A library that needs what is not there does not load, whatever kernels it holds: said before, and seen with the real loader."""
import shutil
import subprocess

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import readiness
from ansible_collections.protocol_omni.bunker.plugins.modules import cuda_readiness as module

LOADER, LIBC = "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"
PROGRAM = """
#include <dlfcn.h>
#include <stdio.h>
int main(void) { if (dlopen("/opt/plugin.so", RTLD_NOW)) { puts("loaded"); return 0; } puts(dlerror()); return 1; }
"""


def compile_(folder, name, text, *words):
    (folder / (name + ".c")).write_text(text, encoding="ascii")
    subprocess.run(["gcc", "-o", str(folder / name), str(folder / (name + ".c")), *words], check=True)
    return folder / name


@pytest.fixture
def root(tmp_path, sample_folder):
    """A root with the real loader, a program that opens /opt/plugin.so, and that plugin: device code for 9.0, needing libnear.so and by it libfar.so."""
    work, top = tmp_path / "work", tmp_path / "root"
    for folder in (work, top / "opt", top / "lib64", top / "lib/x86_64-linux-gnu"):
        folder.mkdir(parents=True)
    shutil.copy(LOADER, top / "lib64")
    shutil.copy(LIBC, top / "lib/x86_64-linux-gnu")
    compile_(work, "libfar.so", "int far(void) { return 1; }", "-shared", "-fPIC", "-Wl,-soname,libfar.so")
    compile_(work, "libnear.so", "int far(void); int near(void) { return far(); }", "-shared", "-fPIC", "-Wl,-soname,libnear.so", "-L%s" % work, "-lfar")
    compile_(work, "plugin.so", "int near(void); int plugin(void) { return near(); }", "-shared", "-fPIC", "-L%s" % work, "-lnear",
             "-Wl,-rpath-link,%s" % work, "-Wl,-rpath,$ORIGIN", "-Wl,--disable-new-dtags")
    shutil.copy(compile_(work, "program", PROGRAM, "-ldl"), top / "opt")
    subprocess.run(["objcopy", "--add-section", ".nv_fatbin=%s" % (sample_folder / "mixed.fatbin"), "--set-section-flags", ".nv_fatbin=alloc,readonly",
                    str(work / "plugin.so"), str(top / "opt" / "plugin.so")], check=True)
    for name in ("libnear.so", "libfar.so"):
        shutil.copy(work / name, top / "opt")
    return top


def looked_at(root, program="/opt/program"):
    found = readiness.report(path=str(root / "opt" / "plugin.so"), root=str(root), program=program, capabilities=[90], remember=False)
    return found, found["verdicts"]["9.0"]


def really(root):
    """What the loader says in that root: "loaded", or why not."""
    return subprocess.run(["chroot", str(root), "/opt/program"], capture_output=True, text=True, check=False).stdout.strip()


def test_where_all_is_there_its_kernels_are_judged(root):
    found, verdict = looked_at(root)
    assert really(root) == "loaded"
    assert verdict["verdict"] == "native" and found["files"][0]["missing"] == []


@pytest.mark.parametrize("gone, asks", [("libnear.so", "/opt/plugin.so"), ("libfar.so", "/opt/libnear.so")], ids=["its own", "of what it needs"])
def test_where_one_is_missing_it_does_not_load_and_is_named_with_who_asks(root, gone, asks):
    (root / "opt" / gone).unlink()
    found, verdict = looked_at(root)
    assert gone in really(root) and "cannot open shared object file" in really(root)
    assert verdict["verdict"] == "does_not_load"
    assert "%s, asked for by %s, is nowhere the loader looks" % (gone, asks) in verdict["reason"]
    assert module.refusals(found, [90], "native", False) == [verdict["reason"]] == module.refusals(found, [90], "jit", False)


def test_one_that_is_no_library_is_missing_too(root):
    (root / "opt" / "libfar.so").write_bytes(b"no library, but a text of more than sixty-four bytes in its place, as it happens")
    found, verdict = looked_at(root)
    assert "invalid ELF header" in really(root)
    assert verdict["verdict"] == "does_not_load" and "libfar.so: invalid ELF header" in verdict["reason"], found


def test_of_a_library_that_nobody_is_known_to_open_nothing_is_said_of_what_it_needs(root):
    """A program may have opened the others before: PyTorch does."""
    (root / "opt" / "libnear.so").unlink()
    assert looked_at(root, program=None)[1]["verdict"] == "native"


def test_what_comes_with_the_hosts_driver_is_not_missing(root, tmp_path):
    work = tmp_path / "work"
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        compile_(work, name, "int of_the_driver_%d(void) { return 1; }" % len(name), "-shared", "-fPIC", "-Wl,-soname,%s" % name)
    compile_(work, "libnear.so", "int near(void) { return 1; }", "-shared", "-fPIC", "-Wl,-soname,libnear.so", "-Wl,--no-as-needed",
             str(work / "libcuda.so.1"), str(work / "libnvidia-ml.so.1"))
    shutil.copy(work / "libnear.so", root / "opt")
    assert looked_at(root)[1]["verdict"] == "native"


def test_a_library_that_lies_elsewhere_in_there_may_have_been_opened_before(root):
    """An extension of PyTorch needs libtorch.so, which Python opened before, and has no way to it by itself."""
    (root / "usr/torch").mkdir(parents=True)
    (root / "opt" / "libnear.so").rename(root / "usr/torch/libnear.so")
    found = readiness.report(root=str(root), program="/opt/program", patterns=["plugin.so"], capabilities=[90], remember=False)
    assert found["verdicts"]["9.0"]["verdict"] == "native"
    assert any("libnear.so, asked for by /opt/plugin.so, is nowhere the loader looks, but it lies in there" in text for text in found["problems"])


def test_of_programs_for_other_processors_nothing_is_said(root):
    data = bytearray((root / "opt" / "program").read_bytes())
    data[18:20] = (183).to_bytes(2, "little")  # EM_AARCH64
    (root / "opt" / "program").write_bytes(data)
    (root / "opt" / "libnear.so").unlink()
    assert looked_at(root)[1]["verdict"] == "native"


def test_of_more_files_than_are_followed_it_is_said_how_many(root):
    """Each is loaded once for both questions; where it becomes too many, neither is left out in silence."""
    for number in range(70):
        shutil.copy(root / "opt" / "plugin.so", root / "opt" / ("plugin%02d.so" % number))
    (root / "opt" / "libnear.so").unlink()
    found = readiness.report(path=str(root / "opt"), root=str(root), program="/opt/program", capabilities=[90], remember=False)
    assert sum(1 for entry in found["files"] if entry["missing"]) == 64
    assert [text for text in found["problems"] if "what the loader finds" in text] == [
        "what the loader finds was looked up for 64 files; for 7 more it was not"]
