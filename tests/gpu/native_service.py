# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama-server as a plain process, where there is no container engine: stands in for the unit, the container and the play that the watcher has on a host.

What the watcher reads is written as on a host: the resolved service (its ladder and the rung it is at) and the fact that notes the rung. A file named
``closed`` stands in for the gateway's door: while it is there, clients wait. All paths are in one folder, which the settings name.
"""
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "roles" / "vram_watch" / "files")]

import service  # noqa: E402

START_TIMEOUT = 180  # seconds: two layers of experts are there in ten


def read(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def write(path, value):
    """JSON, never seen half written."""
    new = pathlib.Path(str(path) + ".new")
    new.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    new.rename(path)


def alive(pid):
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def process(folder):
    """(identity, pid) of the server that runs; ("", 0) where none does. Instead of service.container()."""
    try:
        noted = read(pathlib.Path(folder) / "process.json")
    except (OSError, ValueError):
        return "", 0
    return (noted["identity"], noted["pid"]) if alive(noted["pid"]) else ("", 0)


def log_since(path, cursor):
    """What the server wrote since a cursor, and the next one. Instead of service.journal()."""
    with open(path, "rb") as stream:
        stream.seek(int(cursor or 0))
        data = stream.read()
    return data.decode("utf-8", "replace"), str(int(cursor or 0) + len(data))


def launch(settings, rung):
    """Starts llama-server at a rung and waits until it has generated a token.

    :param settings: dict with ``folder``, ``binary``, ``arguments`` (for each rung its words), ``environment`` and ``endpoint``.
    :returns: "" or why it does not serve.
    """
    if service.ask(settings["endpoint"] + "/health") is not None:
        return "another server answers at %s" % settings["endpoint"]
    folder, log = pathlib.Path(settings["folder"]), settings["unit"]
    _text, mark = log_since(log, None) if os.path.exists(log) else ("", "0")
    with open(log, "ab") as stream:
        server = subprocess.Popen([settings["binary"], *settings["arguments"][rung]], stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
                                  env=dict(os.environ, **settings["environment"]), start_new_session=True)
    write(folder / "process.json", {"pid": server.pid, "identity": "%d-%f" % (server.pid, time.time()), "rung": rung})
    ends = time.monotonic() + START_TIMEOUT
    while time.monotonic() < ends:
        if server.poll() is not None:
            found = service.OUT_OF_MEMORY.search(log_since(log, mark)[0])
            return "it exited with %d%s" % (server.returncode, ": " + found.group(0) if found else "")
        if service.ask(settings["endpoint"] + "/health") is not None:
            answer = service.ask(settings["endpoint"] + "/completion", {"prompt": "a", "n_predict": 1}, 60)
            return "" if answer else "it generates nothing"
        time.sleep(0.1)
    return "it is not healthy after %d s" % START_TIMEOUT


def stop(settings, drain):
    """Ends the server, after its running answers or ``drain`` seconds."""
    folder = pathlib.Path(settings["folder"])
    ends = time.monotonic() + drain
    while time.monotonic() < ends and service.counts(settings["endpoint"]).get("requests_processing", 1) > 0:  # one that is too busy to say works
        time.sleep(0.1)
    pid = process(folder)[1]
    for number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if not pid or not alive(pid):
            break
        os.kill(pid, number)
        ends = time.monotonic() + seconds
        while alive(pid) and time.monotonic() < ends:
            time.sleep(0.05)
    (folder / "process.json").unlink(missing_ok=True)


def note_rung(settings, rung, reason):
    """Writes down the rung where the watcher reads it."""
    resolved = read(settings["resolved_path"])
    write(settings["resolved_path"], dict(resolved, rung=rung))
    since = datetime.datetime.now(datetime.timezone.utc).isoformat()
    write(settings["facts_path"], {"rungs": {settings["service"]: {"rung": rung, "since": since, "reason": reason}}})


def step(settings, rung, drain, reason):
    """One step as playbooks/contingency.yml does it: close, drain, the new rung, or the one before where that does not serve, open.

    :returns: {"done": bool, "message": str}, and when each part ended.
    """
    closed = pathlib.Path(settings["folder"]) / "closed"
    before, times = read(settings["resolved_path"])["rung"], {"closed": time.time()}
    closed.touch()
    stop(settings, drain)
    times["stopped"] = time.time()
    why = launch(settings, rung)
    if why:
        stop(settings, 0)
        back = launch(settings, before)
        why += "; back at rung %d%s" % (before, ": " + back if back else "")
    else:
        note_rung(settings, rung, reason)
    closed.unlink()
    times["opened"] = time.time()
    write(pathlib.Path(settings["folder"]) / "step.json", dict(times, rung=rung, done=not why))
    return {"done": not why, "message": why}
