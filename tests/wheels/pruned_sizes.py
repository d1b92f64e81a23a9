"""How much smaller CUDA's libraries are without the device code of other cards: python tests/wheels/pruned_sizes.py CAPABILITY WHEEL RESULT

WHEEL is the nvidia-cublas wheel of roles/golden_image/files/cuda-toolchain.txt (pip download). Sizes are bytes, compressed by gzip as an image's layers are.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from ansible_collections.protocol_omni.bunker.plugins.module_utils import removable_device_code  # noqa: E402
from support import provenance  # noqa: E402

PRUNE = ROOT / "roles" / "golden_image" / "files" / "prune-device-code"


def gzipped(path):
    """Bytes of a file as gzip's level 6 packs it, in little memory."""
    packer, size = zlib.compressobj(6), 0
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 22):
            size += len(packer.compress(piece))
    return size + len(packer.flush())


def main():
    capability, wheel, result = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/libcublas" in name]
        paths = [pathlib.Path(archive.extract(name, scratch)) for name in names]
        before = {path.name: gzipped(path) for path in paths}
        said = subprocess.run([sys.executable, str(PRUNE), ",".join(removable_device_code.names([capability])), *map(str, paths)], check=True,
                              capture_output=True, text=True).stdout
        rows = [dict(row, gzip=before[row["file"]], gzip_pruned=gzipped(path)) for row, path in zip(map(json.loads, said.splitlines()), paths)]
    record = {"provenance": provenance.made("tests/wheels/pruned_sizes.json"), "capability": capability, "wheel": pathlib.Path(wheel).name, "libraries": rows}
    pathlib.Path(result).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
