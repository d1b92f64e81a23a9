"""The gap closes, suddenly and slowly, and what the watcher makes of it, on the demo's host under steady load through the gateway.

There is no card here: tests/stand_ins/gpu.py says what one would hold, tests/stand_ins/nvml.c says it to the real NVML client. Everything else is real:
llama-server, which is restarted at each rung, the engine, systemd, the gateway, the watcher and the play that it runs. What came of it last stands in
tests/results/contingencies.json, with the command.
"""
import dataclasses
import datetime
import json
import subprocess
import threading
import time

import docker
import pytest
from support import ROOT, provenance

pytestmark = pytest.mark.quiet

GPU = "GPU-5747616e-d2d1-4e64-a000-000000000001"
TOTAL, BASE = 8000, 5000  # MiB: what the card has, what the Oracle holds of it at rung 0
WARN, ACT = 143, 61  # MiB; the KV cache of the Oracle's 8192 tokens is 180
RESULTS = ROOT / "tests" / "results" / "contingencies.json"
CLIENTS = 2
NOT_ANSWERING = "NVRM: Xid (PCI:0000:01:00): 119, pid=4711, name=llama-server, Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76"
QUESTION = [{"role": "user", "content": "Tell a story."}]
VARIABLES = {
    "vram_watch_gpus": [GPU], "vram_watch_source": "nvml", "vram_watch_interval": 1, "vram_watch_warn": WARN / 1024, "vram_watch_act": ACT / 1024,
    "vram_watch_samples": 2, "vram_watch_window": 20, "vram_watch_lead": 25, "vram_watch_cooldown": 10, "vram_watch_steps_per_hour": 100,
    "vram_watch_margin": 0.02, "vram_watch_ram_reserve": 0.5, "vram_watch_drain": 20,
    "vram_watch_fill_context": False,  # it would take a minute after each restart; the last test shows it
}
UNIT = """[Unit]
Description=Stand-in for a card
[Service]
ExecStart=/usr/bin/python3 /root/stand_in_gpu.py %d %d
Restart=always
[Install]
WantedBy=multi-user.target
""" % (TOTAL, BASE)


def put(host, path, content):
    """Writes a file; a library that somebody has mapped is replaced, not overwritten."""
    subprocess.run(["docker", "exec", "-i", host, "sh", "-c", "cat > {0}.new && mv {0}.new {0}".format(path)], input=content, check=True)


@dataclasses.dataclass
class Answer:
    """One request of the load."""

    sent: float
    ended: float
    service: str
    reason: str
    fault: str


class Load:
    """Clients that ask the Oracle through the gateway, one request after the other, and read streams to their end."""

    def __init__(self, site):
        self.site, self.answers, self.stopping = site, [], threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(site.door(),)) for _number in range(CLIENTS)]

    def _ask(self, client):
        while not self.stopping.is_set():
            sent, service, reason, fault = time.time(), "", "", ""
            try:
                with client.chat.completions.with_streaming_response.create(
                        model="oracle", messages=QUESTION, max_tokens=24, stream=True, timeout=240, extra_body={"ignore_eos": True}) as raw:
                    service, reason = raw.headers.get("x-bunker-service", ""), raw.headers.get("x-bunker-reason", "")
                    text = raw.read().decode()
                fault = "" if "[DONE]" in text else text[-200:]
            except Exception as error:  # whatever a client sees is a failure to it
                fault = repr(error)
                time.sleep(0.2)
            self.answers.append(Answer(sent, time.time(), service, reason, fault))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        self.stopping.set()
        for thread in self.threads:
            thread.join(300)

    def wait_for(self, service, after, timeout=120):
        """Until an answer of a service was begun after a time; returns when it ended."""
        end = time.time() + timeout
        while time.time() < end:
            found = [answer.ended for answer in list(self.answers) if answer.service == service and answer.sent >= after and not answer.fault]
            if found:
                return min(found)
            time.sleep(0.2)
        raise AssertionError("no answer of %s within %d s: %s" % (service, timeout, self.answers[-5:]))


class Gap:
    """The stand-in card and the watcher of a site."""

    def __init__(self, site):
        self.site, self.more = site, {}  # figures of one fault alone

    def alerts(self):
        """Names of the alerts that fire, by the host's Prometheus."""
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9090/api/v1/alerts').read().decode())"
        found = json.loads(self.site.execute('python3 -c "%s"' % ask)[1])
        return {alert["labels"]["alertname"] for alert in found["data"]["alerts"] if alert["state"] == "firing"}

    def others(self, size):
        """What others hold of the card, MiB."""
        assert self.site.execute("echo %d > /var/lib/stand-in-gpu/new && mv /var/lib/stand-in-gpu/new /var/lib/stand-in-gpu/others" % size)[0] == 0

    def leave(self, size):
        """Others take so much that this is left at rung 0."""
        self.others(TOTAL - BASE - size)

    def status(self):
        return json.loads(self.site.execute("cat /run/protocol-omni-vram-watch/status.json")[1])

    def events(self, since):
        """(event, time, text) of the watcher since a time."""
        found = []
        for event in self.status()["events"]:
            when = datetime.datetime.fromisoformat(event["time"]).timestamp()
            if when >= since - 0.01:
                found.append((event["event"], when, event["text"]))
        return found

    def wait(self, event, since, timeout=90):
        """When the watcher told of an event since a time, and what."""
        end, seen = time.time() + timeout, []
        while time.time() < end:
            try:
                seen = self.events(since)
            except ValueError:
                seen = []  # no status at this moment: the host, or the watcher, is starting
            for name, when, text in seen:
                if name == event:
                    return when, text
            time.sleep(0.2)
        raise AssertionError("the watcher told of no %s within %d s: %s" % (event, timeout, seen))

    def killed(self):
        """How often the card had not enough for the Oracle."""
        return int(self.site.execute("cat /run/stand-in-gpu/killed 2>/dev/null | wc -l")[1])

    def reset(self):
        """Everything as the inventory says."""
        self.others(0)
        self.more = {}
        # No kernel's log can be written on this host: a file takes its place, a record at its end.
        self.site.execute("cd /run/stand-in-gpu && rm -f lost xid killed wedged; rm -f /dev/kmsg; touch /dev/kmsg; systemctl restart protocol-omni-vram-watch")
        self.site.run("playbooks/contingency.yml", extra_vars={"contingency_service": "oracle", "contingency_rung": 0}).assert_ok()
        end = time.time() + 60
        while time.time() < end:
            status = self.status()
            if status["rung"] == 0 and status["stepping"] is None and not status["latched"] and status["services"]["oracle"]["up"] and status["headroom"]:
                time.sleep(VARIABLES["vram_watch_cooldown"])
                return
            time.sleep(0.5)
        raise AssertionError("not as the inventory says: %s" % status)


@pytest.fixture(scope="module")
def watched(site, second, tmp_path_factory):
    """The site with a stand-in card, deployed anew. It stays so: what comes after this file takes it down."""
    second.assert_ok()
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(ROOT / "tests" / "stand_ins" / "nvml.c")], check=True)
    put(site.host, "/usr/local/lib/libnvidia-ml.so.1", library.read_bytes())
    put(site.host, "/usr/local/bin/nvidia-smi", (ROOT / "tests" / "stand_ins" / "nvidia-smi").read_bytes())
    put(site.host, "/root/stand_in_gpu.py", (ROOT / "tests" / "stand_ins" / "gpu.py").read_bytes())
    put(site.host, "/etc/systemd/system/stand-in-gpu.service", UNIT.encode())
    assert site.execute("chmod 755 /usr/local/bin/nvidia-smi && ldconfig && systemctl daemon-reload && systemctl enable --now stand-in-gpu")[0] == 0
    deployed = site.run("site.yml", extra_vars=VARIABLES).assert_ok()
    assert "Write what the watcher watches" in deployed.changed
    yield Gap(site)
    site.execute("systemctl disable --now stand-in-gpu; cd /usr/local && rm -f lib/libnvidia-ml.so.1 bin/nvidia-smi /dev/kmsg; "
                 "rm -rf /var/lib/stand-in-gpu /run/stand-in-gpu; ldconfig")


def record(request, name, figures):
    """Keeps figures in tests/results/contingencies.json where --record asks for results."""
    if request.config.getoption("--record"):
        found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"results": {}}
        found["results"][name] = dict(figures, provenance=provenance.made("tests/results/contingencies.json", name))
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def slow_leak(gap, load):
    """10 MiB a second, until it acts."""
    began, left = time.time(), 400
    while not [event for event in gap.events(began) if event[0] == "step"] and left > 0:
        left -= 5
        gap.leave(left)
        time.sleep(0.5)
    when, text = gap.wait("step", began)
    assert "to rung 1 (kv_to_ram)" in text
    return when - began, gap.wait("done", began)[0], 1


def cliff(gap, load):
    """At once too little, but not nothing."""
    began = time.time()
    gap.leave(ACT - 20)
    when, _text = gap.wait("step", began)
    return when - began, gap.wait("done", began)[0], 1


def oom_at_load(gap, load):
    """What others took while it was down is missing when it starts."""
    gap.site.execute("systemctl stop protocol-omni-oracle")
    gap.leave(-30)
    began = time.time()
    gap.site.execute("systemctl start --no-block protocol-omni-oracle")
    when, _text = gap.wait("oom", began)
    gap.wait("step", began)
    return when - began, gap.wait("done", began)[0], 1


def oom_in_an_answer(gap, load):
    """A neighbour takes the rest while it answers."""
    began = time.time()
    gap.leave(-30)
    when, _text = gap.wait("oom", began)
    gap.wait("step", began)
    return when - began, gap.wait("done", began)[0], 1


def gpu_lost(gap, load):
    """Xid 79: the card has fallen off the bus. No rung helps, and it says so."""
    began = time.time()
    gap.site.execute("echo '%s 79' > /run/stand-in-gpu/xid; touch /run/stand-in-gpu/lost" % GPU)
    when, _text = gap.wait("xid", began)
    assert "a card is lost" in gap.wait("latch", began)[1]
    return when - began, began, 0


def card_wedged(gap, load):
    """Xid 119: its firmware does not answer. The service dies of it and stays down; the command of bunker-status mends it."""
    unit, began = "protocol-omni-oracle", time.time()
    gap.site.execute("echo 1 > /run/stand-in-gpu/wedged; echo '3,%d,1,-;%s' >> /dev/kmsg" % (began, NOT_ANSWERING))
    when, sentence = gap.wait("fault", began)
    assert "NVIDIA's action for Xid 119 (its firmware (GSP) does not answer) is RESET_GPU" in sentence
    while "CardNeedsReset" not in gap.alerts():
        assert time.time() - began < 30, "no alert within half a minute: %s" % gap.alerts()
        time.sleep(0.2)
    gap.more = {"seconds_to_the_alert": round(time.time() - began, 1)}
    while gap.site.execute("systemctl is-failed %s" % unit)[1].strip() != "failed":
        assert time.time() - began < 120, "the service does not stay down"
        time.sleep(1)
    time.sleep(15)  # RestartSec is 10
    starts = gap.site.execute("journalctl --unit %s --since @%d --output cat | grep -c '^Starting '" % (unit, began))[1].strip()
    gap.more["starts"] = int(starts)
    assert int(starts) <= 3 and gap.site.execute("systemctl is-failed %s" % unit)[1].strip() == "failed"
    events = [event for event, _when, _text in gap.events(began)]
    assert (events.count("fault"), events.count("latch"), events.count("step")) == (1, 1, 0)
    code, screen = gap.site.execute("bunker-status")
    (line,) = [line for line in screen.splitlines() if line.startswith("card ")]
    assert code == 1 and line == sentence
    over = time.time()
    code, said = gap.site.execute(line.partition("it needs a reset: ")[2])
    assert "was successfully reset" in said, said  # the host has no persistence daemon, which systemctl says
    gap.wait("lift", over, timeout=120)
    return when - began, over, 0


def watcher_killed(gap, load):
    """In the middle of a step: the next one goes on with it."""
    began = time.time()
    gap.leave(ACT - 20)
    when, _text = gap.wait("step", began)
    time.sleep(3)
    gap.site.execute("systemctl kill --kill-whom=main --signal=KILL protocol-omni-vram-watch")
    gap.wait("resume", began)
    return when - began, gap.wait("done", began)[0], 1


def engine_restarted(gap, load):
    """That is none of its business: it notes the exit and takes no rung."""
    began = time.time()
    gap.site.execute("systemctl restart docker")
    when, _text = gap.wait("exit", began)
    load.wait_for("oracle", began + 5)
    assert "step" not in {event for event, _when, _text in gap.events(began)}
    return when - began, began + 5, 0


def host_restarted(gap, load):
    """In the middle of a step: it goes on after the boot."""
    began = time.time()
    gap.leave(ACT - 20)
    when, _text = gap.wait("step", began)
    time.sleep(3)
    docker.from_env().containers.get(gap.site.host).restart(timeout=60)
    gap.wait("resume", began, timeout=180)
    return when - began, gap.wait("done", began, timeout=180)[0], 1


def play_fails(gap, load):
    """It tries as often as it may, gives up, and the Oracle stays as it is."""
    playbooks = "$(ls -d /opt/protocol_omni/vram_watch/collections-*)/ansible_collections/protocol_omni/bunker/playbooks"
    began = time.time()
    gap.site.execute("mv %s/contingency.yml /root/kept.yml" % playbooks)
    gap.leave(ACT - 20)
    when, _text = gap.wait("step", began)
    assert "contingency.yml" in gap.wait("failed", began)[1]
    assert "failures in a row" in gap.wait("latch", began, timeout=180)[1]
    gap.site.execute("mv /root/kept.yml %s/contingency.yml" % playbooks)
    return when - began, began, 0


FAULTS = [
    # fault, answers that may fail: none where the gap is seen in time, those in flight where the service dies; more where all of it goes
    pytest.param(slow_leak, 0, id="slow leak"),
    pytest.param(oom_in_an_answer, CLIENTS, id="out of memory in an answer"),
    pytest.param(watcher_killed, 0, id="watcher killed in a step", marks=pytest.mark.full),
    pytest.param(cliff, 0, id="sudden cliff", marks=pytest.mark.full),
    pytest.param(oom_at_load, CLIENTS, id="out of memory at load", marks=pytest.mark.full),
    pytest.param(gpu_lost, 0, id="card lost", marks=pytest.mark.full),
    pytest.param(card_wedged, CLIENTS, id="card wedged", marks=pytest.mark.full),
    pytest.param(engine_restarted, None, id="engine restarted", marks=pytest.mark.full),
    pytest.param(host_restarted, None, id="host restarted in a step", marks=pytest.mark.full),
    pytest.param(play_fails, 0, id="play fails", marks=pytest.mark.full),
]


@pytest.mark.parametrize("fault, may_fail", FAULTS)
def test_a_fault_is_found_and_the_oracle_serves_again(watched, request, fault, may_fail):
    watched.reset()
    with Load(watched.site) as load:
        load.wait_for("oracle", time.time())
        began = time.time()
        detected, over, rung = fault(watched, load)
        served = load.wait_for("oracle", over)
        time.sleep(3)
    failed = [answer for answer in load.answers if answer.fault]
    alone = sorted(answer.ended for answer in load.answers if answer.service == "oracle" and not answer.fault)
    figures = {
        "seconds_to_detect": round(detected, 1), "longest_without_the_oracle_s": round(max(b - a for a, b in zip(alone, alone[1:])), 1),
        "seconds_until_all_is_well": round(served - began, 1), "sent": len(load.answers), "failed": len(failed),
        "answered_by_the_executor": sum(answer.service == "executor" and not answer.fault for answer in load.answers),
        **watched.more,
        "steps": [text for event, _when, text in watched.events(began) if event in ("step", "done", "failed", "latch")],
    }
    print(json.dumps(figures, indent=1))
    record(request, request.node.callspec.id, figures)
    assert watched.status()["rung"] == rung
    if may_fail is not None:
        assert len(failed) <= may_fail, failed
    if may_fail == 0 and rung:
        assert watched.killed() == 0  # it was seen in time


@pytest.mark.full
def test_site_respects_a_rung_and_the_whole_context_is_filled_at_it(watched, site):
    """At the last rung, whose context is short enough for a quick test: every claim holds there, the filled context's too."""
    watched.reset()
    site.run("playbooks/contingency.yml", extra_vars={"contingency_service": "oracle", "contingency_rung": 3}).assert_ok()
    variables = dict(VARIABLES, vram_watch_fill_context=True)
    deployed = site.run("site.yml", extra_vars=variables).assert_ok()
    assert deployed.changed == {"Write what the watcher watches", "Start watching"}  # of the service nothing
    claims = {claim["id"]: claim for claim in site.report()["claims"]}
    assert {claims["vram_watch." + name]["status"] for name in ("samples", "headroom", "full_context", "ladder", "metrics", "engine_socket")} == {"holds"}
    assert claims["oracle.rung"]["status"] == "holds" and "--ctx-size 2048 --ubatch-size 128 --no-kv-offload" in claims["oracle.rung"]["observed"]
    filled = watched.status()["filled"]
    freed = 180 + 96 * 384 // 512  # MiB, as the stand-in has it
    assert filled["tokens"] == 2046 and filled["headroom"] == (TOTAL - BASE + freed) * 2 ** 20
    code, screen = site.execute("bunker-status")
    assert code == 0 and "> 3 long_contexts_to_executor" in screen and "[" + "#" * 24 in screen, screen


@pytest.mark.full
def test_watching_costs_next_to_nothing(watched, site, request):
    """With the default interval: under half a percent of a core and 60 MB, and no speed beyond noise."""
    watched.reset()
    site.run("site.yml", extra_vars=dict(VARIABLES, vram_watch_interval=5)).assert_ok()
    found = site.bench("watching_cost.py", "--service", "http://172.30.0.10:8000/v1", "--model", "oracle")
    record(request, "cost_of_watching", found)
    assert found["percent_of_a_core"] < 0.5 and found["resident_mb"] < 60
    assert found["speed_ratio_95"][0] <= 1 <= found["speed_ratio_95"][1] or found["speed_ratio"] > 0.99, found
