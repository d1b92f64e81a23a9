"""Our loader against the real one, in constructed roots."""
import os
import pathlib
import sys

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import libcuda
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.file_trees import FolderTree
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.loader import processor_levels

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import roots  # noqa: E402

CASES = roots.cases()


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    return roots.Builder(tmp_path_factory.mktemp("roots"))


def test_there_are_enough_roots():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_libcuda_as_the_real_loader(case, builder):
    root = builder.root(case, CASES.index(case))
    expected, debug = roots.real_loader(root, case)
    if expected and not case.setuid:
        assert expected in roots.chosen_in(debug)
    tree = FolderTree([str(root)])
    try:
        requester = "/usr/lib/libasks.so" if case.how.startswith("library") else "/opt/bin/program"
        levels = processor_levels(pathlib.Path("/proc/cpuinfo").read_text())
        found = libcuda.find(libcuda.follow(tree, requester, "/opt/bin/program", dict(case.environment), case.cwd, levels))["path"]
    finally:
        tree.close()
    # The loader keeps relative names as the user wrote them; we give the absolute path of the same file.
    assert (found and os.path.normpath(found)) == (expected and os.path.normpath(os.path.join(case.cwd, expected)))


@pytest.mark.parametrize("program", ["/opt/bin/script", "/opt/bin/none", "/etc", "/opt/bin/broken"])
def test_a_program_that_cannot_be_followed_hides_nothing(program, builder):
    """An image's entry point is often a script."""
    case = roots.Case("script", roots.at("/one"), "library-needed", library=roots.runpath("/one"))
    root = builder.root(case, "script-" + os.path.basename(program))
    (root / "opt/bin/script").write_text("#!/bin/sh\nexec program\n")
    (root / "opt/bin/broken").write_bytes(b"\x7fELF\x02\x01\x01" + b"\xff" * 200)
    tree = FolderTree([str(root)])
    found = libcuda.find(libcuda.follow(tree, "/usr/lib/libasks.so", program, {}, "/", []))
    tree.close()
    assert (found["path"], found["program"]) == ("/one/libcuda.so.1", None)
