"""A wheel of the CUDA toolkit is pinned, its libraries are linked against, carried into the image and named in its SBOM: all of it or nothing."""
import json
import re

import rendering
from support import ROOT

FILES = ROOT / "roles" / "golden_image" / "files"
# What the image gets of each wheel: its libraries, as NVIDIA packs them. A new wheel is entered here by hand.
LIBRARIES = {
    "nvidia-cuda-nvcc": [], "nvidia-cuda-crt": [], "nvidia-nvvm": [], "nvidia-cuda-cccl": [],
    "nvidia-cuda-runtime": ["cudart"],
    "nvidia-cublas": ["cublas", "cublasLt"],
}
# Headers, which end up in the image as compiled code.
COMPILED_IN = ["nvidia-cuda-cccl"]
GIVEN = {"golden_image_base": "debian@sha256:" + "1" * 64, "bunker_cache_path": "/var/cache/protocol_omni", "bunker_bundle": ""}


def pins():
    return re.findall(r"(?m)^(\S+?)==", (FILES / "cuda-toolchain.txt").read_text(encoding="utf-8"))


def test_of_each_wheel_somebody_said_what_the_image_gets():
    assert sorted(pins()) == sorted(LIBRARIES), "Enter the wheel of files/cuda-toolchain.txt in LIBRARIES here; the other tests then say what is missing."


def test_each_library_can_be_linked_against_and_is_carried_into_the_image():
    recipe = (FILES / "Dockerfile").read_text(encoding="utf-8")
    wanted = sorted(name for libraries in LIBRARIES.values() for name in libraries)
    linked = re.search(r"for library in ([^;]+); do ln -s", recipe).group(1).split()
    carried = re.search(r"cp -a /opt/cuda/lib/lib\{([^}]+)\}\.so\.\* /opt/llama/", recipe).group(1).split(",")
    assert sorted(linked) == wanted, "files/Dockerfile, stage toolchain: the links that CMake looks for"
    assert sorted(carried) == wanted, "files/Dockerfile, stage build: what is copied beside llama-server"


def test_the_sbom_names_each_wheel_of_which_something_is_in_the_image():
    text = rendering.render("golden_image", rendering.read("golden_image", "vars/main.yml")["_golden_image_file_contents"], GIVEN)["inputs.cdx.json"]
    named = [component["name"] for component in (json.loads(text) if isinstance(text, str) else text)["components"]]
    wanted = [name for name, libraries in LIBRARIES.items() if libraries or name in COMPILED_IN]
    assert sorted(named) == sorted([*wanted, "llama.cpp"]), "templates/inputs.cdx.json.j2, first expression"
