"""What an image of llama-server consists of, and how large each part is compressed, whole and pruned: ./bunker layers ARCHIVE [--cards 9.0]

    ./bunker layers ARCHIVE                                     # an archive of docker save, such as the role keeps in bunker_cache_path/images
    ./bunker layers ARCHIVE --cards 9.0 --record NAME           # into tests/results/image_parts.json too

Each part is packed as a layer of its own would be: a tar archive of its files, by zstd's levels 3 and 19 and by gzip's 6. With --cards cuBLAS goes through
roles/golden_image/files/prune-device-code as golden_image_prune has it, in a folder that is removed again; the archive stays as it is. What the claim
image.pruned would find missing is looked for too. A quarter of an hour for 700 MB on one core, nearly all of it zstd -19 (--quick leaves that out).
"""
import argparse
import contextlib
import ctypes
import fnmatch
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]

from ansible_collections.protocol_omni.bunker.plugins.module_utils import pruned_code, removable_device_code  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.file_trees import FolderTree  # noqa: E402
from support import provenance  # noqa: E402

RECORD = "tests/results/image_parts.json"
PRUNE = ROOT / "roles" / "golden_image" / "files" / "prune-device-code"
FOLDER = "opt/llama/"
# Name of a part: globs of its files; the first that fits counts. What is in no layer but the first is the base's.
PARTS = {"cuBLAS": [FOLDER + "libcublas.so.*", FOLDER + "libcublasLt.so.*"], "libggml-cuda": [FOLDER + "libggml-cuda.so"],
         "CPU variants": [FOLDER + "libggml-cpu-*.so"], "llama.cpp's other files": [FOLDER + "*", FOLDER.rstrip("/")], "packages and lists": ["*"]}
BASE, PRUNED, TOTAL, TOTAL_PRUNED = "the base", "cuBLAS, pruned", "all", "all, pruned"
COLUMNS = ("bytes", "zstd -3", "zstd -19", "gzip -6")
LEVEL, CONTINUE, END = 100, 0, 2  # of zstd.h: ZSTD_c_compressionLevel, ZSTD_e_continue, ZSTD_e_end


class Zstd:
    """Counts what zstd makes of a stream."""

    class Buffer(ctypes.Structure):
        """ZSTD_inBuffer and ZSTD_outBuffer."""
        _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("place", ctypes.c_size_t)]

    def __init__(self, level):
        self.library, self.size = ctypes.CDLL("libzstd.so.1"), 0
        self.library.ZSTD_createCCtx.restype = ctypes.c_void_p
        self.library.ZSTD_compressStream2.restype = ctypes.c_size_t
        self.library.ZSTD_isError.argtypes = [ctypes.c_size_t]
        self.context, self.target = ctypes.c_void_p(self.library.ZSTD_createCCtx()), ctypes.create_string_buffer(1 << 17)
        self.library.ZSTD_CCtx_setParameter(self.context, LEVEL, level)

    def _feed(self, data, what):
        given = self.Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
        while True:
            out = self.Buffer(ctypes.cast(self.target, ctypes.c_void_p), len(self.target), 0)
            left = self.library.ZSTD_compressStream2(self.context, ctypes.byref(out), ctypes.byref(given), what)
            if self.library.ZSTD_isError(left):
                raise RuntimeError("libzstd gives error %d" % left)
            self.size += out.place
            if given.place == given.size and (what == CONTINUE or not left):
                return

    def write(self, data):
        self._feed(data, CONTINUE)

    def end(self):
        """Bytes of the whole."""
        self._feed(b"", END)
        self.library.ZSTD_freeCCtx(self.context)
        return self.size


class Gzip:
    """Counts what gzip makes of a stream; its head of some bytes aside."""

    def __init__(self, level):
        self.packer, self.size = zlib.compressobj(level), 0

    def write(self, data):
        self.size += len(self.packer.compress(data))

    def end(self):
        """Bytes of the whole."""
        return self.size + len(self.packer.flush())


class Sizes:
    """A file to write to, of which only its sizes are kept: as it is, and by each way of packing."""

    def __init__(self, quick):
        self.size, self.packers = 0, {"zstd -3": Zstd(3), **({} if quick else {"zstd -19": Zstd(19)}), "gzip -6": Gzip(6)}

    def write(self, data):
        self.size += len(data)
        for packer in self.packers.values():
            packer.write(data)
        return len(data)

    def sums(self):
        """Column to bytes."""
        return {"bytes": self.size, **{name: packer.end() for name, packer in self.packers.items()}}


def part_of(name, layer):
    """The part that a file of a layer belongs to.

    :param name: str, its path without a slash before it. :param layer: int, the base's is 0.
    """
    if layer == 0:
        return BASE
    return next(part for part, patterns in PARTS.items() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns))


def layers(archive):
    """(number, open tarfile) of each layer of an archive of docker save, the base's first.

    :raises ValueError: its manifest is another's than docker save's.
    """
    manifest = json.load(archive.extractfile("manifest.json"))
    if not isinstance(manifest, list) or not all(isinstance(image, dict) for image in manifest):
        raise ValueError("its manifest.json is no list of images")
    if len(manifest) != 1:
        raise SystemExit("image_parts: the archive holds %d images, and one is looked at. Save one by its name: docker save NAME:TAG" % len(manifest))
    names = manifest[0].get("Layers")
    if not names or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its manifest.json names no layers")
    for number, name in enumerate(names):
        with tarfile.open(fileobj=archive.extractfile(name)) as layer:
            yield number, layer


def inside(name):
    """A file's path in the image, without a slash or "./" before it, which some builders write.

    :raises ValueError: it leads out of the image, and so out of any folder that it is written to.
    """
    plain = name.removeprefix("./").strip("/")
    if ".." in plain.split("/"):
        raise ValueError("%s leads out of the image" % name)
    return plain


def measured(path, cards, quick):
    """The rows of the table and what was pruned.

    :param path: pathlib.Path, an archive of docker save.
    :param cards: list of str, compute capabilities; empty prunes nothing.
    :returns: dict of ``parts``, part to column to bytes, and with cards ``pruned``, what prune-device-code said, and ``missing``, list of str.
    """
    with contextlib.ExitStack() as opened, tempfile.TemporaryDirectory() as scratch:
        scratch, sinks, infos = pathlib.Path(scratch), {}, {}
        archive = opened.enter_context(tarfile.open(path, mode="r:"))
        for number, layer in layers(archive):
            for info in layer:
                name = inside(info.name)
                part = part_of(name, number)
                if part not in sinks:
                    sizes = Sizes(quick)
                    sinks[part] = sizes, tarfile.open(fileobj=sizes, mode="w|")
                sinks[part][1].addfile(info, layer.extractfile(info) if info.isreg() else None)
                if cards and part == "cuBLAS" and info.isreg():
                    infos[name] = info
                    (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                    with open(scratch / name, "wb") as target:
                        shutil.copyfileobj(layer.extractfile(info), target)
        rows = {}
        for part, (sizes, written) in sinks.items():
            written.close()
            rows[part] = sizes.sums()
        found = {}
        if cards:
            if not infos:
                raise SystemExit("image_parts: the archive holds no cuBLAS, so there is nothing to prune: leave out --cards")
            rows[PRUNED], found["pruned"], found["missing"] = pruned(scratch, infos, cards, quick)
    whole = [row for part, row in rows.items() if part != PRUNED]
    rows[TOTAL] = {column: sum(row[column] for row in whole) for column in whole[0]}
    if cards:
        rows[TOTAL_PRUNED] = {column: size - rows["cuBLAS"][column] + rows[PRUNED][column] for column, size in rows[TOTAL].items()}
    order = ("cuBLAS", PRUNED, *list(PARTS)[1:], BASE, TOTAL, TOTAL_PRUNED)
    return {"parts": {part: rows[part] for part in order if part in rows}, **found}


def pruned(scratch, infos, cards, quick):
    """(sizes of the part with pruned files, what the program said, what the claim would miss)."""
    command = [sys.executable, str(PRUNE), ",".join(removable_device_code.names(cards)), *(str(scratch / name) for name in sorted(infos))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit("image_parts: nothing is pruned. %s" % done.stderr.strip()[-500:].replace("%s/" % scratch, ""))
    said = done.stdout
    (scratch / FOLDER / pruned_code.MANIFEST).write_text(said, encoding="utf-8")
    missing = pruned_code.missing(pruned_code.of_tree(FolderTree([str(scratch)])), cards)
    sizes = Sizes(quick)
    with tarfile.open(fileobj=sizes, mode="w|") as target:
        for name, info in infos.items():
            with open(scratch / name, "rb") as stream:
                target.addfile(info, stream)
    keys = ("file", "bytes", "entries", "frames", "emptied", "emptied_bytes", "left")
    return sizes.sums(), [{key: row[key] for key in keys} for row in map(json.loads, said.splitlines())], missing


def table(rows):
    """The rows as lines of text, in MB (a million bytes)."""
    columns = [column for column in COLUMNS if column in rows[TOTAL]]
    lines = [[""] + ["MB" if column == "bytes" else column for column in columns]]
    lines += [[part] + ["%.1f" % (row[column] / 1e6) for column in columns] for part, row in rows.items()]
    return ["%-24s" % line[0] + "".join("%10s" % cell for cell in line[1:]) for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("--cards", default="", help="compute capabilities, such as 9.0,12.0: prunes cuBLAS for them")
    parser.add_argument("--quick", action="store_true", help="without zstd -19")
    parser.add_argument("--record", metavar="NAME", help="writes what was measured to %s under a name" % RECORD)
    options = parser.parse_args()
    cards = options.cards.split(",") if options.cards else []
    try:
        found = measured(options.archive, cards, options.quick)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        sys.exit("image_parts: %s is not read: %s. It wants an archive that docker save wrote, and compute capabilities such as 9.0" % (options.archive, error))
    print("\n".join(table(found["parts"])))
    if cards:
        print("missing of what %s can run: %s" % (", ".join(cards), "; ".join(found["missing"]) or "nothing"))
    if options.record:
        path = ROOT / RECORD
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"images": {}}
        command = "./bunker layers ARCHIVE --cards %s%s --record '%s'" % (options.cards, " --quick" if options.quick else "", options.record)
        record["images"][options.record] = {"provenance": provenance.made(RECORD, options.record, command), "cards": cards, **found}
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if found.get("missing") else 0


if __name__ == "__main__":
    sys.exit(main())
