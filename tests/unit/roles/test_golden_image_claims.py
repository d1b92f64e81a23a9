"""What the role golden_image says of how llama.cpp was configured, from what the image carries of its build."""
import pytest
import rendering

RECORD = rendering.task("golden_image", "tasks/verify.yml", "Record the claims of the image")
CARRIED = ["configured: " + line for line in (
    "BUILD_SHARED_LIBS=ON", "CMAKE_BUILD_TYPE=Release", "CMAKE_CUDA_ARCHITECTURES=90;120", "GGML_CUDA=ON",
    "flags of ggml-cuda/ggml-cuda.cu: --generate-code=arch=compute_120a,code=[sm_120a] --generate-code=arch=compute_90,code=[sm_90] -DNDEBUG -O3",
    "flags of llama.cpp: -DNDEBUG -O3")]


def claim(lines, architectures=("90", "120")):
    """(holds, observed) of image.cmake_options."""
    found = rendering.render("golden_image", RECORD["vars"]["_golden_image_results"]["image.cmake_options"], {
        "__golden_image_inside": {"stdout_lines": ["libcuda: ", "tools: ", *lines]}, "golden_image_cuda_architectures": list(architectures)}, RECORD["vars"])
    return found["holds"], found["observed"]


def test_it_holds_where_cache_and_flags_are_those_of_the_inventory():
    held, observed = claim(CARRIED)
    assert held is True
    assert observed.startswith("CMAKE_BUILD_TYPE=Release, CMAKE_CUDA_ARCHITECTURES=90;120, GGML_CUDA=ON; nvcc with --generate-code=arch=compute_120a")


@pytest.mark.parametrize("old, new", [
    ("CMAKE_BUILD_TYPE=Release", "CMAKE_BUILD_TYPE=Debug"), ("GGML_CUDA=ON", "GGML_CUDA=OFF"), ("ARCHITECTURES=90;120", "ARCHITECTURES=90"),
    ("[sm_120a] ", "[sm_121a] "), ("-DNDEBUG -O3", "-O0"), ("configured: GGML_CUDA=ON", "configured: other=ON")])
def test_it_fails_where_one_of_them_is_another(old, new):
    lines = [line.replace(old, new).replace("compute_120a", "compute_121a") if old.startswith("[sm") else line.replace(old, new) for line in CARRIED]
    assert lines != CARRIED
    assert claim(lines)[0] is False


def test_it_fails_for_an_image_that_carries_nothing_of_its_build():
    assert claim([])[0] is False


def test_flags_of_each_kind_of_file_count():
    assert claim([line for line in CARRIED if "flags of llama.cpp" not in line])[0] is False
    assert claim([line for line in CARRIED if "flags of ggml-cuda" not in line])[0] is False
