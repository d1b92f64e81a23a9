"""The CUDA compiler of the golden image and cuobjdump, from hashed wheels, kept in the cache folder of ./bunker."""
import hashlib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("BUNKER_CACHE") or pathlib.Path.home() / ".cache" / "protocol_omni.bunker")
COMPILER = ("nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm", "nvidia-cuda-runtime", "nvidia-cuda-cccl")


def requirements():
    """The pins as one text: those of the golden image without cuBLAS, and cuobjdump."""
    lines = (ROOT / "roles" / "golden_image" / "files" / "cuda-toolchain.txt").read_text(encoding="utf-8").splitlines()
    lines += (ROOT / "tests" / "cuda" / "toolkit.txt").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith(COMPILER + ("nvidia-cuda-cuobjdump",))) + "\n"


def digest(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def provide():
    """The folder that holds bin/nvcc and bin/cuobjdump; installed where it is missing."""
    wanted = requirements()
    folder = CACHE / ("cuda-toolkit-" + digest(wanted))
    toolkit = folder / "nvidia" / "cu13"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        pins = folder / "requirements.txt"
        pins.write_text(wanted, encoding="utf-8")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--upgrade", "--only-binary", ":all:",
                        "--require-hashes", "--target", str(folder), "--requirement", str(pins)], check=True)
        # What CMake and nvcc expect of a toolkit and the wheels leave out.
        if not (toolkit / "lib64").exists():
            (toolkit / "lib64").symlink_to("lib")
        for program in (toolkit / "bin").iterdir():
            program.chmod(0o755)
        (folder / "complete").touch()
    return toolkit
