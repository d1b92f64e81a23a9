"""Captures which packages of NVIDIA's driver Debian's releases have, as driver_packages.yml beside this file holds them: with the machine's own mirror.

    python tests/captures/driver_packages.py        # on Debian; reads the indexes of contrib, non-free and non-free-firmware into a temporary folder

What NVIDIA's and Ubuntu's repositories have is not read: the section "documented" is written by hand and kept, with its source.
"""
import datetime
import pathlib
import re
import subprocess
import tempfile

import yaml

PATH = pathlib.Path(__file__).with_suffix(".yml")
RELEASES = {"Debian 12": "bookworm", "Debian 13": "trixie"}
COMPONENTS = ["main", "contrib", "non-free", "non-free-firmware"]
WANTED = re.compile(r"^(nvidia-|libnvidia-|firmware-nvidia|libcuda1$|linux-headers-amd64$)")
HEAD = "# Made by tests/captures/driver_packages.py; the section \"documented\" is written by hand. Name to version.\n"


class Indented(yaml.SafeDumper):
    """Lists as yamllint wants them."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def mirror():
    """The first mirror of the machine's own apt configuration."""
    said = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True, text=True, check=True)
    return said.stdout.split()[0]


def read(release, folder):
    """Name to version of what a release has."""
    source = folder / "sources.list"
    source.write_text("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s %s\n" % (mirror(), release, " ".join(COMPONENTS)), encoding="utf-8")
    options = ["-o", "Dir::Etc::sourcelist=%s" % source, "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Dir::State::Lists=%s" % (folder / "lists"),
               "-o", "Dir::Cache=%s" % (folder / "cache"), "-o", "APT::Sandbox::User=root"]
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    subprocess.run(["apt-get", *options, "update"], check=True, capture_output=True)
    said = subprocess.run(["apt-cache", *options, "dumpavail"], check=True, capture_output=True, text=True).stdout
    pairs = re.findall(r"(?m)^Package: (\S+)$[\s\S]*?^Version: (\S+)$", said)
    return {name: version for name, version in sorted(pairs) if WANTED.match(name)}


def main():
    known = yaml.safe_load(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    index = {}
    for system, release in RELEASES.items():
        with tempfile.TemporaryDirectory() as folder:
            index[system] = read(release, pathlib.Path(folder))
    found = {"date": datetime.date.today().isoformat(), "index": index, "documented": known.get("documented", {})}
    PATH.write_text(HEAD + "---\n" + yaml.dump(found, Dumper=Indented, sort_keys=False, width=150), encoding="utf-8")
    print({system: len(names) for system, names in index.items()})


if __name__ == "__main__":
    main()
