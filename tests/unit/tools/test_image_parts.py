"""The table of an image's parts, of a small archive that is written here as docker save writes it."""
import io
import json
import random
import sys
import tarfile
import zlib

import pytest

from support import ROOT
from support.fatbins import CUBIN, container, cubin, entry, library

sys.path.insert(0, str(ROOT / "tools"))
import image_parts  # noqa: E402

CUBLAS = library(container(*(entry(CUBIN, sm, 0, cubin(sm) + random.Random(sm).randbytes(20000)) for sm in (80, 90))))
LAYERS = [{"usr/bin/bash": b"shell" * 4000, "usr/lib/libc.so": b"c" * 900},
          {"usr/share/protocol_omni/inputs.lock": b"aa  base/debian\n" * 9},
          {"opt/llama/libcublas.so.13": CUBLAS, "opt/llama/libggml-cuda.so": b"kernels" * 99, "opt/llama/libggml-cpu-zen4.so": b"avx" * 99,
           "opt/llama/llama-server": b"server" * 99}]


def packed(files):
    """A tar archive of files, name to content."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


@pytest.fixture(name="archive")
def _archive(tmp_path):
    layers = {"blobs/sha256/%d" % number: packed(files) for number, files in enumerate(LAYERS)}
    manifest = json.dumps([{"Config": "c", "RepoTags": ["a:b"], "Layers": list(layers)}]).encode()
    (tmp_path / "image.tar").write_bytes(packed({**layers, "manifest.json": manifest}))
    return tmp_path / "image.tar"


def test_each_file_belongs_to_one_part_and_each_part_is_packed_as_a_layer(archive):
    found = image_parts.measured(archive, [], True)
    assert list(found) == ["parts"] and list(found["parts"]) == [
        "cuBLAS", "libggml-cuda", "CPU variants", "llama.cpp's other files", "packages and lists", "the base", "all"]
    rows = found["parts"]
    assert rows["the base"]["bytes"] == len(packed(LAYERS[0]))
    library_alone = packed({"opt/llama/libcublas.so.13": CUBLAS})
    assert rows["cuBLAS"]["bytes"] == len(library_alone)
    packer = zlib.compressobj(6)
    assert rows["cuBLAS"]["gzip -6"] == len(packer.compress(library_alone) + packer.flush())
    assert rows["all"] == {column: sum(row[column] for part, row in rows.items() if part != "all") for column in ("bytes", "zstd -3", "gzip -6")}


def test_zstd_counts_what_its_frame_has(archive):
    rows = image_parts.measured(archive, [], False)["parts"]
    assert list(rows["the base"]) == ["bytes", "zstd -3", "zstd -19", "gzip -6"]
    assert 0 < rows["cuBLAS"]["zstd -19"] <= rows["cuBLAS"]["zstd -3"] < rows["cuBLAS"]["bytes"]


def test_pruned_for_a_card_only_cublas_shrinks_and_the_archive_stays(archive):
    before = archive.read_bytes()
    found = image_parts.measured(archive, ["9.0"], True)
    rows = found["parts"]
    assert archive.read_bytes() == before and found["missing"] == []
    assert [(row["file"], row["emptied"], row["left"]) for row in found["pruned"]] == [("libcublas.so.13", 1, ["sm_90"])]
    assert rows["cuBLAS, pruned"]["bytes"] == rows["cuBLAS"]["bytes"] and rows["cuBLAS, pruned"]["zstd -3"] < 0.7 * rows["cuBLAS"]["zstd -3"]
    assert rows["all"]["zstd -3"] - rows["all, pruned"]["zstd -3"] == rows["cuBLAS"]["zstd -3"] - rows["cuBLAS, pruned"]["zstd -3"]
    assert rows["all"]["bytes"] == sum(row["bytes"] for part, row in rows.items() if "pruned" not in part and part != "all")


def test_an_archive_that_is_none_is_named(tmp_path, monkeypatch):
    (tmp_path / "image.tar").write_bytes(b"no archive")
    monkeypatch.setattr(sys, "argv", ["image_parts", str(tmp_path / "image.tar")])
    with pytest.raises(SystemExit, match="is not read: .*docker save wrote"):
        image_parts.main()


def of_layers(folder, *layers):
    """An archive of docker save with these layers, each a dict of name to content."""
    manifest = json.dumps([{"Layers": ["l%d" % number for number in range(len(layers))]}]).encode()
    (folder / "image.tar").write_bytes(packed({"manifest.json": manifest, **{"l%d" % number: packed(files) for number, files in enumerate(layers)}}))
    return folder / "image.tar"


@pytest.mark.parametrize("manifest", [b"[1]", b'[{"Layers": null}]', b"5", b'[{"Layers": []}]', b'[{"Layers": [7]}]'])
def test_an_archive_with_another_manifest_is_named(tmp_path, monkeypatch, manifest):
    (tmp_path / "image.tar").write_bytes(packed({"manifest.json": manifest}))
    monkeypatch.setattr(sys, "argv", ["image_parts", str(tmp_path / "image.tar")])
    with pytest.raises(SystemExit, match="docker save"):
        image_parts.main()


def test_a_file_of_an_archive_is_written_nowhere_but_into_the_scratch_folder(tmp_path):
    led_out = "opt/llama/libcublas.so.x/" + "../" * 20 + str(tmp_path / "outside").lstrip("/")
    with pytest.raises(ValueError, match="leads out of the image"):
        image_parts.measured(of_layers(tmp_path, {"etc/x": b"1"}, {"opt/llama/libcublas.so.13": CUBLAS, led_out: CUBLAS}), ["9.0"], True)
    assert not (tmp_path / "outside").exists()


def test_names_that_begin_with_a_dot_are_the_same_files(tmp_path):
    found = image_parts.measured(of_layers(tmp_path, {"./etc/x": b"1"}, {"./opt/llama/libcublas.so.13": CUBLAS, "./etc/y": b"2"}), ["9.0"], True)
    assert found["missing"] == [] and list(found["parts"])[:3] == ["cuBLAS", "cuBLAS, pruned", "packages and lists"]


def test_a_library_that_cannot_be_pruned_is_named_with_its_place(tmp_path, monkeypatch):
    archive = of_layers(tmp_path, {"etc/x": b"1"}, {"opt/llama/libcublas.so.13": b"no library"})
    monkeypatch.setattr(sys, "argv", ["image_parts", str(archive), "--cards", "9.0", "--quick"])
    with pytest.raises(SystemExit, match="libcublas.so.13 was not changed: it is no 64-bit ELF file"):
        image_parts.main()


def test_two_images_in_an_archive_are_refused(tmp_path):
    (tmp_path / "image.tar").write_bytes(packed({"manifest.json": json.dumps([{"Layers": []}, {"Layers": []}]).encode()}))
    with pytest.raises(SystemExit, match="holds 2 images"):
        image_parts.measured(tmp_path / "image.tar", [], True)


def test_the_table_is_in_megabytes():
    rows = {"cuBLAS": {"bytes": 593973192, "zstd -3": 402700000}, "all": {"bytes": 600000000, "zstd -3": 403000000}}
    assert [line.split() for line in image_parts.table(rows)] == [["MB", "zstd", "-3"], ["cuBLAS", "594.0", "402.7"], ["all", "600.0", "403.0"]]


def test_the_pages_say_what_was_measured_and_a_pruned_image_is_as_small_as_it_shall_be():
    record = json.loads((ROOT / image_parts.RECORD).read_text(encoding="utf-8"))["images"]["whole, for 9.0"]
    rows, page = record["parts"], (ROOT / "docs" / "supply-chain.md").read_text(encoding="utf-8")
    table = ["| %s | %s |" % (part, " | ".join("%.1f" % (row[column] / 1e6) for column in image_parts.COLUMNS)) for part, row in rows.items()]
    assert "|---|---|---|---|---|\n%s\n\n" % "\n".join(table) in page
    assert "%.0f MB; with cuBLAS pruned for that card %.0f |" % (rows["all"]["zstd -3"] / 1e6, rows["all, pruned"]["zstd -3"] / 1e6) in (
        ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
    assert rows["all, pruned"]["zstd -3"] < 250e6 and record["missing"] == [] and record["cards"] == ["9.0"]
