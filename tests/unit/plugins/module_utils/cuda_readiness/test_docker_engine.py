"""Images as archives (any store but overlay2), and what is said where there is no engine."""
import gzip
import io
import json
import tarfile

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import device_code, docker_engine, readiness


def tar(members):
    """A tar archive: path to bytes, to ("link", target) or to ("hard", target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, content in members.items():
            member = tarfile.TarInfo(path)
            if isinstance(content, tuple):
                member.type = tarfile.SYMTYPE if content[0] == "link" else tarfile.LNKTYPE
                member.linkname = content[1]
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def image(tmp_path, *layers):
    names = ["blobs/sha256/%d" % number for number in range(len(layers))]
    path = tmp_path / "image.tar"
    path.write_bytes(tar(dict(zip(names, layers), **{"manifest.json": json.dumps([{"Layers": names}]).encode()})))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_layers_are_merged(tmp_path, pack):
    path = image(tmp_path, pack(tar({"a/one": b"1", "a/two": b"2", "b/three": b"3", "c": b"c", "d/e": b"e"})),
                 pack(tar({"a/.wh.one": b"", "b/.wh..wh..opq": b"", "b/new": b"new", "c": b"changed",
                           "l": ("link", "a/two"), "h": ("hard", "c"), "d": b"a file now"})))
    with open(path, "rb") as stream:
        tree = docker_engine.read_image_archive(stream, str(tmp_path))
    assert [name for name, _node in tree.walk()] == ["/a/two", "/b/new", "/c", "/d", "/h"]
    assert tree.read_text("/l") == "2"
    assert tree.read_text("/h") == tree.read_text("/c") == "changed"
    tree.close()


def test_an_archive_that_was_just_written_is_read_from_its_start_and_offsets_are_those_of_the_file(tmp_path):
    """The engine's answer is copied into a file and read through the same descriptor."""
    text = b"// generated\n.version 8.7\n.target sm_90\n.visible .entry k() { ret; }\0"
    with open(tmp_path / "copy.tar", "w+b") as stream:
        packed = image(tmp_path, tar({"before": b"x" * 5000, "k.ptx": text})).read_bytes()
        stream.write(packed)
        tree = docker_engine.read_image_archive(stream, str(tmp_path))
    with tree.open("/k.ptx") as source:
        found = device_code.read_device_code(source, "k.ptx").found
    assert [(module.module.form, module.module.offset) for module in found] == [("ptx", text.index(b".version"))]
    tree.close()


def test_what_is_no_image_archive_is_named(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar({"something": b"else"}))
    with open(tmp_path / "x.tar", "rb") as stream, pytest.raises(docker_engine.EngineError, match="no manifest.json"):
        docker_engine.read_image_archive(stream, str(tmp_path))


def test_no_engine(tmp_path):
    with pytest.raises(docker_engine.EngineError, match="no Docker engine answers at %s" % tmp_path):
        docker_engine.Engine("unix://%s/none.sock" % tmp_path).image("x")
    with pytest.raises(docker_engine.EngineError, match="is not a Unix socket"):
        docker_engine.Engine("tcp://localhost:2375")


def test_facts_are_remembered_by_image_id(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"files": []}
    assert readiness.remembered(str(tmp_path / "c"), "sha256:1", ["*"], compute) == ({"files": []}, False)
    assert readiness.remembered(str(tmp_path / "c"), "sha256:1", ["*"], compute) == ({"files": []}, True)
    assert readiness.remembered(str(tmp_path / "c"), "sha256:1", ["*.so"], compute)[1] is False
    assert readiness.remembered(str(tmp_path / "c"), "sha256:2", ["*.so"], compute, writable=False)[1] is False
    (tmp_path / "c" / "sha256-1.json").write_text("{half a")
    assert readiness.remembered(str(tmp_path / "c"), "sha256:1", ["*"], compute)[1] is False
    assert len(calls) == 4


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(readiness.TargetError, match="does not exist. Give a file or folder"):
        readiness.report(path=str(tmp_path / "none"))
    with pytest.raises(readiness.TargetError, match="does not lie in root"):
        readiness.report(path="/etc", root=str(tmp_path))
