"""What could not be read is said, and is no proof. Files of the real compiler, damaged or disguised here."""
import io
import pathlib
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import command_line as program
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import readiness
from ansible_collections.protocol_omni.bunker.plugins.modules import cuda_readiness as module

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 62000000\n" % (b"0" * 64)


def report(path, **more):
    return readiness.report(path=str(path), capabilities=[90], remember=False, **more)


def refused(result, *unreadable):
    return module.refusals(result, [90], "native", False, unreadable)


@pytest.fixture
def folder(tmp_path, sample_folder):
    """One good library, and room for others."""
    (tmp_path / "good.so").write_bytes((sample_folder / "two.so").read_bytes())
    found = report(tmp_path)
    assert refused(found) == [] or "sm_" in refused(found)[0]
    (tmp_path / "good.so").write_bytes((sample_folder / "sass_90.o").read_bytes())
    (tmp_path / "good.so").rename(tmp_path / "good.o")
    assert refused(report(tmp_path)) == []
    return tmp_path


def tar(name, data):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def zipped(name, data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize("name, make, words", [
    ("cut.so", lambda good: good[:len(good) // 2], "at byte"),
    ("head.so", lambda good: good[:15], "an ELF header of 15 bytes is cut off"),
    ("empty.so", lambda good: b"", "it is empty"),
    ("pointer.so", lambda good: LFS, "a pointer of Git LFS, not the file itself; fetch it"),
    ("zip.so", lambda good: zipped("x", good), "a zip archive, as a wheel is one; unpack it"),
    ("text.so.1", lambda good: b"this is no library\n", "it is no ELF file"),
    ("cut.a", lambda good: b"!<arch>\n" + b"x" * 40, "a header of the archive is cut off after 40 bytes at byte 8"),
    ("names.a", lambda good: b"!<arch>\n" + b"/77".ljust(48) + b"%-10d`\n" % len(good) + good, "names its title at byte 77"),
    ("other.ptx", lambda good: b"nothing\n", "no .version and .target stand in it"),
])
def test_a_file_that_cannot_be_read_beside_a_good_one_is_said_and_fails_what_is_required(folder, name, make, words):
    (folder / name).write_bytes(make((folder / "good.o").read_bytes()))
    found = report(folder)
    assert any(text.startswith("%s/%s: " % (folder, name)) and words in text for text in found["unread"]), found["problems"]
    assert found["verdicts"]["9.0"]["verdict"] == "native"  # of what could be read
    reason = refused(found)
    assert len(reason) == 1 and name in reason[0] and "what was not is no proof" in reason[0]
    assert refused(found, name) == [] and refused(found, "*/" + name) == [] and refused(found, "other.so") == reason
    assert program.main([str(folder), "--capability", "9.0"]) == 1
    assert program.main([str(folder), "--capability", "9.0", "--unreadable", name]) == 0


@pytest.mark.parametrize("data, words", [
    (zipped("a", b"b"), "a zip archive"), (tar("a", b"b"), "a tar archive"), (LFS, "Git LFS"), (b"\x1f\x8b" + b"\0" * 40, "gzip"),
    (b"\x28\xb5\x2f\xfd" + b"\0" * 40, "zstd"), (b"\xfd7zXZ\0" + b"\0" * 40, "xz"), (b"GGUF" + b"\0" * 40, "a model"), (b"MZ" + b"\0" * 40, "Windows"),
    (b"#!/bin/sh\n", "a script"), (b"hello\n", "no ELF file"), (b"", "empty")])
def test_a_file_that_was_named_and_is_none_is_told_by_its_kind(tmp_path, data, words, capsys):
    (tmp_path / "thing").write_bytes(data)
    found = report(tmp_path / "thing")
    assert len(found["unread"]) == 1 and words in found["unread"][0] and found["files"] == []
    assert program.main([str(tmp_path / "thing"), "--capability", "9.0"]) == 2
    assert words in capsys.readouterr().out


def test_files_in_a_folder_that_nobody_takes_for_device_code_are_no_problem(folder):
    for name, data in (("README.md", b"text"), ("archive.zip", zipped("a", b"b")), ("model.gguf", b"GGUF"), ("__init__.py", b"")):
        (folder / name).write_bytes(data)
    assert report(folder)["problems"] == [] and refused(report(folder)) == []


def test_a_linker_script_in_a_librarys_place_is_no_problem(folder):
    (folder / "libm.so").write_bytes(b"/* GNU ld script\n*/\nGROUP ( /lib/libm.so.6 )\n")
    assert refused(report(folder)) == []


def sections_beyond_the_end(data):
    """The file with a section table that points past its end; its program headers stay as they are."""
    return data[:40] + struct.pack("<Q", len(data) + 4096) + data[48:]


def test_a_library_whose_sections_point_past_its_end_is_read_as_the_loader_reads_it(tmp_path, sample_folder):
    whole = (sample_folder / "two.so").read_bytes()
    (tmp_path / "whole.so").write_bytes(whole)
    (tmp_path / "odd.so").write_bytes(sections_beyond_the_end(whole))
    before, after = report(tmp_path / "whole.so")["files"][0], report(tmp_path / "odd.so")["files"][0]
    assert after["architectures"] == before["architectures"] and after["counts"] == before["counts"] and after["libcuda"] == before["libcuda"]
    found = report(tmp_path / "odd.so")
    assert "its section headers cannot be read" in found["problems"][0] and found["unread"] == []
    import ctypes
    ctypes.CDLL(str(tmp_path / "odd.so"))  # the loader takes it


def test_device_code_beside_machine_code_is_found_without_section_headers(tmp_path, sample_folder):
    """Older linkers lay read-only data into the executable segment."""
    (tmp_path / "f.s").write_text('.section .nv_fatbin,"a"\n.incbin "%s"\n' % (sample_folder / "mixed.fatbin"), encoding="ascii")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wl,-z,noseparate-code", "-o", str(tmp_path / "whole.so"), str(tmp_path / "f.s")], check=True)
    whole = (tmp_path / "whole.so").read_bytes()
    (tmp_path / "odd.so").write_bytes(sections_beyond_the_end(whole))
    (tmp_path / "none.so").write_bytes(whole[:40] + bytes(8) + whole[48:60] + bytes(4) + whole[64:])
    counts = [report(tmp_path / name)["files"][0]["counts"]["modules"] for name in ("whole.so", "odd.so", "none.so")]
    assert counts[0] > 0 and counts == [counts[0]] * 3


def test_members_of_an_archive_with_bsds_names_are_read(tmp_path, sample_folder):
    body, name = (sample_folder / "sass_90.o").read_bytes(), b"a rather long name.o"
    header = b"#1/%-13d" % len(name) + b" " * 32 + b"%-10d`\n" % (len(body) + len(name))
    (tmp_path / "bsd.a").write_bytes(b"!<arch>\n" + header.ljust(60) + name + body)
    (entry,) = report(tmp_path / "bsd.a")["files"]
    assert entry["architectures"] == ["sm_90"] and entry["problems"] == []


@pytest.mark.parametrize("name, data", [
    ("libm.so", b"/* a comment of somebody */\nSEARCH_DIR(/lib)\nAS_NEEDED ( libm.so.6 )\n"),
    ("bit.o", b"BC\xc0\xde" + bytes(40)), ("ld.so.8", b".TH LD.SO 8\n")])
def test_a_sound_folder_is_not_refused_for_what_is_no_device_code(folder, name, data):
    (folder / name).write_bytes(data)
    assert refused(report(folder)) == []


def test_a_folder_that_may_not_be_entered_is_said(folder):
    """Root enters everything, so somebody else looks."""
    (folder / "closed").mkdir()
    (folder / "closed" / "lib.so").write_bytes((folder / "good.o").read_bytes())
    (folder / "closed").chmod(0o000)
    temporary = pathlib.Path(tempfile.gettempdir())
    for path in (folder, *folder.parents):
        if temporary in path.parents:
            path.chmod(path.stat().st_mode | 0o055)
    code = ("import os, sys; sys.path.insert(0, sys.argv[1]); from cuda_readiness import readiness\n"
            "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
            "print(readiness.report(path=sys.argv[2], capabilities=[90], remember=False)['unread'])")
    utils = pathlib.Path(readiness.__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code, str(utils), str(folder)], capture_output=True, text=True, check=False)
    (folder / "closed").chmod(0o755)
    assert "closed: the folder cannot be" in done.stdout, done.stderr


def test_a_file_system_of_the_kernel_is_said_to_be_left_out():
    found = report("/proc/self")
    assert found["files"] == [] and any("left out, a file system of the kernel" in text for text in found["problems"])
