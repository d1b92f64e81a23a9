# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a run will still take: by earlier runs of the same kind, phase by phase; before there are any, by first values. Times are seconds."""
from __future__ import annotations

import json
import statistics

from . import phases

KEPT, KINDS = 5, 40  # runs that are remembered of a kind, and kinds
LONGEST = 10 ** 7  # seconds of a phase, which are 115 days; a clock that says more has jumped
CHANGING, SAME = 0, 1  # places in a pair: a phase that changes the host, one that finds it as it shall be
WORDS = ("changing", "same")
# The demo on two cores (docs/measured.md): 43 minutes of compiling, 119 s for a second run. A real driver is downloaded and compiled for the kernel.
FIRST = {"preflight": (15, 12), "driver": (120, 3), "disks": (5, 2), "engine": (45, 5), "image": (2580, 8), "networks": (10, 6), "models": (20, 3),
         "services": (70, 32), "gateway": (15, 8), "watch": (15, 9), "claims": (40, 35)}
FIRST_CORES = 2
WITHOUT_CUDA = 480  # of an image without CUDA, on as many cores
LEAST_IMAGE = 120  # what does not get faster by cores: packages, layers, the proof of the image
BYTES_A_SECOND = 50 * 10 ** 6  # of a hub, over a line of 400 Mbit/s


def is_time(seconds):
    """Whether a phase can have taken so many seconds. Numbers that no float holds and NaN are none."""
    return 0 <= seconds <= LONGEST


class Expected:
    """What is expected of the phases of a run.

    :param pairs: dict of phase to seconds (where it changes the host, where it does not).
    :param deployed: whether a run of this kind has come through all phases.
    :param guessed: phases whose seconds are first values.
    """

    def __init__(self, pairs, deployed=False, guessed=()):
        self.pairs, self.deployed, self.guessed = dict(pairs), deployed, frozenset(guessed)

    def on(self, cores):
        """The same on a host of so many cores: a build that nobody has seen there is expected to take that much less."""
        if "image" not in self.guessed or not cores:
            return self
        changing, same = self.pairs["image"]
        shorter = max(min(changing, LEAST_IMAGE), changing * FIRST_CORES / cores)
        return Expected({**self.pairs, "image": (shorter, same)}, self.deployed, self.guessed - {"image"})


def _names(word):
    """Names of the variables of one ``-e``, without their values: those may be secrets."""
    if isinstance(word, dict):
        return " ".join(map(str, word))
    word = str(word).strip()
    if word.startswith("@"):
        return word
    if word.startswith("{"):
        try:
            return _names(json.loads(word))
        except (ValueError, RecursionError):
            return "{…}"
    return " ".join(part.partition("=")[0] for part in word.split() if "=" in part)


def kind(playbook, hosts, options):
    """What makes two runs alike: the playbook, its hosts, and what was asked for.

    :param options: ansible-playbook's, as its command line has them: ``check``, ``tags``, ``skip_tags``, ``extra_vars``.
    """
    found = "%s on %s" % (playbook, ", ".join(sorted(hosts)))
    if options.get("check"):
        found += " --check"
    for key, word in (("tags", "--tags"), ("skip_tags", "--skip-tags")):
        asked = sorted(set(options.get(key) or ()) - {"all"})
        found += " %s %s" % (word, ",".join(asked)) if asked else ""
    return found + "".join(" -e %s" % _names(word) for word in options.get("extra_vars") or ())


def _bytes_of_models(variables):
    """Bytes of the models that services of the inventory name, as far as it says their size. Variables may be templates, of which nothing is known here."""
    def dicts(value):
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    named = [service.get("model") for service in dicts(variables.get("bunker_services"))]  # a list: what an inventory has there may be no key
    files = [file for model in dicts(variables.get("model_store_extra_models")) if model.get("name") in named for file in dicts(model.get("files"))]
    sizes = [file["size"] for file in files if isinstance(file.get("size"), int) and not isinstance(file["size"], bool)]
    return sum(size for size in sizes if is_time(size // BYTES_A_SECOND))


def first_values(variables, check=False):
    """Pairs of all phases of site.yml on a host that nobody has seen.

    :param variables: the host's variables.
    """
    found = dict(FIRST)
    if variables.get("golden_image_cuda") is False:
        found["image"] = (WITHOUT_CUDA, FIRST["image"][SAME])
    found["models"] = (FIRST["models"][CHANGING] + _bytes_of_models(variables) / BYTES_A_SECOND, FIRST["models"][SAME])
    return {name: (same, same) if check else (changing, same) for name, (changing, same) in found.items()}


def _of_record(record, guess):
    """A pair by what is remembered of a phase: the middle of each. What was never seen is the guess; without one, the other of the two."""
    seen = [statistics.median(record[word]) if record.get(word) else None for word in WORDS]
    guess = guess or tuple(one if one is not None else seen[1 - place] or 0 for place, one in enumerate(seen))
    return tuple(guess[place] if one is None else one for place, one in enumerate(seen))


def expected(records, playbook, key, variables, check=False, part=False):
    """What is expected of a run: an Expected, or None where nobody knows.

    :param records: dict of kinds, as remember() makes it.
    :param playbook: file name of the playbook.
    :param key: the run's kind().
    :param check: whether it only predicts.
    :param part: whether only a part of the playbook was asked for; which phases that leaves, only an earlier run can tell.
    """
    record = records.get(key) or {"phases": {}}
    guesses = {} if part else first_values(variables, check) if playbook in ("site.yml", "verify.yml") else {}
    pairs = {name: _of_record(record["phases"][name], guesses.get(name)) if name in record["phases"] else guesses.get(name, (0, 0)) for name in phases.ORDER}
    if not record["phases"] and not guesses:
        return None
    guessed = {name for name in guesses if not record["phases"].get(name, {}).get(WORDS[CHANGING])}
    return Expected(pairs, bool(record.get("whole")), guessed)


def remember(records, key, run):
    """The records with a run that is over: of each phase that was left behind, its seconds.

    :param records: dict of kind to dict with ``whole`` (whether a run has come to the last phase) and ``phases`` (name to lists of seconds).
    """
    found = {name: record for name, record in records.items() if name != key}
    record = records.get(key) or {}
    of_phases = {name: dict(lists) for name, lists in (record.get("phases") or {}).items()}
    for name, phase in run.phases.items():
        if phase.state == "done" and is_time(phase.seconds):
            word = WORDS[CHANGING if phase.changed else SAME]
            lists = of_phases.setdefault(name, {})
            lists[word] = [*lists.get(word, []), round(phase.seconds, 1)][-KEPT:]
    if of_phases:
        found[key] = {"whole": bool(record.get("whole")) or run.phase == list(run.phases)[-1], "phases": of_phases}
    return dict(list(found.items())[-KINDS:])


def _changes(run):
    """Whether what is still to come is expected to change the host."""
    if any(phase.changed for phase in run.phases.values()):
        return True
    engine = run.phases.get("engine")
    return not (run.expected.deployed or engine and engine.state == "done")


def remaining(run, now):
    """(seconds, whether the present phase takes longer than is known of it; then the seconds are of what follows)."""
    names, place = list(run.phases), CHANGING if _changes(run) else SAME
    begun = names.index(run.phase) + 1 if run.phase else 0
    later = sum(run.expected.pairs[name][place] for name in names[begun:])
    if not run.phase:
        return later, False
    spent, pair = run.seconds_of(run.phase, now), run.expected.pairs[run.phase]
    left = [seconds - spent for seconds in (pair[place], pair[CHANGING]) if seconds >= spent]
    return (later + left[0], False) if left else (later, True)


def words(seconds):
    """A time that nobody knows to the second, as people say it."""
    minutes = int(seconds / 60 + 0.5)
    if seconds < 60:
        return "less than a minute"
    if minutes <= 90:
        return "about %d min" % minutes
    hours, rest = divmod(int(minutes / 10 + 0.5) * 10, 60)
    return "about %d h" % hours + (" %d min" % rest if rest else "")


def told(run, now):
    """What is said of the time that is left; empty where nothing is known of such a run."""
    if run.expected is None or run.ended is not None:
        return ""
    seconds, over = remaining(run, now)
    if over:
        return "%s takes longer than expected" % run.phase + ("; %s after it" % words(seconds) if seconds else "")
    return "%s remaining" % words(seconds)


def of_phase(run, name):
    """What is said of a phase that is still to come, where it is worth a word: from a minute on."""
    seconds = run.expected.pairs[name][CHANGING if _changes(run) else SAME] if run.expected else 0
    return words(seconds) if seconds >= 60 else ""
