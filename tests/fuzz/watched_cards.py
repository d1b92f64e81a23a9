"""What nvidia-smi and the kernel may print, damaged: the watcher's readers, and what is decided by it. The only error is the reader's own."""
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "roles" / "vram_watch" / "files")]

import cards  # noqa: E402
import gpus  # noqa: E402
import status  # noqa: E402
from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import decision, forecast  # noqa: E402

LONGEST = 1.0  # seconds for one look
WANTED = ["GPU-1", "GPU-2"]
LEARNED = {0: {"GPU-1": 80 << 30, "GPU-2": 20 << 30}}
PRINTED = [
    b"GPU-1, NVIDIA RTX PRO 6000, 97887, 90000, 7887\nGPU-2, NVIDIA GeForce RTX 5090, 32607, 30000, 2607\n\0GPU-1, 4711, 82000\nGPU-2, 4711, 20480\n\0"
    b"GPU-1, 00000000:01:00.0, None\nGPU-2, 00000000:41:00.0, Reset\n\0NVRM: Xid (PCI:0000:01:00): 119, pid=4711, name=x, Timeout after 6s\n"
    b"NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)\n",
    b"GPU-1, a, [N/A], [N/A], [N/A]\nGPU-2, b, 32607, 30000, 2607\n\0GPU-2, 4711, [N/A]\n",
    b"GPU-1, a, 97887, 97000, 887\nGPU-1, a, 97887, 97000, 887\n\0",
    b"GPU-2, b, 0, 0, 0\nGPU-1, a, [GPU requires reset], [Unknown Error], 1\n\0GPU-1, [Not Found], 3\n",
]


class Exporter:
    """Takes what Prometheus would."""

    def count(self, *_words, **_labels):
        """Counts nothing."""

    def set(self, *_words, **_labels):
        """Sets nothing."""


def part(data, number):
    """Of what is printed at once, with a NUL between each: the cards, the processes, what the cards need, the kernel's log."""
    parts = data.split(b"\0")
    return parts[number].decode("utf-8", "replace") if number < len(parts) else ""


class Kernel:
    """The kernel's log, from bytes."""

    def read(self):
        """Its lines."""
        return part(Smi.printed, 3).split("\n")


class Smi(gpus.NvidiaSmi):
    """nvidia-smi's answers to its questions, from bytes."""

    printed = b""

    @staticmethod
    def _said(what):
        text = part(Smi.printed, 1 if "apps" in what else 2 if "recovery" in what else 0)
        return len(text) % 3 == 0, text  # now and then it has failed beside what it says


def seeds(_folder=None):
    """What it prints of cards that are well, that say words, that are listed twice, and that have nothing."""
    return PRINTED


class Reader:
    """Looks at the cards, sample after sample: what was seen stays in its memory, as in the watcher's."""

    def __init__(self):
        self.cards = cards.Cards(WANTED, "nvidia-smi", [], Exporter(), lambda *_words, **_more: None, Kernel(), ["a.service"])
        self.state, self.now = decision.State(), 0.0
        gpus.SOURCES["nvidia-smi"] = [Smi]

    def read(self, data):
        """Fails with any exception, or where it takes too long."""
        begun = time.process_time()
        Smi.printed, self.now = data, self.now + 5
        found = self.cards.look(self.now)
        known = {**self.cards.last, **(found or {})}
        free = {uuid: card.free for uuid, card in (found or {}).items()}
        assert all(sentence and "\n" not in sentence for sentence in self.cards.faults.values())
        assert all(0 <= card.free <= card.total for card in known.values())
        seen = decision.Observation(
            time=self.now, rung=0, headroom=min(free.values()) if free else None, complete=set(WANTED) <= set(free), event="lost" if self.cards.lost else "",
            predicted=forecast.headrooms({uuid: card.free for uuid, card in known.items()}, LEARNED[0], forecast.needs(LEARNED, [0, 1 << 30, None])))
        self.state, decided = decision.decide(self.state, seen, decision.Limits())
        if decided.kind in ("step", "back"):
            self.state = decision.finished(self.state, self.now, 0, "", False)
        if self.state.latched and self.state.latched != decision.LOST:
            self.state = decision.State()
        assert decision.from_json(decision.to_json(self.state)) == self.state
        for card in known.values():
            status.drawn(0, card.used, card.total)
        took = time.process_time() - begun
        assert took < LONGEST, "%.2f s" % took

    def close(self):
        """There is nothing to close."""
