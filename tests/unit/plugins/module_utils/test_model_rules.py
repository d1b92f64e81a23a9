"""Models of a store, whole and broken in every way that a store has been seen broken. The files are written here byte by byte."""
import hashlib
import struct

import pytest
from test_gguf import ARCHITECTURE, REFUSED, header, tensor, text

from ansible_collections.protocol_omni.bunker.plugins.module_utils import model_rules, verified_file

NAMES = ["tiny-0000%d-of-00003.gguf" % number for number in (1, 2, 3)]


def number(key, value):
    return text(key) + struct.pack("<IH", 2, value)


def shard(position, count=3, tensors=1, promised=3):
    split = [number("split.no", position), number("split.count", count), number("split.tensors.count", promised)]
    data = header(*([ARCHITECTURE] if position == 0 else []), *split, tensors=tensors) + b"".join(tensor("t%d" % index, 0, 0, 8) for index in range(tensors))
    return data + b"\0" * (-len(data) % 32 + 32)


class Store:
    """A store with one model of three shards, each verified."""

    def __init__(self, path):
        self.path, self.folder = path / "store", path / "store" / "tiny"
        self.folder.mkdir(parents=True)
        self.files = []
        for position, name in enumerate(NAMES):
            self.put(name, shard(position))

    def put(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        verified_file.remember(str(path), sha256)
        self.files = [entry for entry in self.files if entry["name"] != name] + [{"name": name, "sha256": sha256}]
        self.files.sort(key=lambda entry: entry["name"])

    def problems(self, architecture="deepseek2"):
        return model_rules.judge(str(self.path), {"name": "tiny", "architecture": architecture, "files": self.files})["problems"]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_a_sound_model_has_no_problem(store):
    assert store.problems() == []
    judged = model_rules.judge(str(store.path), {"name": "tiny", "architecture": "deepseek2", "files": store.files})
    assert judged["bytes"] == sum((store.folder / name).stat().st_size for name in NAMES)


def refused(problems, name, words):
    assert len(problems) == 1, problems
    assert name in problems[0] and words in problems[0] and "Model tiny" in problems[0]


def test_a_missing_shard_is_named(store):
    (store.folder / NAMES[1]).unlink()
    refused(store.problems(), NAMES[1], "it is not there")


def test_a_shard_that_the_catalogue_forgot_is_told_from_the_others(store):
    store.files.pop()
    assert all("one of 3 shards, the catalogue names 2 files" in problem for problem in store.problems())
    assert len(store.problems()) == 2


def test_swapped_shards_are_named(store):
    store.put(NAMES[1], shard(2))
    store.put(NAMES[2], shard(1))
    first, second = store.problems()
    assert NAMES[1] in first and "it is shard 3, the catalogue has it as number 2 of 3" in first
    assert NAMES[2] in second and "it is shard 2, the catalogue has it as number 3 of 3" in second


def test_a_question_at_the_end_is_not_followed_by_a_full_stop(store):
    store.put(NAMES[1], shard(2))
    store.put(NAMES[2], shard(1))
    assert [problem.rpartition(". ")[2] for problem in store.problems()] == ["Put the shards in order; two may have been swapped."] * 2


def test_swapped_shards_are_told_while_others_are_still_to_be_fetched(store):
    """As soon as the second is there, which is the third; the first is not yet."""
    (store.folder / NAMES[0]).unlink()
    (store.folder / NAMES[2]).unlink()
    model = {"name": "tiny", "architecture": "deepseek2", "files": store.files}
    assert model_rules.judge(str(store.path), model, present_only=True)["problems"] == []
    store.put(NAMES[1], shard(2))
    model["files"] = store.files
    refused(model_rules.judge(str(store.path), model, present_only=True)["problems"], NAMES[1], "it is shard 3, the catalogue has it as number 2 of 3")


def test_a_shard_of_another_model_is_noticed_by_the_number_of_tensors(store):
    store.put(NAMES[2], shard(2, tensors=2))
    refused(store.problems(), "Model tiny", "hold 4 tensors, the first one promises 3")


def test_a_file_that_is_no_gguf_is_named(store):
    store.put(NAMES[0], b"<!doctype html><title>404</title>")
    refused(store.problems(), NAMES[0], "it does not begin with GGUF")


@pytest.mark.parametrize("left, words", [(40, "ends inside its header"), (-1, "it was cut off")])
def test_a_file_that_was_cut_off_is_named_although_its_hash_is_right(store, left, words):
    store.put(NAMES[2], shard(2)[:left])
    refused(store.problems(), NAMES[2], words)


def test_another_architecture_is_named(store):
    """A field deployment called V3.2 ran V3-0324."""
    refused(store.problems(architecture="deepseek32"), NAMES[0], "general.architecture is deepseek2, the catalogue says deepseek32")


def test_a_link_that_leaves_the_store_is_named(store, tmp_path):
    outside = tmp_path / "elsewhere.gguf"
    (store.folder / NAMES[0]).rename(outside)
    (store.folder / NAMES[0]).symlink_to(outside)
    refused(store.problems(), NAMES[0], "it leads to %s by a link" % outside)


def test_a_folder_that_is_a_link_is_named_for_each_of_its_files(store, tmp_path):
    store.folder.rename(tmp_path / "elsewhere")
    store.folder.symlink_to(tmp_path / "elsewhere")
    assert [problem.count("by a link") for problem in store.problems()] == [1, 1, 1]


def test_the_store_itself_may_be_a_link(store, tmp_path):
    (tmp_path / "models").symlink_to(store.path)
    assert model_rules.judge(str(tmp_path / "models"), {"name": "tiny", "architecture": "deepseek2", "files": store.files})["problems"] == []


def test_a_file_that_was_replaced_after_its_verification_is_named(store):
    content = (store.folder / NAMES[0]).read_bytes()
    (store.folder / "new").write_bytes(content)
    (store.folder / "new").replace(store.folder / NAMES[0])
    refused(store.problems(), NAMES[0], "it is not the file that was verified")


@pytest.mark.parametrize("name", REFUSED)
def test_a_header_that_is_none_is_a_problem_of_that_file_and_no_end_of_the_program(store, name):
    store.put(NAMES[1], REFUSED[name][0])
    refused(store.problems(), NAMES[1], "a model is a whole GGUF file. Fetch it again")


@pytest.mark.parametrize("key", ["split.no", "split.count", "split.tensors.count"])
@pytest.mark.parametrize("value", [struct.pack("<IQ3s", 8, 3, b"two"), struct.pack("<If", 6, float("nan")), struct.pack("<Ii", 5, -1)],
                         ids=["a string", "no number", "below zero"])
def test_a_split_that_is_counted_in_anything_but_whole_numbers_does_not_end_the_program(store, key, value):
    pairs = [text(name) + (value if name == key else struct.pack("<IH", 2, number)) for name, number in (
        ("split.no", 0), ("split.count", 3), ("split.tensors.count", 3))]
    data = header(ARCHITECTURE, *pairs, tensors=1) + tensor("t0", 0, 0, 8)
    store.put(NAMES[0], data + b"\0" * (-len(data) % 32 + 32))
    problems = store.problems()
    assert len(problems) == (1 if key == "split.count" else 0), problems
