"""Our reading of compiled samples, entry by entry against cuobjdump's."""
import pathlib
import subprocess
import sys

import cuobjdump as reference
import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import device_code, fatbin, verdict
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.byte_source import ByteSource

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import samples  # noqa: E402

RECIPES = samples.recipes()
# cuobjdump reads no text, and sees neither targets nor versions of the entries in what is no fatbin.
WITHOUT_DUMP = [sample for sample in RECIPES if sample.name.endswith((".cubin", ".ptx"))]


def read(path):
    with open(path, "rb") as stream:
        return device_code.read_device_code(ByteSource.of_file(stream.fileno()), str(path))


def ours(path):
    """(kind, sm, suffix, version or None, compressed), in the file's order."""
    entries = [entry for found in read(path).found for entry in found.module.entries]
    return [(entry.kind, entry.sm, entry.suffix, entry.isa, bool(entry.compression)) for entry in entries]


def targets(path, kind):
    return ["sm_%d%s" % entry[1:3] for entry in ours(path) if entry[0] == kind]


def test_there_are_enough_samples():
    assert len(RECIPES) >= 60


@pytest.mark.parametrize("sample", [sample for sample in RECIPES if sample not in WITHOUT_DUMP], ids=lambda sample: sample.name)
def test_entries_equal_the_full_dump(sample, sample_folder, cuobjdump):
    expected = [(kind, sm, suffix, version if kind == "ptx" else None, compressed)
                for kind, sm, suffix, version, compressed in reference.dump(cuobjdump, sample_folder / sample.name)]
    assert ours(sample_folder / sample.name) == expected
    assert read(sample_folder / sample.name).problems == []


@pytest.mark.parametrize("sample", [sample for sample in RECIPES if not sample.name.endswith(".ptx")], ids=lambda sample: sample.name)
def test_targets_equal_the_lists(sample, sample_folder, cuobjdump):
    cubins, ptx = reference.listed(cuobjdump, sample_folder / sample.name)
    assert [target.rstrip("f") for target in targets(sample_folder / sample.name, "cubin")] == cubins
    assert targets(sample_folder / sample.name, "ptx") == ptx


def test_ptx_text(sample_folder):
    found, = read(sample_folder / "compute_90.ptx").found
    entry, = found.module.entries
    assert (entry.kind, entry.sm, entry.suffix, entry.isa, entry.kernels) == ("ptx", 90, "", (9, 0), True)


@pytest.mark.parametrize("target", ["sm_90", "sm_90a", "sm_100f", "sm_120", "sm_120a", "sm_120f"])
def test_a_bare_cubin_names_its_family(target, sample_folder):
    assert targets(sample_folder / (target + ".cubin"), "cubin") == [target]


@pytest.mark.parametrize("name, kernels", [
    ("sass_90.o", [True]), ("ptx_90.o", [True]), ("device_only.o", [False, False]), ("empty.so", [False] * 3), ("empty_size.so", [False] * 3),
    ("lto.o", [None]), ("compress_size.so", [False, False, False, True, True, True, True]),
])
def test_stubs_and_empty_ptx_are_told_from_kernels(name, kernels, sample_folder):
    assert [entry.kernels for found in read(sample_folder / name).found for entry in found.module.entries] == kernels


@pytest.mark.parametrize("name, capability, driver, expected", [
    ("sass_90.o", 90, (13, 0), "native"), ("sass_90.o", 120, (13, 0), "none"),
    ("ptx_90.o", 120, (13, 0), "jit"), ("ptx_90.o", 120, (12, 9), "ptx_too_new"),
    ("ptx_90.o", 120, None, "unknown"), ("sass_120f.o", 121, None, "native"), ("sass_120a.o", 121, None, "none"), ("sass_87.o", 89, None, "unknown"),
    ("relocatable", 100, (13, 0), "jit"), ("relocatable", 80, (13, 0), "none"),
    ("relocatable_ptx", 90, (13, 0), "jit"), ("relocatable_ptx", 75, (13, 0), "none"),
    ("relocatable", 90, (13, 0), "native"), ("lto.o", 90, (13, 0), "none"), ("only_80", 90, (13, 0), None), ("empty.so", 120, (13, 0), None),
])
def test_verdicts_of_files(name, capability, driver, expected, sample_folder):
    judged = verdict.judge_file(read(sample_folder / name), capability, driver)
    assert judged["verdict"] == expected, judged
    assert judged["reason"].endswith(".")


def test_code_outside_the_usual_sections_is_found(sample_folder, tmp_path):
    """cuFFT keeps containers in .data: an object whose .data is a fatbin, made with the assembler."""
    assembly = tmp_path / "data.s"
    assembly.write_text('.data\n.balign 8\n.incbin "%s"\n.section .rodata\n.balign 8\n.incbin "%s"\n'
                        % (sample_folder / "mixed.fatbin", sample_folder / "sm_90a.cubin"))
    subprocess.run(["gcc", "-shared", "-nostdlib", str(assembly), "-o", str(tmp_path / "data.so")], check=True)
    found = {(found.section, fatbin.architecture(entry)) for found in read(tmp_path / "data.so").found for entry in found.module.entries}
    assert found == {(".rodata", "sm_90a"), (".data", "sm_75"), (".data", "sm_90"), (".data", "sm_120a"), (".data", "compute_120")}
