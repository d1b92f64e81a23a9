"""What happens when something changes or fails on a host that runs."""
import json
import time

import openai
import pytest
import yaml
from support import ROOT


def started(site, service="executor"):
    """When the present container of a service was started, and from which image."""
    attributes = site.engine().containers.get(service).attrs
    return attributes["State"]["StartedAt"], attributes["Image"]


def answers(site):
    """Whether the executor generates something, within three minutes; what it is like besides, other tests prove."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            return bool(site.door().completions.create(model="executor", prompt="The capital of France is", max_tokens=4).choices[0].text)
        except openai.APIError:
            time.sleep(1)
    return False


def services_with(**values):
    """The demo's services, the executor with other values."""
    oracle, executor = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))["bunker_services"]
    executor = {name: value for name, value in executor.items() if name != "context"}
    return {"bunker_services": [oracle, dict(executor, **values)]}


def test_an_inventory_with_faults_is_refused_before_anything_changes(site, second):
    before = started(site)
    refused = site.run("site.yml", extra_vars=dict(services_with(model="smollm3", thread=4), golden_image_bass="x"))
    assert refused.rc != 0
    assert refused.changed == set()
    assert "thread" in refused.failures[0] and "Did you mean golden_image_base?" in refused.failures[0]
    assert "nothing was changed" in refused.failures[0]
    assert started(site) == before


def on_the_host(site, name):
    """What a host has of a service: its unit, its files, its container, the rules that know its address, and its route."""
    said = site.execute("ls /etc/systemd/system/protocol-omni-%(name)s.service; ls -d /etc/protocol_omni/services/%(name)s.*; "
                        "ls /etc/protocol_omni/seal/inside-%(name)s.nft; docker ps --all --quiet --filter name=^%(name)s$; "
                        "grep -l '\"%(name)s\"' /etc/protocol_omni/gateway/routes.json /etc/protocol_omni/observability/prometheus.yml" % {"name": name})[1]
    return [line for line in said.splitlines() if "No such file" not in line and "cannot access" not in line]


def observed(site):
    """What the claims of the last run observed, by id."""
    return {claim["id"]: claim["observed"] for claim in site.report()["claims"]}


def message_of(event):
    """What a task of a play said, "" where the event is of another kind."""
    return str((event.get("event_data", {}).get("res") or {}).get("msg", ""))


@pytest.mark.full  # six runs of site.yml; each kind of thing that leaves has tests of its own among the units
def test_what_leaves_the_inventory_leaves_the_host_and_a_renamed_service_takes_its_address(site, second):
    """A third service and a third network come; the service is renamed with its address kept; both go, and what was connected by hand with them."""
    oracle, executor = services_with()["bunker_services"]
    scribe, clerk = [dict(executor, name=name, port=8003, networks=[{"name": "omni-network", "address": "172.30.0.30"}]) for name in ("scribe", "clerk")]
    networks = yaml.safe_load((ROOT / "roles/networks/defaults/main.yml").read_text(encoding="utf-8"))["networks_definitions"]
    third = {"name": "third", "subnet": "172.28.7.0/24", "bridge": "br-third", "internal": True}
    before, models = [started(site, name) for name in ("oracle", "executor")], site.execute("ls /srv/models")[1]
    quick = {"inference_service_speed_bound": 0}  # nobody asks how fast the third one is
    roles = ("--tags", "networks,inference_service", "--skip-tags", "verify")  # the others are in the last run, which is whole
    try:
        site.run("site.yml", *roles, extra_vars=dict(quick, bunker_services=[oracle, executor, scribe], networks_definitions=networks + [third])).assert_ok()
        assert len(on_the_host(site, "scribe")) >= 5
        assert site.execute("docker network connect bridge oracle")[0] == 0
        assert site.run("playbooks/verify.yml").rc != 0
        found = observed(site)
        assert "scribe" in found["services.named"] and found["networks.named"].startswith("third besides")
        assert found["oracle.networks"].endswith("docker network disconnect bridge oracle")
        refused = site.run("site.yml", extra_vars={"inference_service_unnamed": "refuse"})
        assert refused.rc != 0 and refused.changed == set() and "bunker_services does not name: scribe" in refused.failures[-1]
        renamed = dict(quick, bunker_services=[oracle, executor, clerk])
        said = set()
        predicted = site.run("site.yml", "--check", *roles, extra_vars=renamed, watch=lambda event: said.add(message_of(event))).assert_ok()
        assert {"Stop the service", "Remove its files", "Start the service"} <= predicted.changed and on_the_host(site, "scribe")
        assert {"oracle: would be disconnected from bridge", "executor: runs as it is written", "clerk: would be made anew"} <= said
        said.clear()
        site.run("site.yml", *roles, extra_vars=renamed, watch=lambda event: said.add(message_of(event))).assert_ok()
        assert {"oracle: disconnected from bridge", "executor: runs as it is written", "clerk: made anew"} <= said
        assert [started(site, name) for name in ("oracle", "executor")] == before
        assert on_the_host(site, "scribe") == [] and len(on_the_host(site, "clerk")) >= 5
        assert "third" not in [network.name for network in site.engine().networks.list()]
    finally:
        site.execute("docker network disconnect bridge oracle")
        gone = site.run("site.yml")
    gone.assert_ok()
    assert on_the_host(site, "clerk") == [] and site.execute("ls /srv/models")[1] == models
    assert [started(site, name) for name in ("oracle", "executor")] == before


@pytest.mark.full
def test_a_network_that_is_in_use_is_not_taken_from_a_container_made_by_hand(site, second):
    networks = yaml.safe_load((ROOT / "roles/networks/defaults/main.yml").read_text(encoding="utf-8"))["networks_definitions"]
    third = {"name": "third", "subnet": "172.28.7.0/24", "bridge": "br-third", "internal": True}
    try:
        site.run("site.yml", "--skip-tags", "verify", extra_vars={"networks_definitions": networks + [third]}).assert_ok()
        assert site.execute("docker run --detach --name hand-made --network third --entrypoint sleep %s 600" % site.image)[0] == 0
        refused = site.run("site.yml")
        assert refused.rc != 0 and "hand-made on third" in refused.failures[-1]
    finally:
        site.execute("docker rm --force hand-made")
        gone = site.run("site.yml")
    gone.assert_ok()
    assert "third" not in [network.name for network in site.engine().networks.list()]
    assert site.run("site.yml").assert_ok().changed == set()


def test_an_engine_that_is_stopped_stays_down_and_its_services_come_back_with_it(site, second):
    units = "protocol-omni-oracle protocol-omni-executor"
    assert site.execute("systemctl stop docker.service")[0] == 0
    try:
        time.sleep(15)  # the watcher and the seal look meanwhile
        assert site.execute("systemctl is-active docker.service %s" % units)[1].split() == ["inactive"] * 3
    finally:
        assert site.execute("systemctl start docker.service")[0] == 0
    end = time.monotonic() + 180
    while site.execute("systemctl is-active %s" % units)[1].split() != ["active"] * 2:
        assert time.monotonic() < end
        time.sleep(1)
    assert answers(site)


# A client that reads nothing of a long answer: the connection outlives the process that gives it, and with it the old container's network.
KILLED = """
import json, socket, subprocess, time, urllib.request
def health():
    try:
        return urllib.request.urlopen("http://172.30.0.20:8002/health", timeout=1).status
    except OSError:
        return 0
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
client.connect(("172.30.0.20", 8002))
body = json.dumps({"prompt": "A story", "n_predict": 4000, "stream": True, "ignore_eos": True})
head = "POST /completion HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
client.sendall((head + body).encode())
time.sleep(8)
subprocess.run(["systemctl", "kill", "--signal=KILL", "docker.service"], check=True)
begun = time.monotonic()
time.sleep(3)
while health() != 200 and time.monotonic() - begun < 180:
    time.sleep(0.5)
print(health())
"""


def test_what_a_killed_engine_left_of_a_container_does_not_answer_for_the_new_one(site, second):
    """Without the unit's look at the bridge the executor is healthy inside, and refuses everybody for as long as the client is there."""
    code, said = site.execute("systemctl reset-failed; python3 -c '%s'" % KILLED)
    assert (code, said.split()[-1]) == (0, "200")
    assert answers(site)


def test_a_foreign_container_that_holds_an_address_is_named_with_the_command(site, second):
    """The Executor is down, and a container made by hand has its address."""
    assert site.execute("systemctl stop protocol-omni-executor && docker run --detach --name hand-made --network omni-network --ip 172.30.0.20 "
                        "--entrypoint sleep %s 600" % site.image)[0] == 0
    try:
        failed = redeploy(site)
        assert failed.rc != 0
        assert failed.failures[-1].startswith("Service executor was not deployed: its address 172.30.0.20 on omni-network is held by the container hand-made")
        assert "docker network disconnect omni-network hand-made" in failed.failures[-1]
    finally:
        site.execute("docker rm --force hand-made")
        assert site.execute("systemctl reset-failed protocol-omni-executor; systemctl start protocol-omni-executor")[0] == 0
    assert answers(site)


def redeploy(site, changed=None, **variables):
    """Deploys the executor alone, with a changed definition."""
    return site.run("tests/host/redeploy.yml", extra_vars=dict(variables, service="executor", changed_definition=changed or {}))


def test_a_service_that_fails_says_why_and_the_previous_one_runs_again(site, second):
    image = started(site)[1]
    failed = redeploy(site, {"extra_arguments": ["--no-such-option"]})
    assert failed.rc != 0
    message = failed.failures[-1]
    assert "Service executor was not deployed" in message
    assert "What ran before runs again" in message
    assert "--no-such-option" in message  # the server's own words
    assert "systemd starts it no more" in message or "Start the service: Unable to" in message  # as its start ended before it was sealed, or after
    assert failed.seconds < 400  # nobody waits for the whole of start_timeout, ten minutes
    assert started(site)[1] == image
    assert answers(site)


def test_a_definition_that_cannot_be_written_leaves_the_service_as_it_was(site, second):
    """The resolved service is written first; then the folder of the units takes nothing."""
    before, resolved = started(site), site.sums("/etc/protocol_omni/services/executor.json")
    try:
        assert site.execute("mount --bind /etc/systemd/system /etc/systemd/system && mount -o remount,ro,bind /etc/systemd/system")[0] == 0
        failed = redeploy(site, {"threads": "1"})
    finally:
        site.execute("umount /etc/systemd/system")
    assert failed.rc != 0
    assert "Service executor was not deployed.\nWrite the unit: " in failed.failures[-1] and "The service itself was not touched." in failed.failures[-1]
    assert site.sums("/etc/protocol_omni/services/executor.json") == resolved
    assert started(site) == before
    assert answers(site)


def test_a_service_that_is_stopped_while_it_starts_or_loads_stops_at_once(site, second):
    """systemd asks nothing of it before it has started, and llama-server heeds no SIGTERM before its model is loaded."""
    unit, found = "protocol-omni-executor", []
    stop = ("systemctl stop {0}; systemctl reset-failed {0} 2>/dev/null; systemctl start --no-block {0}; {1}; "
            "systemctl show --property SubState --value {0}; "
            "begun=$(date +%s%N); systemctl stop {0}; echo $((($(date +%s%N) - begun) / 1000000)); docker ps --quiet --filter name=executor")
    reach = ("for i in $(seq 1200); do now=$(systemctl show --property SubState --value {0}); [ $now = {1} ] || [ $now = running ] && break; sleep 0.02; "
             "done")
    try:
        for wait in [*("sleep %s" % seconds for seconds in (0.1, 0.2, 0.4, 0.6, 0.8, 1.2)), reach.format(unit, "start-post"), reach.format(unit, "running")]:
            found.append(site.execute(stop.format(unit, wait))[1].split())
    finally:
        print(found)
        site.execute("systemctl reset-failed {0} 2>/dev/null; systemctl start {0}".format(unit))
    assert {state for state, _milliseconds in found} >= {"start-post", "running"}
    assert max(int(milliseconds) for _state, milliseconds in found) < 45000  # not stopped at once, it would be killed after 60 s
    assert answers(site)


@pytest.mark.full
def test_a_wrong_answer_is_a_failure_too(site, second):
    failed = redeploy(site, {"expected_word": "Atlantis"})
    assert failed.rc != 0
    assert "Service executor was not deployed" in failed.failures[-1]
    assert "Paris" in failed.failures[-1]


STAND_IN_GPU = "GPU-57a4d1e0-0000-0000-0000-0057a4d1e000"
STAND_IN_CDI = {
    "cdiVersion": "0.5.0", "kind": "stand-in.invalid/gpu",
    "devices": [{"name": STAND_IN_GPU, "containerEdits": {"env": ["STAND_IN_GPU=handed-over"]}}],
}

# It knows what is asked before a start, and nothing else.
STAND_IN_NVIDIA_SMI = """#!/bin/sh
case "$*" in
    -L) echo "GPU 0: stand-in (UUID: %s)" ;;
    "--query-gpu=uuid,memory.total --format=csv,noheader,nounits") echo "%s, 97887" ;;
    *) echo "stand-in of nvidia-smi: not known: $*" >&2; exit 9 ;;
esac
""" % (STAND_IN_GPU, STAND_IN_GPU)


def test_a_gpu_service_is_handed_its_gpu_and_refused_when_it_computes_on_the_cpu(site, second):
    """A stand-in for a GPU: its CDI specification is real, but there is no card behind it and no libcuda."""
    specification = json.dumps(STAND_IN_CDI)
    assert site.execute("mkdir -p /etc/cdi && printf '%%s' '%s' > /etc/cdi/stand-in-gpu.json" % specification)[0] == 0
    assert site.execute("cat > /usr/local/bin/nvidia-smi <<'END' && chmod 755 /usr/local/bin/nvidia-smi\n%sEND" % STAND_IN_NVIDIA_SMI)[0] == 0
    shown = site.engine().containers.run(
        site.image, ["-c", "echo $STAND_IN_GPU"], entrypoint="/bin/sh", remove=True, network_mode="none",
        device_requests=[{"Driver": "cdi", "DeviceIDs": ["stand-in.invalid/gpu=" + STAND_IN_GPU]}])
    assert shown.decode().strip() == "handed-over"
    failed = redeploy(site, {"device": "gpu", "gpus": [STAND_IN_GPU], "gpu_layers": "99"}, inference_service_cdi_kind="stand-in.invalid/gpu")
    assert failed.rc != 0
    assert "is healthy but computes on the CPU" in failed.failures[-1]
    assert "What ran before runs again" in failed.failures[-1]
    site.execute("rm -r /etc/cdi /usr/local/bin/nvidia-smi")
    assert answers(site)


def test_a_model_that_was_replaced_after_its_verification_is_not_served(site, second):
    file = "/srv/models/smollm2-135m-instruct-q4_1/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert site.execute("cp -p %s %s.new && mv %s.new %s" % (file, file, file, file))[0] == 0  # the same bytes and times, another inode
    assert site.execute("systemctl restart protocol-omni-executor")[0] != 0
    assert "%s is not served: it is not the file that was verified" % file in site.execute("journalctl -u protocol-omni-executor -n 30 --no-pager")[1]
    refused = site.run("tests/host/redeploy.yml", extra_vars={"service": "executor"})
    assert refused.rc != 0 and "is not served: it is not the file that was verified" in refused.failures[-1]
    assert "What ran before does not start either, so nothing runs now: " in refused.failures[-1]
    model = yaml.safe_load((ROOT / "roles/model_store/defaults/main.yml").read_text(encoding="utf-8"))["model_store_catalogue"][0]["files"][0]
    again = site.module("source_file", source={"file": file}, sha256=model["sha256"], dest=file)
    assert again["rehashed"] and not again["changed"]
    assert site.execute("systemctl reset-failed protocol-omni-executor; systemctl restart protocol-omni-executor")[0] == 0
    assert answers(site)


def test_verify_fails_when_a_claim_is_broken_and_changes_nothing(site, second):
    """Besides, the Oracle does not keep a figure that is expected of it, and keeps two."""
    oracle, executor = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))["bunker_services"]
    oracle["expected"] = {"generation_speed": 100000, "prompt_speed": 1, "memory": 6.4}
    assert site.execute("systemctl stop protocol-omni-executor")[0] == 0
    try:
        broken = site.run("playbooks/verify.yml", extra_vars={"bunker_services": [oracle, executor]})
        assert broken.rc != 0
        assert broken.changed == set()
        statuses = {claim["id"]: claim["status"] for claim in site.report()["claims"]}
        assert statuses["executor.answers"] == "fails"
        assert statuses["oracle.answers"] == "holds"
        assert statuses["image.size"] == "holds"
        assert [statuses["oracle." + name] for name in ("generation_speed", "prompt_speed", "memory")] == ["fails", "holds", "holds"]
    finally:
        assert site.execute("systemctl start protocol-omni-executor")[0] == 0
    assert answers(site)


def test_an_option_that_llama_cpp_does_not_know_fails_the_build_by_name(site, second):
    before = started(site)
    failed = site.run("tests/host/image.yml", extra_vars={"golden_image_cmake_options": {"GGML_CUDA_FORCE_DMMV": "ON"}})
    assert failed.rc != 0
    assert "The image was not built. llama.cpp knows no CMake option named: GGML_CUDA_FORCE_DMMV. Remove it" in failed.failures[-1]
    assert started(site) == before


def test_an_image_without_machine_code_for_a_gpu_is_not_tagged(site, second):
    """Built anew (another label) for sm_120, while a card of capability 9.0 is to run it."""
    before = {tag for image in site.engine().images.list() for tag in image.tags}
    refused = site.run("tests/host/image.yml", extra_vars={
        "golden_image_labels": {"another": "image"}, "golden_image_keep_archive": False, "golden_image_capabilities": ["9.0"]})
    assert refused.rc != 0
    assert "Build the image" in refused.changed
    assert "The image was not tagged." in refused.failures[-1]
    assert "neither machine code nor PTX for compute capability 9.0 (only compute_120a, sm_120a): error 209" in refused.failures[-1]
    assert {tag for image in site.engine().images.list() for tag in image.tags} == before
    assert answers(site)


@pytest.fixture(scope="module")
def relabelled(site, second):
    """One input changed: a label of the image. It is not kept as an archive, or the next session would load it."""
    return site.run("site.yml", extra_vars={"golden_image_labels": {"changed": "input"}, "golden_image_keep_archive": False})


@pytest.mark.full
def test_one_changed_input_gives_a_new_image_and_replaces_the_services(site, second, relabelled):
    relabelled.assert_ok()
    assert {"Build the image", "Point the alias at the image", "Write the unit", "Start the service"} <= relabelled.changed
    assert site.engine().images.get(started(site)[1]).labels["changed"] == "input"


@pytest.mark.full
def test_going_back_builds_nothing(site, relabelled):
    back = site.run("site.yml").assert_ok()
    assert "Build the image" not in back.tasks
    assert "changed" not in site.engine().images.get(started(site)[1]).labels


@pytest.mark.full
def test_images_of_earlier_inputs_do_not_pile_up(site, relabelled):
    """With none to keep, the image that nothing uses goes; a name of the one that the containers were made from stays."""
    engine = site.engine()
    engine.images.get(site.image).tag(site.image.split(":")[0], "0123456789abcdef")
    before = {tag for image in engine.images.list() for tag in image.tags if tag.startswith("omni/")}
    pruned = site.run("site.yml", extra_vars={"golden_image_keep_earlier": 0})
    pruned.assert_ok()
    left = {tag for image in engine.images.list() for tag in image.tags if tag.startswith("omni/")}
    assert len(before - left) == 1 and len(left) == 3, (before, left)
    earlier = site.image.split(":")[0] + ":0123456789abcdef"
    assert earlier in left
    assert site.run("site.yml").assert_ok().changed == set()
    engine.images.remove(earlier, noprune=True)  # later tests compare the image's tags
