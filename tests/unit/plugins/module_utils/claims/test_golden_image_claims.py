"""Each claim of the role golden_image holds, and fails by itself, from what was seen."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import golden_image
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

CATALOGUE = collection_roles.claim_catalogue("golden_image")
HASH = "5ea1" * 16
PINNED = ["aa  base/debian", "bb  source/llama.cpp.tar.gz", "cc  wheels/nvidia-cublas==13.0.0"]
PACKAGES = ["dd  toolchain/g++_4%3a14.2.0-1_amd64.deb", "ee  runtime/libgomp1_14.2.0-19_amd64.deb", "ff  runtime/zlib1g_1%3a1.3.dfsg-3_amd64.deb"]
CONFIGURED = [
    "BUILD_SHARED_LIBS=ON", "CMAKE_BUILD_TYPE=Release", "CMAKE_CUDA_ARCHITECTURES=90;120", "GGML_CUDA=ON",
    "flags of ggml-cuda/ggml-cuda.cu: --generate-code=arch=compute_120a,code=[sm_120a] --generate-code=arch=compute_90,code=[sm_90] -DNDEBUG -O3",
    "flags of llama.cpp: -DNDEBUG -O3"]
WANTED = {"hash": HASH, "pinned": PINNED, "lock": "", "locked": [], "architectures": ["90", "120"], "cuda": True, "variants": True, "pruned": True,
          "capabilities": ["9.0", "12.0"]}
# Of a library whose code for 8.0 went: what is left of it, as it was.
LEFT, GONE = {"sm_90": [191, 6154560, "90" * 32], "compute_75": [1, 128, "75" * 32]}, {"sm_80": [190, 6000000, "80" * 32]}
FRAMES = {"90": [94, 19333578, "ab" * 32]}
SEEN = {
    "image": {"id": "sha256:0123456789abcdef01234567", "size": 772400000, "labels": {"protocol_omni.bunker.input-hash": HASH}, "user": "65532:65532",
              "environment": ["PATH=/opt/llama:/usr/bin", "LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu"]},
    "alias_id": "sha256:0123456789abcdef01234567", "said": "",
    "pruned": {"libraries": [{"file": "libcublasLt.so.13", "there": LEFT, "emptied": {"sm_80": 190}, "frames": FRAMES, "unread": []}],
               "manifest": [{"file": "libcublasLt.so.13", "before": {**LEFT, **GONE}, "frames_before": {**FRAMES, "80": [4, 4000, "cd" * 32]}}]},
    "inside": {"libcuda": [], "searched": ["/"], "tool": [], "package": ["libgomp1_14.2.0-19", "zlib1g_1:1.3.dfsg-3"], "input": PINNED + PACKAGES,
               "configured": CONFIGURED, "end": ["/"],
               "variant": ["libggml-cpu-%s.so" % name for name in ("haswell", "icelake", "sapphirerapids", "skylakex", "x64", "zen4")]},
    "readiness": {"verdicts": {name: {"verdict": "native", "reason": "Machine code for %s." % name} for name in ("9.0", "12.0")},
                  "files": [{"path": "/opt/llama/libggml-cuda.so", "libcuda": "needed", "imports_vmm": True}]}}


def rows(change=lambda seen: None, **wanted):
    """Claim, without its role, to its row of the report, as the action claim makes it, after a change of what was seen."""
    seen = copy.deepcopy(SEEN)
    change(seen)
    return {name[len("image."):]: claims.judge(name, CATALOGUE[name], result)
            for name, result in golden_image.results(dict(WANTED, **wanted), seen).items()}


def named(found, status):
    return [name for name, row in found.items() if row["status"] == status]


def test_every_claim_of_the_role_is_judged_and_holds():
    found = rows()
    assert sorted("image." + name for name in found) == sorted(CATALOGUE)
    assert {row["status"] for row in found.values()} == {"holds"}


def test_the_words():
    found = {name: (row["expected"], row["observed"]) for name, row in rows().items()}
    assert found.pop("cmake_options") == (
        "CMAKE_BUILD_TYPE=Release, CMAKE_CUDA_ARCHITECTURES=90;120, GGML_CUDA=ON, compiled with -O3 -DNDEBUG",
        "CMAKE_BUILD_TYPE=Release, CMAKE_CUDA_ARCHITECTURES=90;120, GGML_CUDA=ON; nvcc with --generate-code=arch=compute_120a,code=[sm_120a] "
        "--generate-code=arch=compute_90,code=[sm_90] -DNDEBUG -O3; g++ with -DNDEBUG -O3")
    assert found == {
        "inputs": ("5ea15ea15ea15ea1, alias on the same image", "5ea15ea15ea15ea1, alias on 0123456789ab"),
        "lock": ("3 inputs of the inventory, and the packages that came from the mirror", "6 inputs, of which packages 3; as expected"),
        "size": ("under 900 MB", "772 MB"), "kernels": ("native for 9.0, 12.0", "Machine code for 9.0. Machine code for 12.0."),
        "pruned": ("all that 9.0, 12.0 can run as it was before, machine code and PTX", "libcublasLt.so.13: 190 of 382 entries without code"),
        "vmm": ("libggml-cuda.so needs libcuda.so.1 and asks it for cuMemCreate", "libcuda.so.1 needed, cuMemCreate asked for"),
        "no_libcuda": ("no file libcuda.so*", "none"), "nothing_else": ("none of them", "none of them"),
        "cpu_variants": ("x64 (any CPU) and skylakex, icelake, sapphirerapids, zen4 (AVX-512)", "haswell, icelake, sapphirerapids, skylakex, x64, zen4"),
        "library_path": ("LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu",) * 2, "user": ("a number other than 0", "65532:65532")}


def of_image(**changes):
    return lambda seen: seen["image"].update(changes)


def of_inside(kind, lines):
    return lambda seen: seen["inside"].update({kind: lines})


def replaced(old, new):
    """What the build wrote of itself, with other words."""
    lines = [line.replace(old, new) for line in CONFIGURED]
    assert lines != CONFIGURED
    return of_inside("configured", lines)


def no_device_code(seen):
    seen["readiness"]["verdicts"]["12.0"].update(verdict=None, reason="No file holds a kernel for it.")


def of_library(**changes):
    return lambda seen: seen["pruned"]["libraries"][0].update(changes)


@pytest.mark.parametrize("claim, change, observed", [
    ("pruned", of_library(emptied={"sm_80": 190, "sm_90": 1, "compute_75": 1}),
     "libcublasLt.so.13: 1 of compute_75 emptied; libcublasLt.so.13: 1 of sm_90 emptied"),
    ("pruned", of_library(there={"compute_75": LEFT["compute_75"]}), "libcublasLt.so.13: sm_90 are 0 of 191, before it was pruned"),
    ("pruned", of_library(frames={}), "libcublasLt.so.13: frames of sm_90 are 0 of 94, before it was pruned"),
    ("pruned", of_library(unread=["the container at byte 9 is cut off"]), "libcublasLt.so.13: the container at byte 9 is cut off"),
    ("pruned", of_library(emptied={"sm_%d" % sm: 1 for sm in (90, 120, 121)} | {"compute_%d" % sm: 1 for sm in (70, 72, 75, 80, 86)}),
     "; ".join("libcublasLt.so.13: 1 of %s emptied" % name for name in ("compute_70", "compute_72", "compute_75", "compute_80", "compute_86", "sm_120"))
     + "; and 1 more"),
    ("pruned", lambda seen: seen["pruned"].update(manifest=[]), "libcublasLt.so.13: pruned.jsonl does not say what it held"),
    ("pruned", lambda seen: seen["pruned"].update(libraries=[], manifest=[], said="no room in /var/tmp"), "not looked at: no room in /var/tmp"),
    ("inputs", of_image(labels={"protocol_omni.bunker.input-hash": "01d" * 10}), "01d01d01d01d01d0, alias on 0123456789ab"),
    ("inputs", of_image(labels={}), "nothing, alias on 0123456789ab"),
    ("inputs", lambda seen: seen.update(alias_id=""), "5ea15ea15ea15ea1, alias on nothing"),
    ("inputs", lambda seen: seen.update(alias_id="sha256:fedcba9876543210"), "5ea15ea15ea15ea1, alias on fedcba987654"),
    ("lock", of_inside("input", PINNED[1:] + PACKAGES), "5 inputs, of which packages 3; not as expected: aa  base/debian"),
    ("lock", of_inside("input", PINNED), None), ("lock", of_inside("input", []), None),
    ("lock", of_inside("package", ["libgomp1_14.2.0-20", "zlib1g_1:1.3.dfsg-3"]), "6 inputs, of which packages 3; not as expected: libgomp1_14.2.0-19"),
    ("lock", of_inside("package", []), "6 inputs, of which packages 3; not as expected: libgomp1_14.2.0-19, zlib1g_1:1.3.dfsg-3"),
    ("size", of_image(size=900000000), "900 MB"), ("size", of_image(size=21 * 10 ** 9), "21000 MB"), ("size", of_image(size=0), "0 MB"),
    ("cmake_options", replaced("CMAKE_BUILD_TYPE=Release", "CMAKE_BUILD_TYPE=Debug"), None),
    ("cmake_options", replaced("GGML_CUDA=ON", "GGML_CUDA=OFF"), None), ("cmake_options", replaced("GGML_CUDA=ON", "OTHER=ON"), None),
    ("cmake_options", replaced("ARCHITECTURES=90;120", "ARCHITECTURES=90"), None), ("cmake_options", replaced("120a", "121a"), None),
    ("cmake_options", replaced("-DNDEBUG -O3", "-O0"), None), ("cmake_options", replaced("flags of llama.cpp: -DNDEBUG -O3", "flags of llama.cpp: -O3"), None),
    ("cmake_options", of_inside("configured", CONFIGURED[:-1]), None), ("cmake_options", of_inside("configured", CONFIGURED[:-2] + CONFIGURED[-1:]), None),
    ("cmake_options", of_inside("configured", []), "CMAKE_BUILD_TYPE=nothing, CMAKE_CUDA_ARCHITECTURES=nothing, GGML_CUDA=nothing; nvcc with none; "
                                                   "g++ with none"),
    ("kernels", lambda seen: seen["readiness"]["verdicts"]["9.0"].update(verdict="jit", reason="PTX."), "PTX. Machine code for 12.0."),
    ("kernels", no_device_code, "Machine code for 9.0. No file holds a kernel for it."),
    ("kernels", lambda seen: seen["readiness"].update(verdicts={}), "neither inventory nor host names a GPU that could be looked for"),
    ("vmm", lambda seen: seen["readiness"]["files"][0].update(imports_vmm=False), "libcuda.so.1 needed, cuMemCreate not asked for"),
    ("vmm", lambda seen: seen["readiness"]["files"][0].update(libcuda="opened"), "libcuda.so.1 opened, cuMemCreate asked for"),
    ("vmm", lambda seen: seen["readiness"].update(files=[]), "libcuda.so.1 not asked for, cuMemCreate not asked for"),
    ("no_libcuda", of_inside("libcuda", ["/usr/local/cuda/compat/libcuda.so.1"]), "/usr/local/cuda/compat/libcuda.so.1"),
    ("no_libcuda", of_inside("searched", []), "not looked for: the search ended early"),
    ("library_path", of_image(environment=["PATH=/usr/bin"]), "not set"),
    ("library_path", of_image(environment=["LD_LIBRARY_PATH=/usr/local/cuda/compat:/usr/lib/x86_64-linux-gnu"]), None),
    ("nothing_else", of_inside("tool", ["/usr/bin/python3"]), "/usr/bin/python3"), ("nothing_else", of_inside("end", []), None),
    ("cpu_variants", of_inside("variant", SEEN["inside"]["variant"] + ["libggml-cpu.so"]), "haswell, icelake, sapphirerapids, skylakex, x64, zen4, and one of "
                                                                                           "the build host"),
    ("cpu_variants", of_inside("variant", SEEN["inside"]["variant"][:-1]), "haswell, icelake, sapphirerapids, skylakex, x64"),
    ("cpu_variants", of_inside("variant", []), "none"),
    ("user", of_image(user=""), "root"), ("user", of_image(user="0:65532"), "0:65532"), ("user", of_image(user="somebody"), "somebody")])
def test_each_claim_fails_by_itself(claim, change, observed):
    found = rows(change)
    assert named(found, "fails") == [claim]
    assert observed is None or found[claim]["observed"] == observed


def test_where_the_inventory_gives_a_lock_the_images_inputs_are_its_and_no_others():
    assert rows(lock="/lock", locked=PINNED + PACKAGES)["lock"]["status"] == "holds"
    for locked, other in ((PINNED + PACKAGES[:-1], PACKAGES[-1]), (PINNED + PACKAGES + ["11  runtime/more_1_all.deb"], "11  runtime/more_1_all.deb")):
        row = rows(lock="/lock", locked=locked)["lock"]
        assert row["status"] == "fails" and row["observed"].endswith("not as expected: " + other)
    assert rows(lock="/lock", locked=[])["lock"]["status"] == "fails"


def test_a_reduced_image_claims_nothing_of_cuda():
    found = rows(lambda seen: seen.update(readiness={"skipped": True}), cuda=False)
    assert named(found, "does not apply") == ["cmake_options", "kernels", "pruned", "vmm"] and named(found, "fails") == []
    assert found["vmm"]["reason"] == "a reduced image without CUDA, as golden_image_cuda says"


def test_an_image_with_one_cpu_backend_claims_nothing_of_generations():
    found = rows(of_inside("variant", ["libggml-cpu.so"]), variants=False)
    assert named(found, "does not apply") == ["cpu_variants"] and named(found, "fails") == []
    assert found["cpu_variants"]["reason"] == "an image with one CPU backend, as GGML_CPU_ALL_VARIANTS of golden_image_cmake_options says"


def test_libraries_that_are_as_nvidia_gives_them_claim_nothing():
    row = rows(lambda seen: seen.update(pruned={}), pruned=False)["pruned"]
    assert (row["status"], row["reason"]) == ("does not apply", "cuBLAS is as NVIDIA gives it: golden_image_prune is off")


def test_a_card_of_the_host_counts_as_one_of_the_inventory_does():
    def with_an_old_card(seen):
        seen["readiness"]["verdicts"]["8.0"] = {"verdict": "native", "reason": "Machine code for 8.0."}
    row = rows(with_an_old_card)["pruned"]
    assert (row["status"], row["observed"]) == ("fails", "libcublasLt.so.13: 190 of sm_80 emptied")
    assert rows(lambda seen: None, capabilities=["8.6", "9.0"])["pruned"]["status"] == "fails"


def test_an_image_that_is_not_there_proves_nothing():
    found = rows(lambda seen: seen.update(image={}, alias_id="", pruned={}, said="there is no image a:b", inside={kind: [] for kind in seen["inside"]}))
    assert named(found, "holds") == ["kernels", "vmm"]  # cuda_readiness looked for itself
    assert found["no_libcuda"]["observed"] == "not looked for: there is no image a:b"
    assert found["pruned"]["observed"] == "not looked at: there is no image a:b"
