"""What is changed before a second build: one file of an archive gets a line, and nothing else differs."""
import io
import runpy
import tarfile

import pytest
from support import ROOT

BENCH = runpy.run_path(str(ROOT / "tests/bench/second_build.py"))
FILES = {"llama/ggml/src/ggml-cuda/acc.cu": b"one", "llama/ggml/src/ggml-cuda/acc.cuh": b"two", "llama/README": b""}


@pytest.fixture(name="archive")
def _archive(tmp_path):
    path = tmp_path / "source.tar.gz"
    with tarfile.open(path, "w:gz") as new:
        folder = tarfile.TarInfo("llama")
        folder.type = tarfile.DIRTYPE
        new.addfile(folder)
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1700000000
            new.addfile(member, io.BytesIO(content))
    return path


def read(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as found:
        return {member.name: (member.mtime, found.extractfile(member).read() if member.isfile() else None) for member in found}


def test_one_file_gets_a_line_and_all_else_stays(archive):
    found = read(BENCH["with_member"](archive, {}, "ggml-cuda/acc.cu"))
    assert found.pop("llama/ggml/src/ggml-cuda/acc.cu") == (1700000000, b"one\nint bunker_second_build = 1;\n")
    assert found == {"llama": (0, None), "llama/ggml/src/ggml-cuda/acc.cuh": (1700000000, b"two"), "llama/README": (1700000000, b"")}


def test_a_file_may_be_added_and_nothing_changed(archive):
    found = read(BENCH["with_member"](archive, {"etc/new": b"new"}, ""))
    assert found["etc/new"] == (0, b"new") and found["llama/ggml/src/ggml-cuda/acc.cu"][1] == b"one" and len(found) == 5


def test_a_file_that_is_not_there_ends_it(archive):
    with pytest.raises(SystemExit, match="0 files of source.tar.gz end with ggml-cuda/gone.cu"):
        BENCH["with_member"](archive, {}, "ggml-cuda/gone.cu")
