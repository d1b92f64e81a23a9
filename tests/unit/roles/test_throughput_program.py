"""The program that measures, with a stand-in for the engine whose llama-bench answers as the real one does."""
import json
import os
import pathlib
import runpy
import signal
import struct
import subprocess
import sys
import time

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.host_programs.bench import containers

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = "ansible_collections.protocol_omni.bunker.plugins.module_utils.host_programs.bench.command_line"
PLOT = ROOT / "roles" / "throughput" / "files" / "plot.py"
ENGINE = '''#!%(python)s -S
"""docker: run is llama-bench or llama-server, ps lists what runs, rm ends it."""
import http.server, json, os, signal, socketserver, sys, time
folder, words = %(folder)r, sys.argv[1:]
if words[0] == "run" and os.path.exists(folder + "/late"):  # the client has begun, and the engine takes its time to make the container
    open(folder + "/asked", "w").close()
    time.sleep(1.5)
with open(folder + "/calls", "a") as stream:
    stream.write(json.dumps(words) + "\\n")
pids = os.path.join(folder, "running")
os.makedirs(pids, exist_ok=True)
if words[0] == "ps":
    print("\\n".join(os.listdir(pids)))
elif words[0] == "inspect":
    print("true" if os.path.exists(folder + "/serving") else "false")
elif words[0] == "rm":
    for pid in words[2:]:
        try:
            os.kill(int(pid), signal.SIGKILL)
            os.unlink(os.path.join(pids, pid))
        except OSError:
            pass
elif words[0] == "run":
    mine = os.path.join(pids, str(os.getpid()))
    open(mine, "w").close()
    option = lambda name: words[words.index(name) + 1]
    if os.path.exists(folder + "/broken"):
        os.unlink(mine)
        sys.exit("error: failed to load model")
    if option("--entrypoint").endswith("/llama-fit-params"):
        os.unlink(mine)
        if os.path.exists(folder + "/no-fit"):
            sys.exit("failed to fit")
        print("-c 2048 -ngl %%d" %% (5 if "CUDA_VISIBLE_DEVICES=GPU-1" in words else 9) + (" -ts 3,2" if "CUDA_VISIBLE_DEVICES=GPU-1,GPU-2" in words else ""))
        sys.exit(0)
    if option("--entrypoint").endswith("/llama-server"):
        class Answer(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass
            def do_GET(self):
                self.do_POST()
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
                if asked and os.path.exists(folder + "/mute"):
                    os._exit(7)
                timings = {"predicted_per_second": 100.0 + len(asked.get("messages", [{"content": ""}])[0]["content"]), "predicted_n": 40}
                if "--spec-default" in words:
                    timings.update(predicted_per_second=timings["predicted_per_second"] * %(gain)r, draft_n=20, draft_n_accepted=15)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"timings": timings}).encode())
        place = next(word for word in words if word.endswith(":/socket")).split(":")[0]
        class Local(socketserver.UnixStreamServer):
            def get_request(self):
                return super().get_request()[0], ("local", 0)
        Local(place + "/llama.sock", Answer).serve_forever()
    threads, runs, tokens, prompt = (int(option(name)) for name in ("--threads", "--repetitions", "--n-gen", "--n-prompt"))
    speed = {1: 10.0, 2: 20.0}[threads] * %(scale)r * (3 if "--n-gpu-layers 5" in " ".join(words) else 1)
    if os.path.exists(folder + "/hang"):
        time.sleep(600)
    for number in range(1, runs + 1):
        print("llama-bench: benchmark 1/1: generation run %%d/%%d" %% (number, runs), file=sys.stderr, flush=True)
        time.sleep(tokens / speed)
    entry = lambda what: dict({"n_gen": 0, "n_prompt": 0}, samples_ts=[speed] * runs, samples_ns=[int(1e9 * tokens / speed)] * runs, **{what: 1})
    print(json.dumps(([entry("n_prompt")] if prompt else []) + ([entry("n_gen")] if tokens else [])))
    os.unlink(mine)
'''


TWO_CPUS = "CPU CORE SOCKET NODE L1d:L1i:L2:L3\\n0 0 0 0 0:0:0:0\\n1 1 0 0 1:1:1:0\\n"


def tiny_model(path):
    """A GGUF of one tensor of 64 bytes, no metadata."""
    name = b"blk.0.ffn_up.weight"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", len(name)) + name + struct.pack("<IQIQ", 1, 16, 0, 0) + bytes(128))


@pytest.fixture
def bench(tmp_path):
    """A function that runs the program with a plan, on two CPUs; further keys change the plan."""
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir()
    engine.write_text(ENGINE % {"python": sys.executable, "folder": str(tmp_path), "scale": 400.0, "gain": 1.3}, encoding="utf-8")
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho GPU-1, 97887; echo GPU-2, 32607\n", encoding="ascii")
    lscpu = tmp_path / "bin" / "lscpu"
    lscpu.write_text("#!/bin/sh\ncase $* in *caches*) echo '{}' ;; *) printf '%s' ;; esac\n" % TWO_CPUS, encoding="ascii")
    for program in (engine, driver, lscpu):
        program.chmod(0o755)
    tiny_model(tmp_path / "m.gguf")
    service = {"name": "executor", "model": "m", "folder": str(tmp_path), "files": ["m.gguf"],
               "hash": "ff", "weights": "ff", "split_mode": "", "extra_arguments": [],
               "device": "cpu", "gpus": [], "placements": {}, "free": 7,
               "micro_batch": 512, "fixed": {}, "context": 2048, "sample_prompts": [], "draft_folder": "", "draft_file": "",
               "speculations": {"ngram": {"arguments": ["--spec-default"]}}}

    def start(services=(service,), **changes):
        plan = dict({"budget": 60, "repetitions": 2, "prompt": 4, "generate": 4, "serve": "together", "image": "sha256:abc", "image_tag": "i:1", "fresh": False,
                     "seconds": {"together": 1, "bandwidth": 0.1, "look": 0.02},
                     "programs": "/opt/llama", "cdi_kind": "nvidia.com/gpu", "services": list(services)}, **changes)
        (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        return subprocess.Popen([sys.executable, "-m", PROGRAM, str(tmp_path / "plan.json"), str(tmp_path / "state" / "state.json")],
                                env={"PATH": "%s:/usr/bin:/bin" % engine.parent, "PYTHONPATH": str(ROOT / "collections"), "PYTHONDONTWRITEBYTECODE": "1",
                                     "RUNTIME_DIRECTORY": "/tmp"},  # /run is root's, and pytest's folders are too deep for a socket
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(*arguments, **changes):
        process = start(*arguments, **changes)
        said = process.communicate(timeout=90)[0]
        return process.returncode, said
    run.start, run.folder, run.service = start, tmp_path, service
    run.state = lambda: json.loads((tmp_path / "state" / "state.json").read_text(encoding="utf-8"))
    run.calls = lambda: [json.loads(line) for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]
    run.measured = lambda: [words for words in run.calls() if words[0] == "run"]
    return run


def wait_until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_service_is_measured_in_hardened_containers_and_the_best_is_told(bench):
    code, said = bench()
    assert code == 0, said
    state = bench.state()
    assert state["result"]["services"]["executor"]["settings"]["threads"] == 2 and state["result"]["ended"] == "everything was measured"
    assert state["result"]["services"]["executor"]["roofline"]["reason"] == "the host does not say how large its caches are"
    words = state["results"][0]["command"]
    text = " ".join(words)
    for option in ("--network none", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--user 65532:65532", "--pull never",
                   "--volume %s:/models:ro" % bench.folder, "--entrypoint /opt/llama/llama-bench sha256:abc", "--n-gpu-layers 0",
                   "--env CUDA_VISIBLE_DEVICES= "):
        assert option in text
    assert "left" in said and "2 threads: 8000.0" in said


def test_a_second_run_has_nothing_left_to_measure_and_another_image_everything(bench):
    bench()
    count = len(bench.measured())
    bench()
    assert len(bench.measured()) == count
    bench(image="sha256:def")
    assert len(bench.measured()) == 2 * count


def test_what_was_measured_is_forgotten_when_asked(bench):
    bench()
    count = len(bench.measured())
    bench(fresh=True)
    assert len(bench.measured()) == 2 * count


def test_a_run_that_is_ended_removes_its_container_and_the_next_one_goes_on(bench):
    process = bench.start()
    wait_until(lambda: (bench.folder / "state" / "state.json").exists() and len(bench.state()["results"]) >= 2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert os.listdir(bench.folder / "running") == []
    before = bench.state()["results"]
    code, said = bench()
    assert code == 0 and bench.state()["results"][:len(before)] == before, said


def test_a_container_that_the_engine_makes_after_the_end_of_its_run_is_removed(bench):
    (bench.folder / "late").touch()
    (bench.folder / "hang").touch()
    process = bench.start()
    wait_until((bench.folder / "asked").exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    time.sleep(2)
    assert bench.measured() and os.listdir(bench.folder / "running") == []


def test_a_signal_that_comes_while_a_client_begins_ends_the_program_once_it_is_known(monkeypatch):
    client = object()

    def begins(*_words, **_options):
        containers.interrupted(signal.SIGTERM, None)
        containers.interrupted(signal.SIGINT, None)  # a second one changes nothing
        return client
    monkeypatch.setattr(containers, "_state", {"begins": False, "ended_by": 0})
    monkeypatch.setattr(containers, "_clients", [])
    monkeypatch.setattr(containers.subprocess, "Popen", begins)
    with pytest.raises(SystemExit) as ended:
        containers.Container(["docker", "run"])
    assert ended.value.code == 128 + signal.SIGTERM and containers._clients == [client]


def test_a_container_that_a_killed_run_left_is_removed(bench):
    (bench.folder / "hang").touch()
    process = bench.start()
    wait_until(lambda: (bench.folder / "running").exists() and os.listdir(bench.folder / "running"))
    process.kill()
    process.communicate(timeout=60)
    assert len(os.listdir(bench.folder / "running")) == 1
    (bench.folder / "hang").unlink()
    assert bench()[0] == 0 and os.listdir(bench.folder / "running") == []


def test_a_measurement_that_takes_longer_than_the_budget_is_ended_and_does_not_count(bench):
    (bench.folder / "hang").touch()
    started = time.monotonic()
    code, said = bench(budget=30)  # what hangs would hang for ten minutes
    assert code == 0 and time.monotonic() - started < 60, said
    assert bench.state()["results"] == [] and "which does not count" in bench.state()["result"]["ended"] and bench.state()["result"]["services"] == {}
    assert os.listdir(bench.folder / "running") == []


def test_a_budget_that_is_too_small_begins_nothing(bench):
    assert bench(budget=6)[0] == 0
    assert not (bench.folder / "running").exists() or bench.measured() == []
    assert bench.state()["result"]["ended"].startswith("no time for")


def test_a_measurement_that_fails_is_told_and_the_sweep_goes_on(bench):
    (bench.folder / "broken").touch()
    code, said = bench()
    assert code == 0 and "failed: exit status 1: error: failed to load model" in said
    assert len(bench.state()["results"]) > 3 and bench.state()["result"]["services"] == {}


def test_two_runs_at_once_are_refused(bench):
    (bench.folder / "hang").touch()
    first = bench.start()
    wait_until((bench.folder / "running").exists)
    code, said = bench()
    first.terminate()
    first.communicate(timeout=60)
    assert code == 3 and "Another measurement runs" in said


def test_two_services_are_measured_at_once_each_on_its_cpus(bench):
    engine = bench.folder / "bin" / "docker"  # runs of an eighth of a second: a moment in which nobody reads what they print is little of one
    engine.write_text(engine.read_text(encoding="utf-8").replace("400.0", "100.0"), encoding="utf-8")
    oracle = dict(bench.service, name="oracle")
    code, said = bench((oracle, bench.service))
    assert code == 0, said
    together = [found for found in bench.state()["results"] if found["kind"] == "together"]
    assert together and all(len(one["samples"]) >= 2 for found in together for one in found["generation"].values()), said
    apart = next(found for found in together if found["settings"]["oracle"]["cpuset"] == "0")
    assert apart["settings"]["executor"]["cpuset"] == "1"
    assert "--cpuset-cpus 1" in " ".join(apart["command"]["executor"]) and "--cpuset-cpus 0" in " ".join(apart["command"]["oracle"])
    assert bench.state()["result"]["services"]["oracle"]["together"]["mean"] == pytest.approx(2000, rel=0.4)
    assert "while executor generates too" in bench.state()["result"]["services"]["oracle"]["evidence"]


PROMPTS = ["short", "a longer prompt than that", "and one that is longer still than both", "four"]


def test_speculation_is_measured_by_a_server_without_a_network_and_taken_where_it_is_faster(bench):
    code, said = bench((dict(bench.service, sample_prompts=PROMPTS),))
    assert code == 0, said
    served = [found for found in bench.state()["results"] if found["kind"] == "served"]
    assert [found["settings"]["speculation"] for found in served] == ["ngram"] and len(served[0]["answers"]) == len(served[0]["without"]) == 12
    without, ngram = (" ".join(served[0]["command"][way]) for way in ("none", "ngram"))
    assert "--spec-default" in ngram and "--spec" not in without
    for option in ("--network none", "--read-only", "--cap-drop ALL", "--host /socket/llama.sock", "--ctx-size 2048", "--threads 2"):
        assert option in ngram
    service = bench.state()["result"]["services"]["executor"]
    assert service["settings"]["speculation"] == "ngram" and service["speculation"]["ngram"]["ratio"] == pytest.approx(1.3)
    assert "ngram 1.30 times as fast (1.30 to 1.30), 75 % of drafted tokens accepted" in service["evidence"]
    assert os.listdir(bench.folder / "running") == []


def test_cards_hold_one_server_at_a_time(bench):
    code, said = bench((dict(on_gpus(bench.service), sample_prompts=PROMPTS),))
    assert code == 0, said
    calls = [words for words in bench.calls() if words[0] in ("run", "rm")]
    servers = [place for place, words in enumerate(calls) if "/opt/llama/llama-server" in words]
    assert len(servers) == 2 and any(words[0] == "rm" for words in calls[servers[0]:servers[1]])
    assert "ngram 1.30 times as fast" in said and "--n-gpu-layers 5" in " ".join(calls[servers[1]])


def test_a_server_that_stops_answering_is_a_measurement_that_failed(bench):
    (bench.folder / "mute").touch()
    code, said = bench((dict(bench.service, sample_prompts=PROMPTS),))
    assert code == 0 and "speculation, 12 answers with and without: failed: none stopped answering" in said
    assert bench.state()["result"]["services"]["executor"]["settings"]["speculation"] == "none"


def test_a_way_that_the_inventory_decides_is_not_measured(bench):
    bench((dict(bench.service, sample_prompts=PROMPTS, fixed={"speculation": "ngram"}),))
    assert not [found for found in bench.state()["results"] if found["kind"] == "served"]


def on_gpus(service):
    place = {"gpus": ["GPU-1", "GPU-2"], "gpu_layers": "auto", "tensor_split": "", "tensor_overrides": [], "split_mode": "", "load_mode": ""}
    return dict(service, device="gpu", gpus=["GPU-1", "GPU-2"], placements={
        "planned": place, "first_card": dict(place, gpus=["GPU-1"]), "doctrine": dict(place, gpu_layers="19", tensor_split="75,25"),
        "over": dict(place, others="experts")})


def test_placements_are_planned_and_compared_first_and_the_fastest_stands_as_it_was_measured(bench):
    code, said = bench((on_gpus(bench.service),))
    assert code == 0, said
    results = bench.state()["results"]
    assert [found["settings"]["placement"] for found in results[:4]] == ["planned", "first_card", "doctrine", "over"]
    planned, first, doctrine, over = (" ".join(found["command"]) for found in results[:4])
    assert "CUDA_VISIBLE_DEVICES=GPU-1,GPU-2" in planned and "--n-gpu-layers 9 --tensor-split 3/2" in planned
    assert "--device nvidia.com/gpu=GPU-1 --device nvidia.com/gpu=GPU-2" in planned
    assert "--n-gpu-layers 5 " in first and "GPU-2" not in first
    assert "--n-gpu-layers 19 --tensor-split 75/25" in doctrine
    assert "--n-gpu-layers 5 --tensor-split 1/0" in over and "CUDA_VISIBLE_DEVICES=GPU-1,GPU-2" in over  # what the plan for the first card says
    assert all(found["settings"]["placement"] == "first_card" for found in results[4:] if found["stage"] != "steady")
    settings = bench.state()["result"]["services"]["executor"]["settings"]
    assert settings["placement"] == "first_card" and settings["plan"]["placement"]["gpu_layers"] == "5"
    assert settings["plan"]["made_for"]["cards"] == [["GPU-1", 97887]]
    assert "placement first_card" in bench.state()["result"]["services"]["executor"]["evidence"]


def test_a_second_run_measures_nothing_anew_and_plans_nothing(bench):
    bench((on_gpus(bench.service),))
    count = len(bench.measured())
    bench((on_gpus(bench.service),))
    assert len(bench.measured()) == count


def test_another_context_is_another_plan_and_measured_anew(bench):
    bench((on_gpus(bench.service),))
    count = len(bench.state()["results"])
    bench((dict(on_gpus(bench.service), context=1024),))
    assert len(bench.state()["results"]) == count and bench.state()["plans"]["executor"]["planned"]["made_for"]["context"] == 1024


def test_a_run_about_one_service_leaves_what_is_known_of_the_others(bench):
    oracle = dict(bench.service, name="oracle", fixed={"threads": 1})
    bench((oracle,))
    known = bench.state()["results"]
    bench()
    assert bench.state()["results"][:len(known)] == known and list(bench.state()["result"]["services"]) == ["executor"]
    count = len(bench.measured())
    bench((oracle,))
    assert len(bench.measured()) == count


def test_a_placement_that_cannot_be_planned_is_told_and_the_others_are_measured(bench):
    (bench.folder / "no-fit").touch()
    code, said = bench((on_gpus(bench.service),))
    assert code == 0 and "placement planned: llama-fit-params printed no plan" in said and "failed to fit" in said
    assert bench.state()["result"]["services"]["executor"]["settings"]["placement"] == "doctrine"


def test_a_service_on_gpus_that_runs_is_left_out(bench):
    (bench.folder / "serving").touch()
    code, said = bench((on_gpus(bench.service),))
    assert code == 0 and "systemctl stop protocol-omni-executor" in said and bench.state()["result"]["services"] == {}


def test_a_service_that_generates_nothing_is_left_out_with_its_kind(bench):
    code, said = bench((dict(bench.service, name="embedder", kind="embeddings"), bench.service))
    assert code == 0 and set(bench.state()["result"]["services"]) == {"executor"}
    assert "its kind is embeddings: it generates nothing that could be measured" in said


def test_a_plan_keeps_room_for_a_projector(bench):
    (bench.folder / "mmproj.gguf").write_bytes(bytes(3 << 20))
    bench((dict(on_gpus(bench.service), besides={"projector": ["mmproj.gguf"], "adapter": []}),))
    fits = [words for words in bench.measured() if words[words.index("--entrypoint") + 1].endswith("/llama-fit-params")]
    assert fits and {words[words.index("--fit-target") + 1].split(",")[0] for words in fits} == {"7171"}


def test_a_service_whose_model_cannot_be_read_is_left_out_with_the_reason(bench):
    (bench.folder / "broken.gguf").write_bytes(b"GGUF" + bytes(20))
    code, said = bench((dict(bench.service, name="broken", files=["broken.gguf"]), bench.service))
    assert code == 0 and set(bench.state()["result"]["services"]) == {"executor"}
    assert "broken.gguf, at byte 4: its format version is 0" in said


def test_the_plot_is_not_drawn_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert runpy.run_path(str(PLOT))["main"]("none.json", str(tmp_path / "p.png")) == 4
    assert "requirements/bench.txt" in capsys.readouterr().out


def test_the_plot_shows_what_was_measured(bench):
    bench()
    places, threads = runpy.run_path(str(PLOT))["points"](bench.state())
    assert places == {"executor": (64, 8000.0, None)} and [one[:2] for one in threads["executor"]] == [(1, 4000.0), (2, 8000.0)]
