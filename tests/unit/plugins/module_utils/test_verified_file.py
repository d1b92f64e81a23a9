"""A file is hashed once, and again when it changed."""
import hashlib
import os

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
