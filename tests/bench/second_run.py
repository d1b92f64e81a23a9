"""What a run of site.yml takes that changes nothing, and which tasks it takes it for.

    PYTHONPATH=tests python tests/bench/second_run.py tests/bench/results/second_run.json [--rounds 5] [--host bunker-demo] [OPTIONS of ansible-playbook]

On a host that was deployed, the demo's by default (``./bunker demo``; after ``--quick`` add ``-e @tests/host/vars/quick.yml``), while nothing else is at work
on the machine. A run that changes something ends it. Told: seconds of each round from the start of ansible-playbook to its end, how many tasks were done and
passed over, and the tasks that took most of it, each by its median over the rounds. What is not a task's is Ansible's own: its start, reading the playbooks.
"""
import argparse
import json
import pathlib
import re
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support import plays, provenance  # noqa: E402

RECORD = "tests/bench/results/second_run.json"
RECAP = re.compile(r": ok=(\d+) .* skipped=(\d+)")
SHOWN = 25  # tasks


def one_round(host, folder, options):
    """(seconds, tasks done, tasks passed over, dict of a task to its seconds) of one run.

    :raises SystemExit: it fails or changes something.
    """
    tasks = {}

    def watch(event):
        data = event.get("event_data", {})
        if event["event"] in ("runner_on_ok", "runner_on_skipped"):
            name = "%s: %s" % (data.get("role") or "the play", data["task"])
            tasks[name] = tasks.get(name, 0) + data.get("duration", 0)

    run = plays.play("site.yml", host, folder, *options, watch=watch)
    if run.rc or run.changed:
        raise SystemExit("second_run: the run %s. Deploy the host first, and run this when it is as the inventory says." % (
            "failed: " + " ".join(run.failures)[:2000] if run.rc else "changed something: " + ", ".join(sorted(run.changed))))
    done, passed_over = map(int, RECAP.search(run.output).groups())
    return run.seconds, done, passed_over, tasks


def summed(rounds):
    """The record of the rounds: their seconds and median, tasks, and the longest of these by their median.

    :param rounds: list of what :func:`one_round` returns.
    """
    medians = {name: statistics.median(one[3].get(name, 0) for one in rounds) for name in rounds[0][3]}
    longest = sorted(medians, key=medians.get, reverse=True)
    return {"seconds": [round(one[0], 1) for one in rounds], "median": round(statistics.median(one[0] for one in rounds), 1),
            "tasks": {"done": rounds[0][1], "passed over": rounds[0][2]}, "in_tasks": round(sum(medians.values()), 1),
            "longest": {name: round(medians[name], 2) for name in longest[:SHOWN]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--host", default="bunker-demo")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [one_round(arguments.host, pathlib.Path(folder) / str(number), options) for number in range(arguments.rounds)]
    record = {"provenance": provenance.made(RECORD, command=" ".join(["PYTHONPATH=tests python tests/bench/second_run.py", RECORD, *sys.argv[2:]])),
              **summed(rounds)}
    arguments.result.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
