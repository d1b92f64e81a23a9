"""The image that the site of the tests runs: the real one where ./bunker demo left it in the cache, else one that has less to compile
(tests/results/compile_times.json).

The quick one has no flash attention for CUDA, nvcc optimises its kernels little (-Ofc=max), and g++ what starts them (-fno-...): it holds fewer kernels, and
slow ones. There is no card here to run them. It has one CPU backend (AVX2) in the place of 14. Everything else of it is the real one's.
tests/integration/isolated/test_root_disk.py (--full) builds the real one.
"""
import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import tempfile
import threading

import yaml
from support import ROOT, hosts
from support.hosts import CACHE, Host, bare, one_at_a_time

# Three quarters of the time of some CUDA files are g++'s, for templates of launchers. It has -O3 as the real one, and leaves out what takes longest.
LITTLE = ",".join("-fno-" + name for name in (
    "inline", "tree-vectorize", "tree-vrp", "tree-pre", "tree-fre", "tree-dominator-opts", "gcse", "schedule-insns2", "ivopts"))
QUICK = {
    "golden_image_name": "omni/llama-server-quick-build",
    "golden_image_cmake_options": {"GGML_CUDA_FA": "OFF", "CMAKE_CUDA_FLAGS": "-Ofc=max -Xcompiler=" + LITTLE, "GGML_CPU_ALL_VARIANTS": "OFF"},
}
# A reduced image, as its name says, for tests whose point is not CUDA, built in a cache of the host's own: the other hosts share theirs with this machine.
REDUCED = {
    "bunker_cache_path": "/srv/cache", "golden_image_base_archive": "/var/cache/protocol_omni/base/trixie.tar",
    "golden_image_name": "omni/llama-server-reduced", "golden_image_alias": "reduced", "golden_image_cuda": False, "golden_image_keep_archive": False,
    "golden_image_cmake_options": {"GGML_CPU_ALL_VARIANTS": "OFF"},
}
HOST = "bunker-test-image"


def archive(inputs):
    """Where the image of these variables is kept, whether it is there or not."""
    said = hosts.play("image_archive.yml", HOST, "-e", json.dumps(inputs))
    found = re.search(r"archive: ([0-9a-f]{16}\.tar)", said)
    assert found, said
    return CACHE / "images" / found.group(1)


@functools.cache
def variables():
    """What the site's inventory says of the image besides the demo's words.

    BUNKER_TEST_IMAGE=quick takes that one even where the real one is kept; BUNKER_TEST_IMAGE=without-cuda the one of ./bunker demo --quick, for tests that ask
    llama-server and no card: claims of device code do not apply to it.
    """
    if os.environ.get("BUNKER_TEST_IMAGE") == "without-cuda":
        return yaml.safe_load((ROOT / "tests/host/vars/quick.yml").read_text(encoding="utf-8"))
    return QUICK if os.environ.get("BUNKER_TEST_IMAGE") == "quick" or not archive({}).exists() else {}


def alias():
    """The name by which the site's host knows it."""
    return "%s:%s" % (variables().get("golden_image_name", "omni/llama-server"), variables().get("golden_image_alias", "sm120-cuda13"))


def provide():
    """Builds it on a host of its own and keeps its archive, where it is not kept. Whoever comes second waits."""
    with one_at_a_time("image"):
        if archive(variables()).exists():
            return
        folder = tempfile.mkdtemp(prefix="bunker-image-")
        with bare(HOST):
            Host(HOST, pathlib.Path(folder), variables()).run("tests/host/image.yml").assert_ok()
        shutil.rmtree(folder)


AUTOGROUP = pathlib.Path("/proc/self/autogroup")
_making = []


@contextlib.contextmanager
def compiler_first():
    """The compiler gets nine tenths of the processor, and the tests beside it the rest: the image and the site behind it are the longest way through the run.

    The host of the image is in a group of its own, and all processes of this command are in another; between them the kernel divides by the groups' niceness
    (sched(7), autogroup), however many processes each has. Where there are no such groups nothing changes.
    """
    def weigh(nice):
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text("%d" % nice, encoding="ascii")

    weigh(10)
    try:
        yield
    finally:
        weigh(0)


def begin():
    """Provides it beside the tests that do not need it."""
    _making.append(threading.Thread(target=compiler_first()(provide), name="image"))
    _making[0].start()


def end():
    """Waits for what was begun."""
    for thread in _making:
        thread.join()
