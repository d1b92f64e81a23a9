"""What the screen of ./bunker deploy shows, in states that a run comes to.

python tests/captures/screens.py writes tests/captures/screens/ anew. Look at them before you commit them.
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([str(ROOT / "collections")])

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import durations, live, run, style, summary  # noqa: E402

FOLDER = pathlib.Path(__file__).parent / "screens"
SSH = {"inventory_hostname": "omni", "ansible_host": "192.0.2.7", "ansible_user": "admin", "ansible_port": 2222}
DEMO = {"inventory_hostname": "bunker-demo", "ansible_connection": "community.docker.docker"}
# name: (width, colour, Unicode)
LOOKS = {"80": (80, False, True), "200": (200, False, True), "80.ascii": (80, False, False), "200.ascii": (200, False, False), "80.colour": (80, True, True)}
# Seconds of a phase, where it changes the host and where not; of a demo on two cores.
EXPECTED = {"preflight": (15, 12), "driver": (120, 3), "disks": (5, 2), "engine": (45, 5), "image": (2580, 8), "networks": (10, 6), "models": (200, 3),
            "services": (70, 32), "gateway": (15, 8), "watch": (15, 9), "claims": (40, 35)}
STEPS = [("preflight", "preflight", 12), ("host_driver", "main", 3), ("disk_layout", "main", 2), ("container_engine", "main", 41)]


def report(name):
    """A report as verify.yml wrote it of a host of the tests, with fewer attempts to get out."""
    return json.loads((ROOT / "tests" / "fixtures" / "host_reports" / ("%s.json" % name)).read_text(encoding="utf-8"))


def started(hosts=("bunker-demo",), steps=(), began=1000.0):
    """A run that has come through some phases: triples of role, file, seconds."""
    state, now = run.Run("site.yml on %s" % ", ".join(hosts), began), began
    state.expected = durations.Expected(EXPECTED)
    state.play("From a bare host to answering services", hosts, now)
    for role, entry, seconds in steps:
        for number in range(3):
            state.task("Step %d of %s" % (number, role), role, entry, now)
            state.result(hosts[0], changed=number == 1)
            now += seconds / 3
    return state, now


def compiling():
    state, now = started(steps=STEPS)
    state.task("Build the golden image", "golden_image", "main", now)
    state.said("[bunker-demo] Build of the golden image: since 12:00:00, follow it in /var/cache/protocol_omni/build/build.log")
    state.said("[bunker-demo] Build of the golden image: 21:04 since 12:00:00, #17 1180.2 [ 45%] Building CUDA object "
               "ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/template-instances/fattn-mma-f16-instance-ncols1_16-ncols2_4.cu.o")
    return state, now + 1264


def overdue():
    state, now = compiling()
    return state, now + 2700


def rebooting():
    state, now = started(("omni-prime-in-the-cellar-of-the-old-house", "omni-second"), STEPS[:1])
    state.task("Install the driver", "host_driver", "main", now)
    state.result("omni-second", changed=True)
    state.task("Reboot", "host_driver", "main", now + 4000, note="the host restarts; the run goes on when it answers")
    return state, now + 4090


def proven(name, host, failed=()):
    rest = [("golden_image", 2520), ("networks", 9), ("model_store", 20), ("inference_service", 64), ("gateway", 12), ("vram_watch", 15)]
    state, now = started((host,), STEPS + [(role, "main", seconds) for role, seconds in rest])
    state.play("Prove the claims", (host,), now)
    state.task("Complete the report", "", "main", now)
    found = report(name)
    state.result(host, facts={"bunker_claims_report": found["claims"], "bunker_service_results": found["services"], "bunker_gateway": found["gateway"]})
    if failed:
        state.task("Fail when a claim fails", "", "main", now + 80)
        state.failed(host, failed)
    state.finish(now + 81, {host: {"failures": len(failed) and 1, "unreachable": 0, "rescued": 0, "changed": 11}})
    return state


def holding():
    return proven("holding", "bunker-demo"), {"bunker-demo": DEMO}


def over_ssh():
    state = proven("holding", "omni")
    state.facts["omni"]["bunker_gateway"] = dict(report("holding")["gateway"], url="http://127.0.0.1:8080/v1", certificate="")
    state.facts["omni"]["bunker_claims_report"] = state.facts["omni"]["bunker_claims_report"][:3]
    return state, {"omni": SSH}


def failing():
    return proven("failing", "bunker-demo", ["23 of 98 claims fail on bunker-demo:", "executor.answers: expected an observation; observed not observed"]), {}


def broken():
    state, now = started(steps=STEPS[:1])
    state.task("Install the driver", "host_driver", "main", now)
    state.said("[bunker-demo] Installation of the driver: since 12:00:00, follow it in /var/log/protocol_omni/driver.log")
    state.failed("bunker-demo", ["E: You don't have enough free space in /var/cache/apt/archives/.", "exit status 100"])
    state.task("Say why", "host_driver", "main", now + 31)
    state.failed("bunker-demo", ["The driver was not installed: /var/cache/apt/archives has 120 MB, and the packages take 1.4 GB. Make room there, or set "
                                 "host_driver_branch to one that is installed, and run this again.", "dpkg was interrupted: no"])
    state.finish(now + 32, {"bunker-demo": {"failures": 1, "unreachable": 0, "rescued": 1, "changed": 2}})
    return state, {}


def interrupted():
    state, now = compiling()
    state.interrupt(now)
    return state, {}


def screens():
    """Dict of file name to lines."""
    found = {}
    for suffix, (width, colour, letters) in LOOKS.items():
        look = style.Style(width, colour, letters)
        for make in (compiling, overdue, rebooting):
            state, now = make()
            found["%s.%s.txt" % (make.__name__, suffix)] = live.lines(state, now, look, 24)
        for make in (holding, over_ssh, failing, broken, interrupted):
            state, variables = make()
            found["%s.%s.txt" % (make.__name__, suffix)] = summary.lines(state, look, variables, "reports/bunker-demo.html")
    state, now = compiling()
    found["compiling.low.txt"] = live.lines(state, now, style.Style(40, False, True), 8)
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, lines in screens().items():
        (FOLDER / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    sys.stdout.write("%d screens\n" % len(screens()))
