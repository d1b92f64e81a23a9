"""What a second build of the golden image takes after a change of one .cu file, of one CMake option, or of the base alone, and what it compiled anew.

    PYTHONPATH=tests:collections python tests/bench/second_build.py tests/bench/results/second_build.json [--whole]

On a bare host of the tests, with the compiler cache of BUNKER_CACHE. First the image is built as it is, so that the cache and the engine's layers are those
of a host that has built it once; then each change by itself, from there. Told of each: seconds of the play and of the compilers, and how many files the
compiler cache did not have. The image is the tests' reduced one; --whole takes the real one, whose first build takes most of an hour. Needs root and Docker.
"""
import argparse
import hashlib
import io
import json
import pathlib
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import compile_times  # noqa: E402
from support import hosts, image, provenance  # noqa: E402

RECORD = "tests/bench/results/second_build.json"
HOST, LOG = image.HOST, "/var/log/protocol_omni/golden-image-build.log"
CACHE = "/var/cache/protocol_omni"  # BUNKER_CACHE on the host
FILE = "ggml-cuda/acc.cu"
OPTION = {"GGML_CUDA_FORCE_MMQ": "ON"}  # a definition for every CUDA file


def with_member(archive, added, changed):
    """A copy of a tar archive as bytes, not compressed.

    :param archive: pathlib.Path.
    :param added: dict of a path to bytes, put at its end.
    :param changed: str, the end of a member's path, which gets a line more.
    :raises SystemExit: not exactly one member ends so.
    """
    found, written = [], io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=written, mode="w") as new:
        for member in old:
            content = old.extractfile(member).read() if member.isfile() else None
            if changed and member.name.endswith("/" + changed):
                found.append(member.name)
                content += b"\nint bunker_second_build = 1;\n"
                member.size = len(content)
            new.addfile(member, io.BytesIO(content) if content is not None else None)
        for path, content in added.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    if changed and len(found) != 1:
        raise SystemExit("second_build: %d files of %s end with %s, and one is wanted: %s" % (len(found), archive.name, changed, ", ".join(found)))
    return written.getvalue()


def archives(folder, source, base):
    """Writes the changed source and the changed base to a folder of the cache: variables of the change by its name."""
    made = {}
    for name, content in (("source.tar", with_member(source, {}, FILE)), ("base.tar", with_member(base, {"etc/second-build": b"another base\n"}, ""))):
        (folder / name).write_bytes(content)
        made[name] = "%s/%s/%s" % (CACHE, folder.name, name), hashlib.sha256(content).hexdigest()
    return {
        "one .cu file": {"golden_image_source": {"file": made["source.tar"][0]}, "golden_image_source_sha256": made["source.tar"][1]},
        "the base alone": {"golden_image_base_archive": made["base.tar"][0], "golden_image_base_archive_sha256": made["base.tar"][1]},
    }


def built(host, variables):
    """Builds the image by other variables: seconds of the play and of the compilers, and files by group."""
    played = host.run("tests/host/image.yml", extra_vars=variables)
    if played.rc:
        raise SystemExit("second_build: the play fails: " + " ".join(played.failures)[-2000:])
    text = host.sh("cat %s" % LOG)
    if not compile_times.LINE.search(text):  # all of it was in BuildKit's own cache
        return {"play_seconds": round(played.seconds, 1), "files": 0}
    files = compile_times.compiled(text)
    rows = compile_times.grouped(files)
    return {"play_seconds": round(played.seconds, 1), "compile_seconds": compile_times.used(files)["seconds"], "files": len(files),
            "not_cached": {name: row["misses"] for name, row in rows.items() if row["misses"]}}


def measured(variables, folder):
    """Each build by its name, on a host of its own."""
    source = next(hosts.CACHE.glob("sources/*.tar.gz"))
    changes = archives(folder, source, hosts.CACHE / "base" / "trixie.tar")
    options = variables.get("golden_image_cmake_options", {})
    changes["one option, %s" % " ".join(OPTION)] = {"golden_image_cmake_options": {**options, **OPTION}}
    found = {}
    with tempfile.TemporaryDirectory() as scratch, hosts.bare(HOST):
        host = hosts.Host(HOST, pathlib.Path(scratch), dict(variables, golden_image_keep_archive=False, golden_image_keep_earlier=9))
        host.sh("mkdir -p /srv/cache && cp -a %s/ccache %s/sources /srv/cache/" % (CACHE, CACHE))
        host.variables["bunker_cache_path"] = "/srv/cache"  # what these builds leave in the compiler cache is not the next one's
        host.variables["golden_image_base_archive"] = CACHE + "/base/trixie.tar"
        for name, change in [("as it is", {}), *changes.items()]:
            found[name] = built(host, change)
            print(name, json.dumps(found[name]), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()
    variables = {} if arguments.whole else image.QUICK
    with tempfile.TemporaryDirectory(dir=hosts.CACHE, prefix="second-build-") as folder:
        found = measured(variables, pathlib.Path(folder))
    record = {"provenance": provenance.made(RECORD, command="PYTHONPATH=tests:collections python tests/bench/second_build.py %s%s" % (
        RECORD, " --whole" if arguments.whole else "")), "image": variables.get("golden_image_name", "omni/llama-server"), "builds": found}
    arguments.result.parent.mkdir(exist_ok=True)
    arguments.result.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
