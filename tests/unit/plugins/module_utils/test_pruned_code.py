"""What a pruned library lacks, on libraries that are written here and that prune-device-code emptied, rightly and by a wrong list."""
import json
import subprocess
import sys

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils import pruned_code, removable_device_code
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.file_trees import FolderTree

from support import ROOT
from support.fatbins import CUBIN, FAMILY, LTO, ONLY, PTX, container, cubin, entry, library, zstd

PROGRAM = ROOT / "roles" / "golden_image" / "files" / "prune-device-code"
TEXT = b".version 8.0\n.target sm_75\n.visible .entry answer() { ret; }\n" * 9
# As the two of CUDA 13 are: machine code for cards of several kinds, PTX for old and for new ones, and cubins in frames of their own.
CUBLAS = library(container(entry(CUBIN, 75, 0, cubin(75)), entry(CUBIN, 90, 0, cubin(90))),
                 container(entry(CUBIN, 120, 0, cubin(120)), entry(PTX, 120, 0, TEXT)))
CUBLAS_LT = library(zstd(cubin(90)), zstd(cubin(100)), zstd(cubin(90) + b"another"), container(
    entry(CUBIN, 90, ONLY, cubin(90)), entry(CUBIN, 120, FAMILY, cubin(120), packed=False), entry(PTX, 75, 0, TEXT), entry(LTO, 90, 0, b"LTO-IR " * 40)))


@pytest.fixture(name="image")
def _image(tmp_path):
    """A folder that looks like an image whose libraries are whole."""
    (tmp_path / "opt" / "llama").mkdir(parents=True)
    (tmp_path / "opt" / "llama" / "libcublas.so.13").write_bytes(CUBLAS)
    (tmp_path / "opt" / "llama" / "libcublasLt.so.13").write_bytes(CUBLAS_LT)
    (tmp_path / "opt" / "llama" / "libcudart.so.13").write_bytes(b"not looked at")
    return tmp_path


def pruned(image, names):
    """Has the build's own program empty some architectures; what is seen of the image then."""
    folder = image / "opt" / "llama"
    done = subprocess.run([sys.executable, str(PROGRAM), ",".join(names), str(folder / "libcublas.so.13"), str(folder / "libcublasLt.so.13")],
                          capture_output=True, text=True, check=True)
    (folder / "pruned.jsonl").write_text(done.stdout, encoding="utf-8")
    return seen(image)


def seen(image):
    return pruned_code.of_tree(FolderTree([str(image)]))


@pytest.mark.parametrize("cards", [["9.0"], ["12.0"], ["7.5"], ["9.0", "12.0"], ["10.3"]])
def test_of_libraries_that_were_pruned_for_their_cards_nothing_is_missing(image, cards):
    found = pruned(image, removable_device_code.names(cards))
    assert [library["file"] for library in found["libraries"]] == ["libcublas.so.13", "libcublasLt.so.13"]
    assert sum(sum(library["emptied"].values()) for library in found["libraries"]) > 0
    assert pruned_code.missing(found, cards) == []


def test_what_is_there_and_what_is_gone_is_told_by_target(image):
    first, second = pruned(image, removable_device_code.names(["9.0"]))["libraries"]
    assert ({name: row[0] for name, row in first["there"].items()}, first["emptied"]) == ({"sm_90": 1}, {"compute_120": 1, "sm_120": 1, "sm_75": 1})
    assert {name: row[0] for name, row in second["there"].items()} == {"compute_75": 1, "lto_90": 1, "sm_90a": 1} and second["emptied"] == {"sm_120f": 1}
    assert {sm: row[0] for sm, row in second["frames"].items()} == {"90": 2}
    assert second["frames"]["90"][1] == len(zstd(cubin(90))) + len(zstd(cubin(90) + b"another")) and first["unread"] == second["unread"] == []


@pytest.mark.parametrize("too_much, said", [
    ("sm_90", "libcublas.so.13: 1 of sm_90 emptied"), ("sm_90a", "libcublasLt.so.13: 1 of sm_90a emptied"),
    ("compute_75", "libcublasLt.so.13: 1 of compute_75 emptied"), ("lto_90", "libcublasLt.so.13: 1 of lto_90 emptied")],
    ids=["machine code", "for this card alone", "PTX of an older card", "LTO-IR"])
def test_a_wrong_list_is_caught(image, too_much, said):
    assert said in pruned_code.missing(pruned(image, [*removable_device_code.names(["9.0"]), too_much]), ["9.0"])


def test_a_card_of_the_host_that_the_inventory_does_not_name_is_missed(image):
    found = pruned(image, removable_device_code.names(["9.0"]))
    assert pruned_code.missing(found, ["9.0", "12.0"]) == [
        "libcublas.so.13: 1 of compute_120 emptied", "libcublas.so.13: 1 of sm_120 emptied", "libcublasLt.so.13: 1 of sm_120f emptied"]
    assert pruned_code.missing(found, ["7.5", "9.0"]) == ["libcublas.so.13: 1 of sm_75 emptied"]


def test_cubins_that_left_no_header_behind_are_missed_by_their_number(image):
    found = pruned(image, ["sm_100", "sm_100a", "sm_100f"])
    assert pruned_code.missing(found, ["9.0"]) == []
    assert pruned_code.missing(found, ["10.0"]) == ["libcublasLt.so.13: frames of sm_100 are 0 of 1, before it was pruned"]


def changed(image, name, old, new):
    path = image / "opt" / "llama" / name
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def test_the_manifest_alone_is_not_believed(image):
    found = pruned(image, ["sm_75"])
    assert pruned_code.missing(found, ["9.0"]) == []
    whole = entry(CUBIN, 90, 0, cubin(90))
    changed(image, "libcublas.so.13", whole, whole[:64] + bytes(len(whole) - 64))
    assert pruned_code.missing(seen(image), ["9.0"]) == ["libcublas.so.13: 1 of sm_90 emptied"]


def test_code_that_is_another_than_it_was_is_seen(image):
    pruned(image, ["sm_75"])
    whole = entry(CUBIN, 90, 0, cubin(90))
    changed(image, "libcublas.so.13", whole, whole[:-16] + bytes(16))  # cut off in its middle: the entry is not empty
    assert pruned_code.missing(seen(image), ["9.0"]) == ["libcublas.so.13: sm_90 are 1 of 1, others than before"]


def test_a_library_that_is_gone_or_that_the_manifest_does_not_know_proves_nothing(image):
    found = pruned(image, ["sm_75"])
    (image / "opt" / "llama" / "pruned.jsonl").write_text("", encoding="utf-8")
    assert pruned_code.missing(seen(image), ["9.0"]) == [
        "%s: pruned.jsonl does not say what it held" % name for name in ("libcublas.so.13", "libcublasLt.so.13")]
    (image / "opt" / "llama" / "pruned.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found["manifest"]), encoding="utf-8")
    (image / "opt" / "llama" / "libcublas.so.13").unlink()
    assert pruned_code.missing(seen(image), ["9.0"]) == ["libcublas.so.13: not in the image"]
    (image / "opt" / "llama" / "libcublasLt.so.13").unlink()
    assert pruned_code.missing({"libraries": [], "manifest": []}, ["9.0"]) == ["no libcublas.so.* or libcublasLt.so.* in /opt/llama"]


@pytest.mark.parametrize("row", [
    {"before": {"sm_90": 5}}, {"before": {"sm_90": None}}, {"before": {"sm_90": []}}, {"before": {"sm_90": ["1", "2", "3"]}}, {"before": []},
    {"frames_before": {"90": 7}}, {"frames_before": None}])
def test_a_manifest_in_another_shape_does_not_say_what_a_library_held(image, row):
    found = pruned(image, ["sm_75"])
    found["manifest"][0].update(row)
    assert pruned_code.missing(found, ["9.0"]) == ["libcublas.so.13: pruned.jsonl does not say what it held"]


@pytest.mark.parametrize("row", [{"file": ["libcublas.so.13"]}, {"file": None}, {}])
def test_a_line_of_the_manifest_that_names_no_file_is_none(image, row):
    found = pruned(image, ["sm_75"])
    found["manifest"].append(row)
    assert pruned_code.missing(found, ["9.0"]) == []


def test_a_library_that_cannot_be_read_whole_is_said_to_be_so(image):
    pruned(image, ["sm_75"])
    path = image / "opt" / "llama" / "libcublas.so.13"
    path.write_bytes(path.read_bytes()[:700])
    said = pruned_code.missing(seen(image), ["9.0"])
    assert said and all(text.startswith("libcublas.so.13: ") for text in said) and "byte" in said[0]
    path.write_bytes(b"no library at all")
    assert pruned_code.missing(seen(image), ["9.0"]) == ["libcublas.so.13: it is no ELF file"]


def test_a_kind_of_entry_that_nobody_knows_is_missed_too(image):
    unknown = entry(64, 75, 0, TEXT, packed=False)
    (image / "opt" / "llama" / "libcublas.so.13").write_bytes(library(container(unknown[:64] + bytes(len(unknown) - 64), entry(CUBIN, 90, 0, cubin(90)))))
    assert "libcublas.so.13: 1 of kind64_75 emptied" in pruned_code.missing(seen(image), ["9.0"])


@pytest.mark.parametrize("target, card, might", [
    ("sm_80", "8.9", True), ("sm_90", "8.9", False), ("sm_90a", "9.0", True), ("sm_120f", "12.1", True), ("compute_75", "12.0", True),
    ("compute_120", "9.0", False), ("lto_90", "12.0", True), ("kind64_90", "9.0", True), ("sm_80", "8.7", True), ("sm_²", "9.0", True)])
def test_what_a_card_might_run(target, card, might):
    assert pruned_code.might_run(target, [card]) is might
