"""Each claim of a service holds, fails by itself, and does not apply where it cannot, from what was seen of an Oracle on two cards and an Executor on none."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims
from ansible_collections.protocol_omni.bunker.plugins.module_utils.claims import inference_service
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

COMMON = "llama-server --model /models/m.gguf --alias x --batch-size 2048 --threads 8 --mlock --ctx-size 8192 --ubatch-size 512"
CARDS = COMMON + r" --override-tensor blk\.5\.=CUDA1 --n-gpu-layers 62 --tensor-split 75,25"
NO_CARDS = COMMON + " --n-gpu-layers 0"
LIBCUDA = "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05"
TUNING = {"threads": 8, "cpuset": "0-7", "batch": 2048, "speculation": "none", "arguments": ["--mlock"], "placement": "planned", "origin": "rule",
          "evidence": "nothing was measured on this host; the rule: one thread a core: 8"}
FREE = {"speed_bound": 85, "cores": 8, "rung": 0, "file": "m.gguf", "tuning": TUNING}
ORACLE = {"name": "oracle", "model": "large", "device": "gpu", "gpus": ["GPU-a", "GPU-b"], "gpu_layers": "62", "tensor_split": "75,25", "split_mode": "",
          "load_mode": "", "tensor_overrides": [r"blk\.5\.=CUDA1"], "expected_word": "Paris", "sealed": True, "address": "", "port": 8000,
          "networks": [{"name": "omni-network", "address": "172.30.0.20"}, {"name": "internal_brain", "address": "172.31.0.20"}],
          "expected": {"memory": 6.4, "generation_speed": 10.9, "prompt_speed": 100.0}}
EXECUTOR = dict(ORACLE, name="executor", model="small", device="cpu", gpus=[], gpu_layers="auto", tensor_split="", tensor_overrides=[],
                expected={"memory": 0, "generation_speed": 0, "prompt_speed": 0})
SEEN = {
    "answer": {"said": "The capital is paris.", "tokens": 5}, "speeds": {"generation": 10.94, "prompt": 172.26}, "model_path": "/models/m.gguf",
    "doors": [{"path": "/", "status": 404, "origin": ""}, {"path": "/slots", "status": 501, "origin": "none"},
              {"path": "/health", "status": 200, "origin": "none"}],
    "container": {
        "pid": 4711, "image": "sha256:0123456789abcdef", "definition": "abcd", "ports": [], "cpuset": "0-7", "restart": "no",
        "networks": {"internal_brain": "172.31.0.20", "omni-network": "172.30.0.20"},
        "hardening": {"user": "65532:65532", "read_only": True, "dropped": "ALL", "added": "", "security": "no-new-privileges", "privileged": False,
                      "pids": 4096, "models_writable": [False]}},
    "process": {"arguments": CARDS.split(), "visible_devices": "GPU-a,GPU-b", "devices": ["/dev/nvidia0", "/dev/nvidiactl"], "libcuda": [LIBCUDA],
                "backend": ["/opt/llama/libggml-cuda.so"], "memory": 6_394_000_000},
    "gpus": ["GPU-b", "GPU-a"], "inside": ['oifname "lo" accept', "counter drop"],
    "unit": {"state": "active", "enabled": "enabled", "binds_to": ["protocol-omni-seal.service"], "definition": "abcd"},
    "resolved": {"rung": 0, "name": "inventory", "arguments": CARDS.split()[1:]},
    "last_speed": {"definition": "abcd", "holds": True, "bound": 85, "speeds": {"generation": 11.04, "prompt": 170.06},
                   "against": {"generation": 10.96, "prompt": 168.0}, "since": "2026-11-28 10:00:00 UTC", "changed": ["kernel was 6.1 and is 6.12"]},
    "readiness": {"mapped": [{"path": LIBCUDA, "origin": "host_driver"}], "libcuda": [{"origin": "host_driver", "reason": "the host driver's"}],
                  "host": {"kernel_module": "580.95.05"}},
    "egress": {"why": "", "isolated": True, "failing": [], "attempts": [
        {"attempt": "ping", "network": "omni-network", "observed": "blocked", "expected": "blocked", "does_not_apply": ""},
        {"attempt": "frames", "network": "omni-network", "observed": "blocked", "expected": "blocked", "does_not_apply": ""},
        {"attempt": "IPv6", "network": "omni-network", "observed": "", "expected": "blocked", "does_not_apply": "no IPv6 here"}]}}


def on_cpu(seen):
    """What is seen of the Executor: no card, no libcuda; the readiness is that of a task that was skipped."""
    seen["process"].update(arguments=NO_CARDS.split(), visible_devices="", devices=[], libcuda=[], backend=[])
    seen["resolved"]["arguments"] = NO_CARDS.split()[1:]
    seen.update(gpus=[], readiness={"skipped": True})


def rows(change=lambda seen: None, service=None, gpu=True, **wanted):
    """Claim to its row of the report, as the action claim makes it.

    :param change: of what was seen.
    :param service: what is otherwise in its definition.
    """
    seen = copy.deepcopy(SEEN)
    if not gpu:
        on_cpu(seen)
    change(seen)
    given = dict(FREE, service=dict(ORACLE if gpu else EXECUTOR, **(service or {})), placement="GPU GPU-a, GPU-b" if gpu else "CPU only", placed="planned")
    catalogue = {name: entry for name, entry in collection_roles.claim_catalogue("inference_service").items() if name.startswith("SERVICE.")}
    found = inference_service.results(dict(given, **wanted), seen)
    assert set(found) == set(catalogue)
    return {name[len("SERVICE."):]: claims.judge(name, catalogue[name], found[name]) for name in catalogue}


def statuses(status, *given, **wanted):
    return [name for name, row in rows(*given, **wanted).items() if row["status"] == status]


def test_all_of_them_hold_of_an_oracle_that_is_as_it_should_be():
    assert {name: row["observed"] for name, row in rows().items() if row["status"] != "holds"} == {}


def test_of_an_executor_without_figures_some_do_not_apply_and_the_others_hold():
    found = rows(gpu=False)
    assert {name: row["reason"] for name, row in found.items() if row["status"] == "does not apply"} == {
        "placed": "it computes on the CPU (SERVICE.placement)", "libcuda": "it computes on the CPU and has none mapped (SERVICE.placement)",
        **{name: "the inventory claims no figure for this service" for name in ("memory", "generation_speed", "prompt_speed")}}
    assert {name: row["observed"] for name, row in found.items() if row["status"] == "fails"} == {}


def test_what_the_host_remembers_and_cannot_be_read_is_told_by_one_claim_with_the_remedy_and_the_others_are_observed():
    lost = "/etc/protocol_omni/services/s.proven is not what was written there. Remove it: rm /etc/protocol_omni/services/s.proven"
    found = rows(damaged=[lost])
    assert [name for name, row in found.items() if row["status"] == "fails"] == ["rung"] and found["rung"]["observed"].startswith(lost + "; rung 0, ")


EGRESS = {"why": "", "isolated": False, "failing": [{"attempt": "ping", "network": "omni-network", "observed": "passed"}],
          "attempts": [dict(SEEN["egress"]["attempts"][0], observed="passed"), SEEN["egress"]["attempts"][1]]}
FAULTS = {
    "another answer": ("answers", lambda seen: seen["answer"].update(said="Rome")),
    "no words": ("answers", lambda seen: seen["answer"].update(said="", tokens=0)),
    "words without tokens": ("answers", lambda seen: seen["answer"].update(tokens=0)),
    "another model": ("model", lambda seen: seen.update(model_path="/models/other.gguf")),
    "no model": ("model", lambda seen: seen.update(model_path="")),
    "made by an earlier unit": ("current", lambda seen: seen["container"].update(definition="aaaa")),
    "a container of somebody": ("current", lambda seen: seen["container"].update(definition="")),
    "another rung": ("rung", lambda seen: seen["resolved"].update(rung=1, name="kv_to_ram")),
    "no resolved service": ("rung", lambda seen: seen.update(resolved={})),
    "other arguments than its resolved service's": ("rung", lambda seen: seen["resolved"].update(arguments=["--ctx-size", "4096"])),
    "more arguments behind": ("rung", lambda seen: seen["process"]["arguments"].extend(["--verbose"])),
    "other cards": ("placement", lambda seen: seen["process"].update(visible_devices="GPU-b,GPU-a")),
    "no word of cards": ("placement", lambda seen: seen["process"].update(visible_devices=None)),
    "no card is open": ("placement", lambda seen: seen["process"].update(devices=[])),
    "libcuda is not mapped": ("placement", lambda seen: seen["process"].update(libcuda=[])),
    "no backend": ("placement", lambda seen: seen["process"].update(backend=[])),
    "the driver shows it on one card": ("placement", lambda seen: seen.update(gpus=["GPU-a"])),
    "compat": ("libcuda", lambda seen: seen["readiness"]["mapped"][0].update(origin="compat")),
    "two of them": ("libcuda", lambda seen: seen["readiness"]["mapped"].append({"path": "/x/libcuda.so.1", "origin": "stub"})),
    "none mapped": ("libcuda", lambda seen: seen["readiness"].update(mapped=[])),
    "another would be got": ("libcuda", lambda seen: seen["readiness"]["libcuda"].append({"origin": "compat", "reason": "x gets compat"})),
    "it was slower": ("kept_speed", lambda seen: seen["last_speed"].update(holds=False)),
    "another address": ("networks", lambda seen: seen["container"]["networks"].update({"omni-network": "172.30.0.99"})),
    "one more network": ("networks", lambda seen: seen["container"]["networks"].update({"bridge": "172.17.0.2"})),
    "no network": ("networks", lambda seen: seen["container"].update(networks={})),
    "it gets out": ("isolated", lambda seen: seen.update(egress=EGRESS)),
    "nothing could be tried": ("isolated", lambda seen: seen.update(egress={"isolated": False, "attempts": [], "failing": [], "why": "no iproute2"})),
    "nothing was tried": ("isolated", lambda seen: seen["egress"].update(attempts=[SEEN["egress"]["attempts"][2]])),
    "no table inside": ("sealed_inside", lambda seen: seen.update(inside=[])),
    "half of a table": ("sealed_inside", lambda seen: seen["inside"].pop()),
    "bound to nothing": ("sealed_inside", lambda seen: seen["unit"].update(binds_to=["docker.service"])),
    "a page": ("shut", lambda seen: seen["doors"][0].update(status=200)),
    "slots": ("shut", lambda seen: seen["doors"][1].update(status=200)),
    "no health": ("shut", lambda seen: seen["doors"][2].update(status=503)),
    "every origin": ("shut", lambda seen: seen["doors"][0].update(origin="*")),
    "a published port": ("port", lambda seen: seen["container"]["ports"].append("0.0.0.0:8000")),
    "a capability": ("hardened", lambda seen: seen["container"]["hardening"].update(added="NET_RAW")),
    "root": ("hardened", lambda seen: seen["container"]["hardening"].update(user="")),
    "writable models": ("hardened", lambda seen: seen["container"]["hardening"].update(models_writable=[True])),
    "no models": ("hardened", lambda seen: seen["container"]["hardening"].update(models_writable=[])),
    "not enabled": ("supervised", lambda seen: seen["unit"].update(enabled="disabled")),
    "not active": ("supervised", lambda seen: seen["unit"].update(state="deactivating")),
    "Docker restarts it": ("supervised", lambda seen: seen["container"].update(restart="always")),
    "too much memory": ("memory", lambda seen: seen["process"].update(memory=6_406_000_000)),
    "slow": ("generation_speed", lambda seen: seen["speeds"].update(generation=10.84)),
    "slow with prompts": ("prompt_speed", lambda seen: seen["speeds"].update(prompt=99.94)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_claim_fails_by_itself(fault):
    claim, change = FAULTS[fault]
    assert statuses("fails", change) == [claim]


def replaced(seen, old, new):
    """Another command line, which is that of the resolved service too."""
    words = CARDS.replace(old, new).split()
    assert words != CARDS.split()
    seen["process"]["arguments"], seen["resolved"]["arguments"] = words, words[1:]


@pytest.mark.parametrize("old, new, failing", [
    ("--threads 8", "--threads 9", ["threads", "tuned"]), ("--threads 8", "--threads-batch 8", ["threads", "tuned"]),
    ("--batch-size 2048", "--batch-size 512", ["tuned"]), ("--mlock", "--mmap", ["tuned"]), ("--mlock", "--mlock --spec-default", ["tuned"]),
    ("--n-gpu-layers 62", "--n-gpu-layers 6", ["placed"]), ("75,25", "25,75", ["placed"]), ("--tensor-split 75,25", "", ["placed"]),
    (r"--override-tensor blk\.5\.=CUDA1", "", ["placed"]), (r"blk\.5\.=CUDA1", r"blk\.5\.=CUDA10", ["placed"])])
def test_another_command_line_fails_what_speaks_of_it(old, new, failing):
    assert statuses("fails", lambda seen: replaced(seen, old, new)) == failing


def test_other_cpus_than_chosen_fail():
    assert statuses("fails", lambda seen: seen["container"].update(cpuset="")) == ["tuned"]


def test_a_rung_may_add_overrides_behind_those_of_the_placement():
    assert statuses("fails", lambda seen: replaced(seen, "=CUDA1", r"=CUDA1,blk\.6\.=CPU")) == []


def test_a_placement_that_is_still_to_be_planned_is_none():
    assert statuses("fails", placed="open") == ["placed"]


def test_speculation_that_was_chosen_has_to_be_there():
    tuning = dict(TUNING, speculation="ngram", arguments=["--mlock", "--spec-default"])
    assert statuses("fails", tuning=tuning) == ["tuned"]
    assert statuses("fails", lambda seen: replaced(seen, "--mlock", "--mlock --spec-default"), tuning=tuning) == []


@pytest.mark.parametrize("fault", ["devices", "libcuda"])
def test_a_service_of_the_cpu_holds_no_card(fault):
    assert statuses("fails", lambda seen: seen["process"].update({fault: ["/x"]}), gpu=False) == ["placement"]


def test_a_figure_that_is_just_kept_holds():
    """As it is told: rounded to hundredths of a GB and to tenths of a token."""
    def change(seen):
        seen["process"].update(memory=6_404_000_000)
        seen["speeds"].update(generation=10.86, prompt=99.96)
    found = rows(change)
    assert [(found[name]["status"], found[name]["observed"].split(" (")[0]) for name in ("memory", "generation_speed", "prompt_speed")] == [
        ("holds", "6.4 GB"), ("holds", "10.9 tok/s"), ("holds", "100.0 tok/s")]


def test_a_service_of_the_cpu_sees_no_card():
    assert statuses("fails", lambda seen: seen["process"].update(visible_devices=None), gpu=False) == ["placement"]
    assert statuses("fails", lambda seen: seen["process"].update(visible_devices="GPU-a"), gpu=False) == ["placement"]


def test_a_service_of_the_cpu_may_have_the_cuda_backend_mapped():
    assert statuses("fails", lambda seen: seen["process"].update(backend=["/opt/llama/libggml-cuda.so"]), gpu=False) == []


def test_a_port_that_the_inventory_publishes():
    published = {"address": "10.0.0.1"}
    assert statuses("fails", service=published) == ["port"]
    assert statuses("fails", lambda seen: seen["container"].update(ports=["10.0.0.1:8000"]), service=published) == []
    assert statuses("fails", lambda seen: seen["container"].update(ports=["0.0.0.0:8000"]), service=published) == ["port"]


def test_what_does_not_apply_says_why():
    def reasons(*given, **wanted):
        return {name: row["reason"] for name, row in rows(*given, **wanted).items() if row["status"] == "does not apply"}
    unsealed = "the inventory lets this service initiate connections (sealed is false)"
    assert reasons(service={"sealed": False}) == {"isolated": unsealed, "sealed_inside": unsealed}
    assert reasons(tuning=dict(TUNING, origin="inventory", evidence="the inventory fixes all")) == {"tuned": "the inventory fixes all"}
    assert reasons(speed_bound=0) == {"kept_speed": "the inventory has it measured after no deployment (inference_service_speed_bound 0)"}
    assert reasons(lambda seen: seen["last_speed"].update(definition="aaaa")) == {"kept_speed": "it was not measured since its deployment"}
    assert reasons(lambda seen: seen.update(last_speed={})) == {"kept_speed": "it was not measured since its deployment"}
    assert list(reasons(service={"expected": dict(ORACLE["expected"], prompt_speed=0)})) == ["prompt_speed"]


def test_a_unit_and_a_container_that_both_say_nothing_do_not_agree():
    def change(seen):
        seen["unit"].update(definition="")
        seen["container"].update(definition="")
    row = rows(change)["current"]
    assert (row["status"], row["expected"], row["observed"]) == ("fails", "definition of a unit, as its unit is written", "definition unknown")


def test_the_words():
    found = {name: (row["expected"], row["observed"]) for name, row in rows().items()}
    tuned = "threads 8, CPUs 0-7, batch 2048, speculation none - " + TUNING["evidence"]
    hardening = ('{"user": "65532:65532", "read_only": true, "dropped": "ALL", "added": "", "security": "no-new-privileges", "privileged": false, '
                 '"pids": 4096, "models_writable": [false]}')
    rest = r"--ctx-size 8192 --ubatch-size 512 --override-tensor blk\.5\.=CUDA1 --n-gpu-layers 62 --tensor-split 75,25"
    assert found == {
        "answers": ("Paris", "The capital is paris."), "model": ("m.gguf", "m.gguf"),
        "current": ("definition abcd, as its unit is written", "definition abcd"),
        "rung": ("rung 0, with the arguments of its resolved service", "rung 0, inventory; it runs with " + rest),
        "placement": ("GPU GPU-a, GPU-b", "CUDA_VISIBLE_DEVICES=GPU-a,GPU-b; devices: /dev/nvidia0 /dev/nvidiactl; libcuda: " + LIBCUDA),
        "placed": (r"planned: --n-gpu-layers 62 --tensor-split 75,25 blk\.5\.=CUDA1",
                   r"planned; --n-gpu-layers 62 --tensor-split 75,25, --override-tensor blk\.5\.=CUDA1"),
        "libcuda": ("580.95.05, and no other", LIBCUDA + ": host_driver"),
        "threads": ("8 (8 physical cores)", "--threads 8"), "tuned": (tuned, tuned),
        "kept_speed": ("85 % of 11.0 tok/s generation, 168.0 prompt (2026-11-28 10:00:00 UTC)",
                       "11.0 tok/s generation, 170.1 prompt; changed since: kernel was 6.1 and is 6.12"),
        "networks": ("internal_brain 172.31.0.20, omni-network 172.30.0.20",) * 2,
        "isolated": ("2 attempts as expected", "2 of 2; 1 do not apply"),
        "sealed_inside": ("its namespace drops what it initiates; bound to protocol-omni-seal.service",
                          "oifname lo accept counter drop; bound to protocol-omni-seal.service"),
        "shut": ("/ and /slots refused, /health answers, allowed origin none", "404, 501, 200, allowed origin none"),
        "port": ("none", "none"), "hardened": (hardening, hardening),
        "supervised": ("active enabled, Docker's restart policy no",) * 2,
        "memory": ("at most 6.4 GB", "6.39 GB (large)"),
        "generation_speed": ("at least 10.9 tok/s", "10.9 tok/s (large, GPU GPU-a, GPU-b)"),
        "prompt_speed": ("at least 100.0 tok/s", "172.3 tok/s (large, GPU GPU-a, GPU-b)")}


@pytest.mark.parametrize("fault, observed", [
    ("no words", "no words"), ("no model", "no model"), ("a container of somebody", "definition unknown"), ("none mapped", "none mapped"),
    ("another would be got", LIBCUDA + ": host_driver; x gets compat"), ("it gets out", "1 of 2; ping · omni-network · passed"),
    ("nothing could be tried", "not observed: no iproute2"), ("not active", "deactivating enabled, Docker's restart policy no"),
    ("no table inside", "no table in its namespace; bound to protocol-omni-seal.service"),
    ("bound to nothing", "oifname lo accept counter drop; bound to nothing"), ("every origin", "404, 501, 200, allowed origin *, none"),
    ("the driver shows it on one card", "CUDA_VISIBLE_DEVICES=GPU-a,GPU-b; devices: /dev/nvidia0 /dev/nvidiactl; libcuda: %s; "
                                        "nvidia-smi does not show it on GPU-b" % LIBCUDA),
    ("no network", "none. Run site.yml, which makes the container anew; or: systemctl restart protocol-omni-oracle"), ("a published port", "0.0.0.0:8000"),
    ("not enabled", "active disabled, Docker's restart policy no")])
def test_the_words_of_faults(fault, observed):
    claim, change = FAULTS[fault]
    assert rows(change)[claim]["observed"] == observed


def test_a_process_with_nothing_on_its_command_line_is_told_in_words():
    def change(seen):
        seen["process"].update(arguments=["sh"], visible_devices=None, devices=[], libcuda=[], backend=[])
    found = rows(change)
    assert found["threads"]["observed"] == "no --threads" and found["rung"]["observed"].endswith("it runs with other arguments")
    assert found["placed"]["observed"] == "planned; no layers named, no --override-tensor"
    assert found["tuned"]["observed"].startswith("threads none, CPUs 0-7, batch none, speculation none")
    assert found["placement"]["observed"].startswith("no CUDA_VISIBLE_DEVICES; devices: none; libcuda: not mapped; libggml-cuda not mapped")


def test_a_host_whose_commands_tell_nothing_proves_nothing_by_them():
    """As module service_info returns it where systemctl, nft and nvidia-smi are not there, and where none of its files can be read."""
    def change(seen):
        seen.update(unit={"state": "", "enabled": "", "binds_to": [], "definition": ""}, inside=[], gpus=[], resolved={}, last_speed={},
                    egress={"isolated": False, "attempts": [], "failing": [], "why": "no iproute2"})
    found = rows(change)
    assert {name: row["observed"] for name, row in found.items() if row["status"] == "fails"} == {
        "current": "definition abcd", "isolated": "not observed: no iproute2", "sealed_inside": "no table in its namespace; bound to nothing",
        "placement": "CUDA_VISIBLE_DEVICES=GPU-a,GPU-b; devices: /dev/nvidia0 /dev/nvidiactl; libcuda: %s; "
                     "nvidia-smi does not show it on GPU-a, GPU-b" % LIBCUDA,
        "rung": "rung unknown, it has no resolved service; it runs with --ctx-size 8192 --ubatch-size 512 --override-tensor blk\\.5\\.=CUDA1 "
                "--n-gpu-layers 62 --tensor-split 75,25",
        "supervised": "not observed, systemctl tells nothing, Docker's restart policy no"}
    assert found["kept_speed"]["status"] == "does not apply"


def test_the_first_measurement_is_compared_with_nothing():
    row = rows(lambda seen: seen["last_speed"].update(against={}, changed=[]))["kept_speed"]
    assert (row["status"], row["expected"], row["observed"]) == (
        "holds", "85 % of nothing yet: this was the first measurement", "11.0 tok/s generation, 170.1 prompt")


@pytest.mark.parametrize("change, ending", [
    ({"bridge": "172.17.0.2"}, ". Disconnect it, or run site.yml: docker network disconnect bridge oracle"),
    ({"omni-network": "172.30.0.99"}, ". Run site.yml, which makes the container anew; or: systemctl restart protocol-omni-oracle")])
def test_a_container_on_other_networks_is_told_with_the_command(change, ending):
    found = rows(lambda seen: seen["container"]["networks"].update(change))["networks"]
    assert found["status"] == "fails" and found["observed"].endswith(ending)


def measured(samples, others=None, expected=172.0, threads="8"):
    """The row of the prompt's speed by several measurements."""
    def change(seen):
        seen["samples"] = {"generation": [10.9], "prompt": samples}
        seen["speeds"]["prompt"] = sorted(samples)[len(samples) // 2]
        seen["others"] = others or {"cpus": 0.0, "of": 16, "pressure": 0.0}
    return rows(change, gpu=False, service={"expected": {"generation_speed": 0, "prompt_speed": expected, "memory": 0}},
                tuning=dict(FREE["tuning"], threads=threads))["prompt_speed"]


@pytest.mark.parametrize("samples, others, status, words", [
    ([169.0, 170.0, 171.0, 172.0, 173.0], None, "holds", "171.0 ± 2.0 tok/s (5 measurements, 95 %)"),
    ([160.0, 160.5, 161.0, 161.5, 162.0], None, "fails", "161.0 ± 1.0 tok/s (5 measurements, 95 %)"),
    ([160.0, 160.5, 161.0, 161.5, 162.0], {"cpus": 12.0, "of": 16, "pressure": 0.0}, "does not apply",
     "not measurable now: 161.0 ± 1.0 tok/s (5 measurements, 95 %), while others use 12.0 of 16 CPUs, this service 8"),
    ([175.0, 175.5, 176.0, 176.5, 177.0], {"cpus": 12.0, "of": 16, "pressure": 0.0}, "holds", "176.0 ± 1.0 tok/s"),
    ([90.0, 120.0, 150.0, 180.0, 210.0], None, "does not apply", "not measurable now: 150.0 ± 58.9 tok/s (5 measurements, 95 %) are too far apart"),
    ([80.0, 80.5, 81.0, 81.5, 82.0], {"cpus": 12.0, "of": 16, "pressure": 0.0}, "fails", "81.0 ± 1.0 tok/s"),
    ([169.3], None, "fails", "169.3 tok/s ("),
    ([8.0, 12.0, 16.0, 10.0, 14.0], None, "fails", "12.0 ± 3.9 tok/s (5 measurements, 95 %)"),
    ([300.0, 350.0, 450.0, 250.0, 400.0], None, "holds", "350.0 ± 98.1 tok/s (5 measurements, 95 %)")],
    ids=["within its noise", "slower", "slower, and others are at work", "fast all the same", "too much noise", "half of it, whoever is at work", "one",
         "a tenth of it, whatever the noise", "twice as much, whatever the noise"])
def test_a_speed_is_judged_with_its_noise(samples, others, status, words):
    row = measured(samples, others)
    assert row["status"] == status and (row["observed"] or row["reason"]).startswith(words)


KINDS = {
    "embeddings": ({"vectors": [{"length": 384, "finite": True, "zero": False}] * 2}, {"vectors": [{"length": 384, "finite": True, "zero": True}] * 2}),
    "reranking": ({"scores": {"0": 0.1, "1": -2.0}}, {"scores": {"0": 0.1}}),
    "completion": ({"said": "a + b"}, {"said": ""}),
    "vision": ({"said": "Paris.", "tokens": 3, "saw": "Red.", "looked": True}, {"said": "Paris.", "tokens": 3, "saw": "", "looked": False}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_claimed_to_do_what_it_is_for(kind):
    good, bad = KINDS[kind]
    assert rows(lambda seen: seen.update(answer=good), service={"kind": kind}, width=384)["answers"]["status"] == "holds"
    assert rows(lambda seen: seen.update(answer=bad), service={"kind": kind}, width=384)["answers"]["status"] == "fails"


def test_vectors_of_another_length_than_the_headers_are_no_answer():
    seen = KINDS["embeddings"][0]
    assert rows(lambda found: found.update(answer=seen), service={"kind": "embeddings"}, width=768)["answers"]["status"] == "fails"


def test_a_speed_that_a_kind_does_not_have_does_not_apply_and_the_other_is_judged():
    def change(seen):
        seen.update(answer=KINDS["embeddings"][0], speeds={"generation": None, "prompt": 99.9})
        seen["last_speed"].update(speeds={"prompt": 99.9}, against={"prompt": 120.0})
    found = rows(change, service={"kind": "embeddings"}, width=384)
    assert (found["generation_speed"]["status"], found["generation_speed"]["reason"]) == ("does not apply", "its kind is embeddings: it generates nothing")
    assert found["prompt_speed"]["status"] == "fails" and "99.9 tok/s" in found["prompt_speed"]["observed"]
    assert found["kept_speed"]["observed"].startswith("99.9 tok/s read")
    assert found["kept_speed"]["expected"] == "85 % of 120.0 tok/s read (2026-11-28 10:00:00 UTC)"


def test_a_measurement_that_is_refused_says_so():
    found = rows(lambda seen: seen.update(speeds={"generation": None, "prompt": None, "why": "it answered 400: too long"}))
    assert [found[name]["reason"] for name in ("generation_speed", "prompt_speed")] == ["it refuses what it is measured by: it answered 400: too long"] * 2
