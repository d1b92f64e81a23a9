"""The judge of tests/fuzz/pruned_libraries.py sees what a faulty prune-device-code would do; without a compiler, on libraries that are written here."""
import random
import sys

import pytest
from support import ROOT, fatbins
from support.fatbins import CUBIN, FAMILY, LTO, ONLY, PTX, container, cubin, entry, library, zstd

sys.path.insert(0, str(ROOT / "tests" / "fuzz"))
import pruned_libraries  # noqa: E402

SEEDS = [library(zstd(cubin(90)), container(entry(CUBIN, 90, 0, cubin(90)), entry(CUBIN, 120, FAMILY, cubin(120)), entry(PTX, 75, 0, b".target sm_75 " * 20)),
                 zstd(cubin(120)), container(entry(CUBIN, 80, 0, cubin(80)), entry(CUBIN, 90, ONLY, cubin(90), packed=False), entry(LTO, 90, 0, b"IR" * 60)))]


def tried(change, mutations=200):
    """What the judge says first of a tool that was changed, "" where it has nothing to say."""
    reader, choices = pruned_libraries.Reader(), random.Random(1)
    change(reader)
    try:
        for _number in range(mutations):
            reader.read(pruned_libraries.mutate(choices.choice(SEEDS), choices))
    except AssertionError as error:
        return str(error)
    finally:
        reader.close()
    assert reader.emptied > 20 and reader.refused > 20
    return ""


def named(name):
    def change(reader):
        reader.names = [(cards, names | {name}) for cards, names in reader.names]
    return change


def begins_early(reader):
    right = reader.program.entries

    def entries(data, place, end):
        rows, stop = right(data, place, end)
        return [(name, begin - 8, end) for name, begin, end in rows], stop
    reader.program.entries = entries


def frames_of_another_sm(reader):
    right = reader.program.frames
    reader.program.frames = lambda data, between: [(80, begin, end) for _sm, begin, end in right(data, between)]


def test_the_tool_as_it_is_passes():
    assert tried(lambda reader: None) == ""


@pytest.mark.parametrize("change, said", [
    (named("sm_90"), "might run"), (named("sm_120f"), "might run"), (named("compute_75"), "might run"), (named("lto_90"), "might run"),
    (begins_early, "was emptied"), (frames_of_another_sm, "was emptied")],
    ids=["a card's machine code", "its family's", "PTX", "LTO-IR", "a byte of a header", "a cubin of its own"])
def test_a_planted_fault_is_seen(change, said):
    assert said in tried(change)


def test_a_byte_that_is_not_zero_is_no_emptying():
    one = SEEDS[0]
    place = one.index(fatbins.ZSTD.to_bytes(4, "little"))
    with pytest.raises(AssertionError, match="is no zero"):
        pruned_libraries.judge(one, one[:place] + b"\xaa" + one[place + 1:], ["9.0"])


@pytest.mark.parametrize("kind, sm, suffix, card, might", [
    ("cubin", 80, "", "8.9", True), ("cubin", 89, "", "8.0", False), ("cubin", 80, "", "9.0", False), ("cubin", 90, "a", "9.0", True),
    ("cubin", 120, "f", "12.1", True), ("cubin", 120, "a", "12.1", False), ("ptx", 75, "", "12.0", True), ("ptx", 90, "a", "12.0", False),
    ("ptx", 120, "", "9.0", False), ("lto", 120, "", "9.0", True), ("4096", 10, "", "9.0", True)])
def test_what_a_card_might_run(kind, sm, suffix, card, might):
    assert pruned_libraries.might_run(kind, sm, suffix, card) is might
