"""A file is hashed once, and again when it changed."""
import hashlib
import os
import subprocess
import sys

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import verified_file


def verified(tmp_path, content=b"weights"):
    path = str(tmp_path / "model.gguf")
    with open(path, "wb") as stream:
        stream.write(content)
    sha256 = hashlib.sha256(content).hexdigest()
    verified_file.remember(path, sha256)
    return path, sha256


def test_a_verified_file_is_remembered(tmp_path):
    path, sha256 = verified(tmp_path)
    assert verified_file.sha256_of(path) == sha256
    assert verified_file.remembered(path, sha256)


def test_another_hash_is_not(tmp_path):
    path, _sha256 = verified(tmp_path)
    assert not verified_file.remembered(path, "0" * 64)


def test_content_rewritten_under_its_old_times_is_noticed(tmp_path):
    path, sha256 = verified(tmp_path)
    before = os.stat(path)
    with open(path, "r+b") as stream:
        stream.write(b"WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns
    assert not verified_file.remembered(path, sha256)


def test_a_file_in_its_place_is_noticed(tmp_path):
    path, sha256 = verified(tmp_path)
    other = str(tmp_path / "other")
    with open(other, "wb") as stream:
        stream.write(b"weights")
    os.replace(other, path)
    assert not verified_file.remembered(path, sha256)


def test_a_damaged_record_is_no_record(tmp_path):
    path, sha256 = verified(tmp_path)
    with open(verified_file.record_path(path), "w", encoding="utf-8") as stream:
        stream.write("{")
    assert not verified_file.remembered(path, sha256)


def program(store, *words):
    """The program that the units of the services run."""
    return subprocess.run([sys.executable, verified_file.__file__, str(store), *words], capture_output=True, text=True, check=False)


def test_the_program_lets_a_verified_file_pass(tmp_path):
    path, sha256 = verified(tmp_path)
    assert program(tmp_path, path, sha256).returncode == 0


def replaced(path):
    os.rename(path, path + ".old")
    with open(path, "wb") as stream:
        stream.write(b"weights")


def rewritten(path):
    before = os.stat(path)
    with open(path, "r+b") as stream:
        stream.write(b"WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def linked(path):
    os.rename(path, path + ".old")
    os.symlink(path + ".old", path)


@pytest.mark.parametrize("change, reason", [
    (replaced, "not the file that was verified"), (rewritten, "not the file that was verified"), (os.unlink, "it is not there"), (linked, "by a link"),
    (lambda path: os.unlink(verified_file.record_path(path)), "not the file that was verified"),
])
def test_the_program_refuses_a_file_by_name(tmp_path, change, reason):
    path, sha256 = verified(tmp_path)
    change(path)
    refused = program(tmp_path, path, sha256)
    assert refused.returncode == 1
    assert "%s is not served: " % path in refused.stderr and reason in refused.stderr and "Run site.yml" in refused.stderr


def test_the_program_names_each_of_several_files(tmp_path):
    path, sha256 = verified(tmp_path)
    refused = program(tmp_path, path, sha256, str(tmp_path / "a"), sha256, str(tmp_path / "b"), sha256)
    assert refused.returncode == 1 and refused.stderr.count("is not served") == 2
