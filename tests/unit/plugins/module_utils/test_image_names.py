"""Which names of golden images go, by what the engine lists."""
import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.image_names import superfluous

NOW, BEFORE, LONG_AGO = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"


def image(tag, identifier):
    return "image %s sha256:%s" % (tag, identifier)


HERE = [image(NOW, 1), image("sm120-cuda13", 1), image(BEFORE, 2), image(LONG_AGO, 3)]


@pytest.mark.parametrize("lines, keep, gone", [
    (HERE, 2, []),
    (HERE, 1, [LONG_AGO]),
    (HERE, 0, [BEFORE, LONG_AGO]),
    (HERE + ["used sha256:3"], 0, [BEFORE]),  # a container was made from it
    (HERE + ["used sha256:1"], 1, [LONG_AGO]),
    (HERE + [image("unproven-f00", 9)], 2, ["unproven-f00"]),
    (HERE + [image("of-before", 1)], 2, ["of-before"]),  # the alias was renamed
    (HERE + [image("of-before", 3)], 1, [LONG_AGO, "of-before"]),  # alias and inputs were changed at once, and the image goes
    (HERE + [image("of-before", 3)], 2, []),  # as long as that image stays
    (HERE + [image("by-hand", 7)], 0, [BEFORE, LONG_AGO]),  # of other inputs than any of ours: its name is all that keeps it
    (HERE + [image("<none>", 1)], 2, []),
    ([], 0, []),
])
def test_names_go(lines, keep, gone):
    assert superfluous(lines, NOW + "0" * 48, "sm120-cuda13", keep) == gone


def test_nothing_that_is_present_goes_while_no_image_of_these_inputs_is_there():
    assert superfluous([image("sm120-cuda13", 2), image(BEFORE, 2)], NOW, "other", 1) == []
