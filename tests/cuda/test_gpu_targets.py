"""The table of GPU targets, held to what NVIDIA's compilers do: the pinned one, and the newest that the package index has."""
import re
import subprocess
import sys

import pytest
import toolkit
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.targets import TARGETS

# The names of all targets stand as strings in ptxas; its help names no suffixes.
NAME = re.compile(rb"(?<![A-Za-z0-9_])sm_(\d{2,3})([af]?)\0")
PTX = ".version %d.%d\n.target sm_%d%s\n.address_size 64\n.visible .entry empty() { ret; }\n"


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    """The folder of the newest toolkit's compiler. Not pinned, on purpose: a target that is new must be noticed."""
    folder = tmp_path_factory.mktemp("newest")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:", "--target", str(folder),
                    "nvidia-cuda-nvcc"], check=True)
    program, = folder.glob("nvidia/cu*/bin/nvcc")
    for each in program.parent.iterdir():
        each.chmod(0o755)
    return program.parent


def compiled_for(programs):
    """What a compiler says that it compiles machine code for, plain: set of int."""
    listed = subprocess.run([str(programs / "nvcc"), "--list-gpu-code"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {int(word[3:]) for word in listed.split()}


def release(programs):
    """(major, minor) of a compiler's toolkit."""
    told = subprocess.run([str(programs / "nvcc"), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return tuple(map(int, re.search(r"release (\d+)\.(\d+)", told).groups()))


def assembles(programs, folder, source, target):
    """Whether ptxas makes machine code for a target of PTX for another one."""
    sm, suffix = source
    major, minor = release(programs)
    path = folder / ("%d%s.ptx" % source)
    path.write_text(PTX % (major - 4, minor, sm, suffix), encoding="utf-8")
    done = subprocess.run([str(programs / "ptxas"), "-arch=sm_%d%s" % target, str(path), "-o", str(folder / "out.cubin")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode == 0


def lacking(programs, table):
    """What a compiler knows and a table lacks: names of targets."""
    plain = compiled_for(programs)
    named = {(int(sm), suffix.decode()) for sm, suffix in NAME.findall((programs / "ptxas").read_bytes()) if int(sm) in plain}
    assert {sm for sm, _suffix in named} == plain, "the names within ptxas are no longer found where this test looks"
    return sorted("sm_%d%s" % (sm, suffix) for sm, suffix in named if sm not in table or suffix not in table[sm].suffixes)


def test_the_newest_compiler_has_no_target_that_the_table_lacks(newest):
    assert lacking(newest, TARGETS) == []
    assert lacking(newest, {sm: row for sm, row in TARGETS.items() if sm != 120}) == ["sm_120", "sm_120a", "sm_120f"]


def test_the_golden_images_compiler_has_no_target_that_the_table_lacks():
    assert lacking(toolkit.provide() / "bin", TARGETS) == []


def test_each_target_is_as_old_as_the_table_says(newest):
    """Those of the two compilers at hand: what the older one lacks came after it."""
    older, newer = toolkit.provide() / "bin", newest
    assert compiled_for(newer) > {100, 120}
    for sm in compiled_for(newer):
        assert (TARGETS[sm].cuda > release(older)) == (sm not in compiled_for(older)), sm
        assert TARGETS[sm].cuda <= release(newer), sm


def test_the_families_are_those_that_ptxas_knows(newest, tmp_path):
    known = compiled_for(newest)
    families = [sm for sm in sorted(known) if "f" in TARGETS[sm].suffixes]
    assert {100, 120} <= set(families)
    for sm in families:
        members = {card for card in known if "a" in TARGETS[card].suffixes and assembles(newest, tmp_path, (sm, "f"), (card, "a"))}
        assert members == TARGETS[sm].family & known, sm
