"""Models of a store, whole and broken in every way that a store has been seen broken. The files are written here byte by byte."""
import hashlib
import struct

import pytest
from test_gguf import ARCHITECTURE, REFUSED, header, key, tensor, text

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


ADAPTER = [key("general.type", 8) + text("adapter"), ARCHITECTURE, key("adapter.type", 8) + text("lora")]
CLIP = key("general.architecture", 8) + text("clip")
ROLES = {"mmproj.gguf": "projector", "law.gguf": "adapter", "m.jinja": "chat_template"}
WHOLE = {"mmproj.gguf": header(CLIP, tensors=0), "law.gguf": header(*ADAPTER, tensors=0), "m.jinja": "{{ messages }} \u00e9".encode()}


@pytest.fixture
def equipped(store):
    """The model with a projector, an adapter and a chat template; the projector stands first."""
    for name, content in WHOLE.items():
        store.put(name, content)
    for entry in store.files:
        if entry["name"] in ROLES:
            entry["role"] = ROLES[entry["name"]]
    store.files.sort(key=lambda entry: entry.get("role") != "projector")
    return store


def equip(store, name, content):
    """Puts another file in the place of one, verified."""
    store.put(name, content)
    next(entry for entry in store.files if entry["name"] == name)["role"] = ROLES[name]


def test_files_of_other_roles_are_no_shards_and_are_counted(equipped):
    judged = model_rules.judge(str(equipped.path), {"name": "tiny", "architecture": "deepseek2", "files": equipped.files})
    assert judged["problems"] == [] and judged["metadata"]["general.architecture"] == "deepseek2" and judged["facts"]["vision"] is True
    assert judged["bytes"] == sum((equipped.folder / name).stat().st_size for name in [*NAMES, *ROLES])


@pytest.mark.parametrize("name, content, words", [
    ("mmproj.gguf", shard(0), "general.architecture is deepseek2, a projector's is clip"),
    ("mmproj.gguf", header(tensors=0), "general.architecture is missing, a projector's is clip"),
    ("mmproj.gguf", b"PK\3\4", "it does not begin with GGUF"),
    ("mmproj.gguf", header(CLIP, tensors=1) + tensor("v.x", 0, 0, 64), "it was cut off"),
    ("law.gguf", header(*ADAPTER[1:], tensors=0), "general.type is missing, an adapter's is adapter"),
    ("law.gguf", header(key("general.type", 8) + text("model"), *ADAPTER[1:], tensors=0), "general.type is model"),
    ("law.gguf", header(ADAPTER[0], key("general.architecture", 8) + text("llama"), ADAPTER[2], tensors=0), "an adapter for llama, the model is deepseek2"),
    ("law.gguf", header(*ADAPTER[:2], key("adapter.type", 8) + text("dora"), tensors=0), "adapter.type is dora, llama.cpp knows lora alone"),
    ("m.jinja", b"GGUF\xff", "at byte 4 it is not UTF-8"),
    ("m.jinja", b" \n", "it is empty"),
    ("m.jinja", b"a\0b", "it holds a byte of 0"),
])
def test_a_file_that_is_not_what_its_role_says_is_named(equipped, name, content, words):
    equip(equipped, name, content)
    refused(equipped.problems(), name, words)
    assert equipped.problems()[0].rstrip(".").rpartition(". ")[2]  # the remedy


@pytest.mark.parametrize("name", ROLES)
def test_a_missing_or_replaced_file_of_any_role_is_named(equipped, name):
    content = (equipped.folder / name).read_bytes()
    (equipped.folder / "new").write_bytes(content)
    (equipped.folder / "new").replace(equipped.folder / name)
    refused(equipped.problems(), name, "it is not the file that was verified")
    (equipped.folder / name).unlink()
    refused(equipped.problems(), name, "it is not there")


def test_what_the_header_says_of_the_kind_is_told(store):
    judged = model_rules.judge(str(store.path), {"name": "tiny", "architecture": "deepseek2", "files": store.files})
    assert judged["facts"] == {"architecture": "deepseek2", "pooling": None, "head": False, "template": False, "fim": False, "width": None, "context": None,
                               "vision": None}
    (store.folder / NAMES[0]).unlink()
    assert model_rules.judge(str(store.path), {"name": "tiny", "architecture": "deepseek2", "files": store.files[:1]})["facts"] == {}


def test_a_head_in_any_shard_is_seen(store):
    store.put(NAMES[2], header(
        number("split.no", 2), number("split.count", 3), number("split.tensors.count", 3), tensors=1) + tensor("cls.output.weight", 0, 0, 8) + b"\0" * 96)
    judged = model_rules.judge(str(store.path), {"name": "tiny", "architecture": "deepseek2", "files": store.files})
    assert judged["problems"] == [] and judged["facts"]["head"] is True


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_a_model_tells_no_kind(store, name):
    """Its head may be in the shard that is still to be fetched, and what a further shard says is not the model's."""
    (store.folder / name).unlink()
    judged = model_rules.judge(str(store.path), {"name": "tiny", "architecture": "deepseek2", "files": store.files}, present_only=True)
    assert judged["facts"] == {}
    assert judged["metadata"].get("general.architecture") == (None if name == NAMES[0] else "deepseek2")
    assert judged["metadata"].get("split.no") == (None if name == NAMES[0] else 0)


def test_a_projector_that_is_not_there_yet_leaves_the_kind_open(equipped):
    path = equipped.folder / next(entry["name"] for entry in equipped.files if entry.get("role") == "projector")
    path.unlink()
    assert model_rules.judge(str(equipped.path), {"name": "tiny", "architecture": "deepseek2", "files": equipped.files})["facts"] == {}


def test_a_model_that_is_given_a_chat_template_has_one(equipped):
    """A coder's header without a template tells a completion; with one of its own it chats, whichever the template came by."""
    def template(files):
        return model_rules.judge(str(equipped.path), {"name": "tiny", "architecture": "deepseek2", "files": files})["facts"]["template"]
    assert template(equipped.files) is True
    assert template([entry for entry in equipped.files if entry.get("role") != "chat_template"]) is False
