"""Captures which packages of NVIDIA's driver the supported systems' archives have, as driver_packages.yml beside this file holds them.

    python tests/captures/driver_packages.py                        # Debian's, by the machine's own mirror: names, and what installing the role's choice brings
    python tests/captures/driver_packages.py --others UBUNTU_ARCHIVE    # NVIDIA's and Ubuntu's, where both can be reached; UBUNTU_ARCHIVE is its address

The first reads the indexes of contrib, non-free and non-free-firmware into a temporary folder, and has apt resolve every dependency on an empty system. The
second puts what the indexes hold in place of the section "documented", which was written by hand of what is published about them, each entry with its source.
"""
import argparse
import collections
import datetime
import gzip
import lzma
import pathlib
import re
import subprocess
import tempfile
import urllib.request

import jinja2
import yaml

PATH = pathlib.Path(__file__).with_suffix(".yml")
ROLE = pathlib.Path(__file__).resolve().parents[2] / "roles" / "host_driver"
DATA = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
RELEASES = {"Debian 12": "bookworm", "Debian 13": "trixie"}
UBUNTU = {"Ubuntu 24": ["noble-updates", "noble-security", "noble"], "Ubuntu 26": ["resolute-updates", "resolute-security", "resolute"]}
BRANCHES = [580, 590, 595, 610, 615]
COMPONENTS = ["main", "contrib", "non-free", "non-free-firmware"]
WANTED = re.compile(r"^(nvidia-|libnvidia-|firmware-nvidia|libcuda1$|linux-headers-amd64$)")
BROUGHT = re.compile(r"^(nvidia-|libnvidia-|firmware-nvidia|libcuda1$|linux-headers-|dkms$)")
HEAD = "# Made by tests/captures/driver_packages.py; the section \"documented\" is written by hand until it is read. Name to version.\n"


class Indented(yaml.SafeDumper):
    """Lists as yamllint wants them."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def chosen(origin, system, branch):
    """The role's own choice of packages."""
    table = jinja2.Template(DATA["_host_driver_names"]).render(host_driver_origin=origin, host_driver_branch=branch)
    suffix = jinja2.Template(DATA["_host_driver_suffix"]).render(host_driver_branch=branch)
    return [jinja2.Template(name).render(_host_driver_suffix=suffix) for name in DATA["_host_driver_table"][table][system]]


def mirror():
    """The first mirror of the machine's own apt configuration."""
    said = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True, text=True, check=True)
    return said.stdout.split()[0]


def read(release, folder, names):
    """(name to version of what a release has, the same of what installing these names on an empty system brings)."""
    source = folder / "sources.list"
    source.write_text("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s %s\n" % (mirror(), release, " ".join(COMPONENTS)), encoding="utf-8")
    (folder / "status").write_text("", encoding="utf-8")
    options = ["-o", "Dir::Etc::sourcelist=%s" % source, "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Dir::State::Lists=%s" % (folder / "lists"),
               "-o", "Dir::Cache=%s" % (folder / "cache"), "-o", "Dir::State::status=%s" % (folder / "status"), "-o", "APT::Sandbox::User=root"]
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    subprocess.run(["apt-get", *options, "update"], check=True, capture_output=True)
    said = subprocess.run(["apt-cache", *options, "dumpavail"], check=True, capture_output=True, text=True).stdout
    pairs = re.findall(r"(?m)^Package: (\S+)$[\s\S]*?^Version: (\S+)$", said)
    tried = subprocess.run(["apt-get", *options, "--simulate", "--no-install-recommends", "install", *names], check=True, capture_output=True, text=True).stdout
    brought = re.findall(r"(?m)^Inst (\S+) (?:\[\S+\] )?\((\S+)", tried)
    return tuple({name: version for name, version in sorted(some) if wanted.match(name)} for some, wanted in ((pairs, WANTED), (brought, BROUGHT)))


def stanzas(text):
    """Fields of each package of an index, a dict each."""
    field = re.compile(r"(?m)^(Package|Version|Architecture|Depends|Pre-Depends|Provides): *(.*)$")
    return [dict(field.findall(stanza)) for stanza in text.split("\n\n") if stanza.strip()]


def driver_of_index(text):
    """{branch: {name: {version, depends, provides}}} of the driver's packages of an index; of each branch the version that is listed last."""
    found = collections.defaultdict(dict)
    for one in stanzas(text):
        branch = re.match(r"(?:\d+:)?(\d{3})\.", one.get("Version", ""))
        if branch and int(branch.group(1)) in BRANCHES and WANTED.match(one["Package"]) and one.get("Architecture") in ("amd64", "all"):
            names = [re.split(r" *[,] *", one[field]) for field in ("Pre-Depends", "Depends") if one.get(field)]
            found[int(branch.group(1))][one["Package"]] = {
                "version": one["Version"], "depends": [re.sub(r" *\(.*?\)|:any", "", name) for some in names for name in some],
                "provides": [re.sub(r" *\(.*?\)", "", name) for name in re.split(r" *, *", one.get("Provides", "")) if name]}
    return dict(found)


def fetched(address):
    with urllib.request.urlopen(address, timeout=60) as answer:
        content = answer.read()
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}[pathlib.PurePosixPath(address).suffix]
    return unpack(content).decode("utf-8")


def others(ubuntu):
    """The section "documented", as the archives themselves have it."""
    repositories = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))["host_driver_repository"]
    texts = {("nvidia", system): (["%s/%s/x86_64/Packages.gz" % (repositories, entry["folder"])]) for system, entry in DATA["_host_driver_systems"].items()}
    texts.update({("distribution", system): ["%s/dists/%s/%s/binary-amd64/Packages.xz" % (ubuntu, suite, part) for suite in reversed(suites)
                                             for part in ("restricted", "multiverse")] for system, suites in UBUNTU.items()})
    found = {}
    for (origin, system), addresses in texts.items():
        for branch, names in sorted(driver_of_index("\n\n".join(map(fetched, addresses))).items()):
            found["%s %s %d" % (origin, system, branch)] = {"source": "its index, read on %s" % datetime.date.today().isoformat(), "names": names, "unread": []}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--others", metavar="UBUNTU_ARCHIVE", help="read NVIDIA's repositories and Ubuntu's archive instead of Debian's mirror")
    asked = parser.parse_args()
    known = yaml.safe_load(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    index, installs = known.get("index", {}), known.get("installs", {})
    for system, release in RELEASES.items() if not asked.others else ():
        with tempfile.TemporaryDirectory() as folder:
            names = chosen("distribution", system, 580) + [DATA["_host_driver_systems"][system]["headers"]]
            index[system], installs[system] = read(release, pathlib.Path(folder), names)
    found = {"date": datetime.date.today().isoformat() if not asked.others else known["date"], "index": index, "installs": installs,
             "documented": others(asked.others) if asked.others else known.get("documented", {})}
    PATH.write_text(HEAD + "---\n" + yaml.dump(found, Dumper=Indented, sort_keys=False, width=150), encoding="utf-8")
    print({system: len(names) for system, names in index.items()}, len(found["documented"]))


if __name__ == "__main__":
    main()
