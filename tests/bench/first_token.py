"""From ``systemctl start`` to the first token: what of it is ours (clearing, seal, verification, placement, docker) and what llama-server's.

    first_token.py --service oracle --address http://172.30.0.10:8000 [--rounds 10] [--cold FILE...]

Run it as root on the host of the services, for instance by ``docker cp tests/bench bunker-demo:/root/`` and ``docker exec bunker-demo python3 ...``. It stops
and starts the service in each round. With --cold the files, the model's, are dropped from the page cache before each start. Prints JSON: for each phase its
median seconds over the rounds with the 95 % interval, and the rounds.

The times are systemd's own, of each command of the unit and of the journal's messages, the container's start by the engine, and the client's, all of one
clock. The first token is a streamed one of a prompt of a few words, asked for every ten milliseconds until it comes. Standard library only; paired.py lies
beside it.
"""
import argparse
import datetime
import http.client
import json
import os
import re
import statistics
import subprocess
import time
import urllib.parse

from paired import interval_of_median

# MESSAGE_ID of systemd's catalogue (sd-messages.h): a unit begins to start, a unit has started.
STARTING, STARTED = "7d4958e842da4a758f6c1cdc7b36dcc5", "39f53479d3a045ac8e11786248231fbf"
COMMAND = re.compile(r"^(ExecStart(?:Pre|Post)?)=\{ path=.*? ; argv\[\]=(.*?) ; ignore_errors=(?:yes|no) ; start_time=\[(.*?)\] ; stop_time=\[(.*?)\] ; ",
                     re.MULTILINE | re.DOTALL)
# What a command of the unit is for, by a word of it; the first that is in it counts.
KINDS = (("docker rm", "clearing"), ("nvidia-smi", "placement"), ("verified_file.py", "verification"), ("/seal/", "seal"))
OURS = ("clearing", "seal", "verification", "placement", "docker", "systemd")


def seconds_of(text):
    """Seconds since 1970 of a time as ``systemctl show --timestamp=us+utc`` writes it, None of "n/a".

    :raises ValueError: it has no microseconds: that systemd is too old to tell them.
    """
    if text in ("n/a", ""):
        return None
    found = re.fullmatch(r"\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) UTC", text)
    if not found:
        raise ValueError("systemctl writes '%s', and microseconds in UTC are wanted: --timestamp=us+utc of systemd 249 or newer" % text)
    return datetime.datetime.strptime(found.group(1) + "+0000", "%Y-%m-%d %H:%M:%S.%f%z").timestamp()


def commands(shown):
    """What ``systemctl show`` says of the unit's commands: list of (property, words, begin, end), in their order; end is None where one still runs."""
    return [(name, words, seconds_of(begin), seconds_of(end)) for name, words, begin, end in COMMAND.findall(shown)]


def kind_of(words):
    """What a command before or after llama-server's is for."""
    return next((kind for word, kind in KINDS if word in words), "other")


def messages(text, since):
    """Seconds of systemd's messages that the unit begins to start and that it has started, from lines of ``journalctl -o json``.

    :param since: seconds since 1970; what is older is of an earlier start.
    :returns: dict of ``starting`` and ``started`` to seconds.
    :raises ValueError: one of them is not there.
    """
    found = {}
    for entry in map(json.loads, text.splitlines()):
        name = {STARTING: "starting", STARTED: "started"}.get(entry.get("MESSAGE_ID"))
        at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
        if name and at >= since:
            found.setdefault(name, at)
    missing = {"starting", "started"} - set(found)
    if missing:
        raise ValueError("the journal holds no message of the unit's %s since the start was asked for" % " and ".join(sorted(missing)))
    return found


def container_start(text):
    """Seconds since 1970 of .State.StartedAt, which has nanoseconds."""
    whole, _point, fraction = text.strip().rstrip("Z").partition(".")
    begun = datetime.datetime.strptime(whole + "+0000", "%Y-%m-%dT%H:%M:%S%z").timestamp()
    return begun + float("0." + (fraction or "0"))


def phases(asked, shown, journal, started_at, token):
    """Seconds of each phase of a start.

    :param asked: seconds since 1970 when ``systemctl start`` was called; token: when the first token was there.
    :param shown: what ``systemctl show`` printed. :param journal: lines of ``journalctl -o json``. :param started_at: the engine's StartedAt.
    :returns: dict: each of OURS, all before the container's process runs; ``ours``, their sum; ``llama_server``, from there to the token; ``total``;
        ``seal_beside``, what the seal takes while the model is loaded; ``active``, until systemd calls the unit started.
    """
    found, said, container = dict.fromkeys(OURS, 0.0), messages(journal, asked), container_start(started_at)
    main = None
    for name, words, begin, end in commands(shown):
        if name == "ExecStartPre" and begin is not None and begin >= asked:
            kind = kind_of(words)
            found[kind] = found.get(kind, 0.0) + end - begin
        elif name == "ExecStartPost" and begin is not None and begin >= asked:
            found["seal_beside"] = found.get("seal_beside", 0.0) + end - begin
        elif name == "ExecStart":
            main = begin
    if main is None or not asked <= main <= container <= token:
        raise ValueError("the start was asked for at %.3f, docker run began at %s, the container's process at %.3f and the token came at %.3f: not of one start"
                         % (asked, "no time" if main is None else "%.3f" % main, container, token))
    found["docker"] = container - main
    before = container - asked
    found["systemd"] = before - sum(seconds for kind, seconds in found.items() if kind not in ("systemd", "seal_beside"))
    return {**found, "ours": before, "llama_server": token - container, "total": token - asked, "active": said["started"] - asked}


def summed_up(rounds):
    """Phase to {"median", "interval"} of rounds: list of what :func:`phases` gives."""
    names = list(dict.fromkeys(name for one in rounds for name in one))
    return {name: {"median": round(statistics.median(values), 3), "interval": [round(value, 3) for value in interval_of_median(values)]}
            for name, values in ((name, [one.get(name, 0.0) for one in rounds]) for name in names)}


def first_token(address, longest):
    """Seconds since 1970 when the first token of an answer was there; asks until there is one."""
    url = urllib.parse.urlsplit(address)
    body = json.dumps({"prompt": "The capital of France is", "n_predict": 1, "stream": True, "temperature": 0, "cache_prompt": False}).encode()
    end, last = time.time() + longest, ""
    while time.time() < end:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=longest)
        try:
            connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            last = "%d" % response.status
            if response.status == 200 and any(line.startswith(b"data: ") for line in response):
                return time.time()
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        finally:
            connection.close()
        time.sleep(0.01)
    raise SystemExit("%s gave no token within %d s: %s" % (address, longest, last))


def forget(path):
    """Drops a file from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def said(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def one_round(service, address, cold, longest):
    """Stops and starts a service; its phases."""
    unit = "protocol-omni-%s.service" % service
    said("systemctl", "stop", unit)
    said("systemctl", "reset-failed", unit)  # or the third start within a quarter of an hour is refused
    for path in cold:
        forget(path)
    asked = time.time()
    said("systemctl", "start", "--no-block", unit)
    token = first_token(address, longest)
    said("systemctl", "start", unit)  # waits until it has started
    said("journalctl", "--sync")
    shown = said("systemctl", "show", unit, "--timestamp=us+utc", "-p", "ExecStartPre", "-p", "ExecStart", "-p", "ExecStartPost")
    journal = said("journalctl", "-u", unit, "-o", "json", "--no-pager", "--since", "@%d" % asked)
    return phases(asked, shown, journal, said("docker", "inspect", "--format", "{{.State.StartedAt}}", service), token)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--service", required=True)
    parser.add_argument("--address", required=True, help="http://ADDRESS:PORT, where only this service answers")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--longest", type=float, default=120, help="seconds for one start")
    parser.add_argument("--cold", nargs="*", default=[], metavar="FILE")
    options = parser.parse_args()
    rounds = [one_round(options.service, options.address, options.cold, options.longest) for _number in range(options.rounds)]
    print(json.dumps({"service": options.service, "cold": bool(options.cold), "phases": summed_up(rounds), "rounds": rounds}))


if __name__ == "__main__":
    main()
