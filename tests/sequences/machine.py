"""The hosts on which changes of the inventory are played, of tests/host/hosts.yml."""
import json
import os
import pathlib
import re
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
# As ./bunker has it; support.hosts reads it once it is imported.
os.environ.setdefault("BUNKER_CACHE", str(pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "protocol_omni.bunker"))
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
import changes  # noqa: E402
import streams  # noqa: E402
import yaml  # noqa: E402
from support import hosts, image  # noqa: E402

ADDRESSES = {"bunker-test-sequences": "172.29.253.35", "bunker-test-sequences-beside": "172.29.253.36"}
PORT = 8443
# The second model is the first with one letter of its name changed, so that it has another hash and the same answers.
GIVEN = r"""
import glob, os
os.makedirs("/root/given", exist_ok=True)
data = bytearray(open(glob.glob("/srv/models/smollm2-135m-instruct-q4_1/*.gguf")[0], "rb").read())
open("/root/given/first.gguf", "wb").write(data)
data[data.find(b"general.name") + len(b"general.name") + 12] = ord("T")
open("/root/given/second.gguf", "wb").write(data)
with os.fdopen(os.open("/root/given/provider.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
    file.write("a key of a provider that nobody asks\n")
"""


def of_image(without_cuda):
    """What inventories say of the image besides the matrix, once it is there.

    :param without_cuda: the one of ``./bunker demo --quick`` instead of the tests'; where the cache lacks it, the host compiles it in its first run.
    """
    if without_cuda:
        return yaml.safe_load((FOLDER.parent / "host" / "vars" / "quick.yml").read_text(encoding="utf-8"))
    image.provide()
    return image.variables()


class Machine(hosts.Host):
    """The host, with the matrix and the states in which its things are."""

    def __init__(self, name, data, variables):
        super().__init__(name, pathlib.Path(tempfile.mkdtemp(prefix="bunker-sequences-")), variables)
        self.data, self.states = data, {}

    def to(self, states, tags=()):
        """Applies the inventory of some states with site.yml; returns its run, which may have failed."""
        options = ["--tags", ",".join(tags)] if tags else []
        done = self.run("site.yml", *options, extra_vars=changes.variables(self.data, states))
        self.states = dict(states)
        print("%-60s rc %d, %d s, changed: %s" % (tags and ",".join(tags) or "whole", done.rc, done.seconds, sorted(done.changed)), flush=True)
        for failure in done.failures[-2:]:
            print("    " + failure[:600], flush=True)
        return done

    def image(self):
        """The name of its image, without a tag."""
        return self.variables.get("golden_image_name", "omni/llama-server")

    def failing(self):
        """The claims of the last run that fail or were not observed."""
        return sorted("%s: %s" % (claim["id"], claim["observed"]) for claim in self.report()["claims"] if claim["status"] in ("fails", "not observed"))

    def inventory(self):
        """All that the host has."""
        return json.loads(self.sh("python3 -", stdin=(FOLDER / "host_inventory.py").read_text(encoding="utf-8")))

    def give(self):
        """Puts the files on the host that inventories of the matrix name."""
        self.sh("python3 -", stdin=GIVEN)

    def fresh(self, states):
        """Takes the host back to bare (models and packages stay) and deploys the inventory; returns what it has then, or None where that failed."""
        if self.run("playbooks/teardown.yml", extra_vars=changes.variables(self.data, self.states)).rc:
            return None
        return self.inventory() if self.to(states, changes.ROLES).rc == 0 else None

    def streams(self, models):
        """A client for models; see :class:`streams.Streams`."""
        return streams.Streams(ADDRESSES[self.host], PORT, self.execute("cat /etc/protocol_omni/gateway/operator.key")[1].strip(), models)

    def holds(self, cell, found):
        """What of a cell's words about the host is not so.

        :param cell: dict of the matrix.
        :param found: dict, of :meth:`inventory`.
        :returns: list of str.
        """
        there = {"%s %s" % (kind, name) for kind, things in found.items() for name in things}
        named, left = ([name.replace("{image}", self.image()) for name in cell.get(part, [])] for part in ("there", "gone"))
        wrong = ["missing: " + name for name in named if name not in there] + ["left: " + name for name in left if name in there]
        for part, wanted in (("says", True), ("silent", False)):
            for path, text in cell.get(part, []):
                if (text in self.execute("cat %s" % path)[1]) != wanted:
                    wrong.append("%s %s %s" % (path, "does not say" if wanted else "still says", text))
        return wrong


def words(text):
    """A text on one line, for records."""
    return re.sub(r"\s+", " ", text).strip()
