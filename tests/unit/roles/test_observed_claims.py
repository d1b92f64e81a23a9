"""From the inventory to the module that looks and to the claims: verify.yml of the roles that only join the two, rendered as a play would."""
import pytest
import rendering
import yaml
from support import ROOT

DEMO = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))
COMMON = {"bunker_config_path": "/etc/protocol_omni", "bunker_services": DEMO["bunker_services"]}


def asked(role, name, module, variables):
    """Arguments of the module that looks."""
    task = rendering.task(role, "tasks/verify.yml", name)
    given = task["protocol_omni.bunker.claim"]["look"] if "protocol_omni.bunker.claim" in task else task
    return rendering.render(role, given, dict(COMMON, **variables), task.get("vars")).get("protocol_omni.bunker." + module)


def recorded(role, name, variables):
    """Claim id to observation."""
    return rendering.observed(role, rendering.task(role, "tasks/verify.yml", name), dict(COMMON, **variables))


def observability(**variables):
    """(arguments of the module, claims) of a host on which nothing runs."""
    variables = dict({"observability_enabled": True, "ansible_search_path": [str(ROOT / "roles/observability")],
                      "_observability_services": [{"job": "services", "service": "oracle", "address": "172.30.0.10:8000"}], "__observability_seen": {
                          "listening": [], "targets": [], "rules": [], "configuration": "", "reloaded": False}}, **variables)
    return (asked("observability", "Look at what is measured", "observability_info", variables),
            recorded("observability", "Look at what is measured", variables))


def test_what_is_measured_is_handed_on():
    look, found = observability(vram_watch_service="none", gateway_metrics_port=9280, observability_scrape_interval=3)
    rules = yaml.safe_load((ROOT / "roles/observability/files/rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert look == {"endpoint": "http://127.0.0.1:9090", "targets": 3, "patience": 6}
    assert found["observability.local"]["expected"] == "127.0.0.1:9090, 127.0.0.1:9100"
    assert found["observability.targets"]["expected"] == "gateway 127.0.0.1:9280 up, node 127.0.0.1:9100 up, services oracle 172.30.0.10:8000 up"
    assert found["observability.rules"]["expected"].startswith("%d rules of the role, all evaluated, configuration " % len(rules))
    assert {row["holds"] for row in found.values()} == {False}


def test_nothing_is_looked_at_where_nothing_is_measured():
    variables = {"observability_enabled": False, "__observability_seen": {"skipped": True}}
    assert asked("observability", "Look at what is measured", "observability_info", variables) is None
    found = recorded("observability", "Look at what is measured", variables)
    assert [row["does_not_apply"] for row in found.values()] == ["observability_enabled is false"] * 3


def vram_watch(**variables):
    """(arguments of the module, status by claim) of a watcher that has written nothing."""
    variables = dict({"vram_watch_service": "auto", "_vram_watch_service": "oracle", "_vram_watch_watched": {"gpus": ["GPU-1"]}, "__vram_watch_seen": {
        "state": "active", "enabled": "enabled", "now": 1000, "listening": [], "series": 0, "engine": "", "containers": [], "play": {"rc": 127, "said": ""},
        "status": {}}}, **variables)
    return asked("vram_watch", "Look at the watcher", "vram_watch_info", variables), recorded("vram_watch", "Look at the watcher", variables)


def test_the_watcher_is_looked_at_where_the_role_put_it():
    look, found = vram_watch(vram_watch_metrics_port=9281, vram_watch_interval=7)
    assert look == {"unit": "protocol-omni-vram-watch.service", "unit_path": "/etc/systemd/system/protocol-omni-vram-watch.service",
                    "status_path": "/run/protocol-omni-vram-watch/status.json", "metrics_port": 9281}
    assert found["vram_watch.metrics"]["expected"] == "127.0.0.1:9281" and "within 21 s" in found["vram_watch.samples"]["expected"]
    assert [name for name, row in found.items() if "does_not_apply" in row] == []


def test_what_the_inventory_does_not_have_watched_is_claimed_of_nobody():
    def reasons(**variables):
        return [row.get("does_not_apply", "judged") for row in vram_watch(**variables)[1].values()]
    no_card = "the watched service has no card; its memory is RAM"
    assert reasons(_vram_watch_watched={"gpus": []}) == [no_card] * 3 + ["judged"] * 3
    assert reasons(_vram_watch_watched={"gpus": []}, vram_watch_gpus=["GPU-2"]) == ["judged"] * 6
    assert reasons(vram_watch_fill_context=False) == ["judged"] * 2 + ["vram_watch_fill_context is false"] + ["judged"] * 3
    assert reasons(_vram_watch_service="", _vram_watch_watched=None, vram_watch_service="none") == [
        "the inventory has no service to watch (vram_watch_service none)"] * 5 + ["judged"]


def container_engine(**variables):
    """(arguments of the module, claims) of a host without an engine."""
    root = {"root": "/var/lib/x", "running": None, "configured": "/var/lib/x", "wanted": "/var/lib/x", "mount": "/"}
    variables = dict({"__container_engine_seen": {"version": "24.0", "engine": "", "buildx": "", "cache_bounds": [], "options": {}, "refused": "",
                                                  "roots": {"docker": root, "containerd": root}}}, **variables)
    return (asked("container_engine", "Look at the engine", "container_engine_info", variables),
            recorded("container_engine", "Look at the engine", variables))


def test_what_is_wanted_of_the_engine_is_handed_on():
    look, found = container_engine(container_engine_data_root="/nvme/docker", container_engine_containerd_root="/nvme/containerd")
    assert look == {"docker_root": "/nvme/docker", "containerd_root": "/nvme/containerd"}
    assert found["engine.version"]["expected"] == "25.0 or newer" and found["engine.bounded"]["expected"] == "at most 20GB"
    assert '"defaultKeepStorage": "20GB"' in found["engine.options"]["expected"]
    assert [row.get("holds") for row in found.values()] == [False] * 6


def test_the_root_file_system_may_be_used_where_the_inventory_has_nothing_else():
    assert "does_not_apply" in container_engine()[1]["engine.off_root"]
    assert "does_not_apply" not in container_engine(bunker_volumes={"/nvme": {}})[1]["engine.off_root"]


def golden_image(**variables):
    """(arguments of both modules, claims) of a host without the image."""
    kinds = ("libcuda", "searched", "tool", "variant", "package", "input", "configured", "end")
    variables = dict({"golden_image_name": "omni/other", "bunker_cache_path": "/var/cache/protocol_omni", "bunker_ca_bundle": "", "bunker_bundle": "",
                      "golden_image_base": "debian:trixie-slim@sha256:" + "a" * 64, "__golden_image_readiness": {"verdicts": {}, "files": []},
                      "__golden_image_seen": {"image": {}, "alias_id": "", "said": "there is none", "pruned": {},
                                              "inside": {kind: [] for kind in kinds}}}, **variables)
    return (asked("golden_image", "Look at the image", "golden_image_info", variables),
            asked("golden_image", "Read the device code of the image", "cuda_readiness", variables),
            recorded("golden_image", "Look at the image", variables))


def test_the_image_of_the_inventory_is_looked_at():
    look, readiness, found = golden_image(golden_image_cuda_architectures=["120", "90"])
    digest = found["image.inputs"]["expected"][:16]
    assert look == {"image": "omni/other:" + digest, "alias": "omni/other:sm120-cuda13", "pruned": False, "cache_path": "/var/cache/protocol_omni/pruned_code"}
    assert (readiness["image"], sorted(readiness["capabilities"])) == ("omni/other:" + digest, ["12.0", "9.0"])
    assert "CMAKE_CUDA_ARCHITECTURES=120;90" in found["image.cmake_options"]["expected"]
    assert "a" * 64 + "  base/debian:trixie-slim" in found["image.lock"]["observed"]
    assert found.pop("image.pruned") == {"does_not_apply": "cuBLAS is as NVIDIA gives it: golden_image_prune is off"}
    assert {row["holds"] for row in found.values()} == {False}


def test_an_image_that_is_to_be_pruned_is_looked_at_for_what_is_gone():
    look, _readiness, found = golden_image(golden_image_prune=True, golden_image_cuda_architectures=["120a"], golden_image_capabilities=["9.0"])
    assert look["pruned"] is True and golden_image(golden_image_prune=True, golden_image_cuda=False)[0]["pruned"] is False
    assert found["image.pruned"] == {"expected": "all that 9.0, 12.0 can run as it was before, machine code and PTX",
                                     "observed": "not looked at: there is none", "holds": False}


def test_device_code_is_only_read_of_an_image_that_has_some():
    task = rendering.task("golden_image", "tasks/verify.yml", "Read the device code of the image")
    assert [rendering.holds("golden_image", task, {"golden_image_cuda": cuda}) for cuda in (True, False)] == [True, False]
    found = golden_image(golden_image_cuda=False, __golden_image_readiness={"skipped": True})[2]
    assert [name for name, row in found.items() if "does_not_apply" in row] == ["image.cmake_options", "image.kernels", "image.pruned", "image.vmm"]


@pytest.mark.parametrize(("options", "applies"), [({}, True), ({"GGML_CPU_ALL_VARIANTS": "OFF"}, False), ({"GGML_CUDA_FA": "OFF"}, True)])
def test_cpu_backends_are_claimed_where_the_options_ask_for_them(options, applies):
    assert ("does_not_apply" not in golden_image(golden_image_cmake_options=options)[2]["image.cpu_variants"]) is applies


def test_the_models_that_are_used_are_read_and_no_others():
    catalogue = rendering.read("model_store", "defaults/main.yml")["model_store_catalogue"]
    variables = {"model_store_path": "/nvme/models", "model_store_extra_models": [dict(catalogue[0], name="unused")],
                 "__model_store_seen": {"models": [{"name": "other", "architecture": "", "problems": []}]}}
    used = {service["model"] for service in DEMO["bunker_services"]}
    look = asked("model_store", "Read what the models are", "model_store_info", variables)
    assert look["store"] == "/nvme/models" and {model["name"] for model in look["models"]} == used and look["models"][0]["files"][0]["sha256"]
    assert [row["holds"] for row in recorded("model_store", "Read what the models are", variables).values()] == [False, False]


def test_what_was_measured_is_read_where_the_role_put_it():
    variables = {"__throughput_seen": {"containers": ["left"], "engine": "", "measuring": False, "measured": {"services": {
        "oracle": {"roofline": {"percent": 120}}}}}}
    assert asked("throughput", "Look at what was measured, and at what is left of it", "throughput_info", variables) == {
        "path": "/etc/ansible/facts.d/protocol_omni_throughput.fact", "label": "protocol_omni.bunker.bench",
        "lock": "/var/lib/protocol_omni/throughput/state.json.lock"}
    assert [row["holds"] for row in recorded("throughput", "Look at what was measured, and at what is left of it", variables).values()] == [False, False]


POOL = {"pool_enabled": True, "pool_address": "10.0.0.1", "pool_doors": [{"name": "north", "address": "10.0.0.1"}], "inventory_hostname": "north",
        "pool_members": [{"name": "north", "address": "10.0.0.1", "models": ["oracle"]}, {"name": "south", "address": "10.0.0.2", "models": ["oracle"]}]}


def test_a_host_of_a_pool_is_looked_at_by_what_it_does_there():
    resolve = rendering.task("pool", "tasks/resolve.yml", "Resolve what this host does")["ansible.builtin.set_fact"]["_pool_plan"]
    variables = dict(POOL, _pool_plan=rendering.render("pool", resolve, dict(COMMON, **POOL)))
    look = asked("pool", "Look at this host of the pool", "pool_info", variables)
    assert look == {"folder": "/etc/protocol_omni/pool", "names": ["DNS:north", "IP:10.0.0.1"], "uses": ["serverAuth", "clientAuth"], "days": 90,
                    "member_address": "10.0.0.1", "member_port": 8544, "socket": "/run/protocol-omni-pool/admin.sock",
                    "address": "", "port": 8543, "address_unit": "protocol-omni-pool-address.service"}
    servers = [{"backend": backend, "name": name, "state": "UP"} for backend in ("model_oracle", "any") for name in ("north", "south")]
    variables["__pool_seen"] = {"due": "", "stranger": "refused", "servers": servers}
    rows = recorded("pool", "Look at this host of the pool", variables)
    assert rows.pop("pool.address")["does_not_apply"].startswith("the pool has no address of its own")
    assert {row["holds"] for row in rows.values()} == {True}


def test_one_of_two_doors_is_asked_for_the_pools_address():
    doors = dict(POOL, pool_address="10.0.0.9", pool_interface="eth0",
                 pool_doors=[{"name": "north", "address": "10.0.0.1"}, {"name": "south", "address": "10.0.0.2"}])
    resolve = rendering.task("pool", "tasks/resolve.yml", "Resolve what this host does")["ansible.builtin.set_fact"]["_pool_plan"]
    variables = dict(doors, _pool_plan=rendering.render("pool", resolve, dict(COMMON, **doors)))
    look = asked("pool", "Look at this host of the pool", "pool_info", variables)
    assert (look["address"], look["port"], look["address_unit"]) == ("10.0.0.9", 8543, "protocol-omni-pool-address.service")
    variables["__pool_seen"] = {"due": "", "stranger": "refused", "servers": [], "address": {"state": "inactive", "why": "", "here": False}}
    row = recorded("pool", "Look at this host of the pool", variables)["pool.address"]
    assert not row["holds"] and row["observed"] == "keepalived is inactive, 10.0.0.9 answers, on the other door"


def test_a_host_of_no_pool_is_not_looked_at():
    variables = {"pool_enabled": False, "__pool_seen": {"skipped": True}}
    assert asked("pool", "Look at this host of the pool", "pool_info", variables) is None
    assert [row["does_not_apply"] for row in recorded("pool", "Look at this host of the pool", variables).values()] == ["pool_enabled is false"] * 4


def gateway(**variables):
    """(arguments of the module, status by claim) of a gateway that is not there, before services of the demo and one of the inventory's key holders."""
    services = [dict(service, address="", port=8000 + number, question="Where?", start_timeout=600,
                     networks=[{"name": "omni-network", "address": "172.30.0.%d" % (10 + number)}]) for number, service in enumerate(DEMO["bunker_services"])]
    routes = {service["name"]: {"address": "%s:%d" % (service["networks"][0]["address"], service["port"]), "kind": "chat", "key_file": ""}
              for service in services}
    nothing = {"status": None, "why": "nobody listens"}
    variables = dict({
        "ansible_facts": {"default_ipv4": {"address": "192.0.2.7"}, "dns": {}}, "inventory_hostname": "here", "_gateway_providers": [],
        "_gateway_services": services, "_gateway_routes": dict(routes, far={"address": "", "kind": "", "key_file": "/etc/protocol_omni/gateway/given/far.key"}),
        "gateway_keys": [{"name": "alice", "sha256": "0" * 64}], "__gateway_seen": {
            "listening": [], "ss": "", "loaded": "", "plan": {"digest": "", "holders": [], "routes": [], "why": "there is none"},
            "doors": [dict(nothing, path=path, key=key) for path, key in (("/health", "none"), ("/v1/models", "none"), ("/v1/models", "wrong"),
                                                                          ("/slots", "operator"), ("/props", "operator"), ("/metrics", "operator"))],
            "answers": [dict(nothing, service=service["name"], by="", answered=False) for service in services],
            "files": [], "control": {"root": "there is none", "others": "there is none", "says": {}, "thinks": {}}}}, **variables)
    return (asked("gateway", "Look at the gateway, and ask each service through it", "gateway_info", variables),
            recorded("gateway", "Look at the gateway, and ask each service through it", variables))


def test_the_gateway_is_looked_at_where_the_role_put_it():
    look, found = gateway()
    folder = "/etc/protocol_omni/gateway/"
    assert {name: value for name, value in look.items() if name not in ("services", "routes")} == {
        "endpoint": "http://127.0.0.1:8080", "operator_key": folder + "operator.key", "plan": folder + "routes.json",
        "files": [folder + "operator.key", folder + "routes.json", folder + "given/far.key"],
        "unit": "protocol-omni-gateway.service", "control": "/run/protocol-omni-gateway/control.sock"}
    assert [service["name"] for service in look["services"]] == [service["name"] for service in DEMO["bunker_services"]]
    assert look["routes"]["oracle"]["address"] == "172.30.0.10:8000" and "far" in look["routes"]
    assert found["gateway.door"]["expected"] == "127.0.0.1:8080, 127.0.0.1:9180"
    assert found["gateway.keys"]["expected"].endswith("keys of alice, operator, loaded")
    assert found["gateway.routes"]["expected"] == "oracle, executor; routes to executor, far, oracle, and to nobody else"
    assert "others of protocol-omni-gateway 600" in found["gateway.secrets"]["expected"] and {row["holds"] for row in found.values()} == {False}


def test_a_door_with_a_certificate_of_its_own_has_one_more_secret():
    look, found = gateway(gateway_tls="self_signed", gateway_address="::", gateway_port="8443", gateway_metrics_port="9280")
    assert look["endpoint"] == "https://[::1]:8443" and "/etc/protocol_omni/gateway/self_signed.key" in look["files"]
    assert found["gateway.door"]["expected"] == "127.0.0.1:9280, [::]:8443"
    assert gateway(gateway_tls="files", gateway_tls_certificate="/a", gateway_tls_key="/b")[0]["files"][3:] == [
        "/etc/protocol_omni/gateway/given/certificate.pem", "/etc/protocol_omni/gateway/given/certificate.key"]


BARE_HOST = {"gpus": [], "slices": [], "toolkit": None, "kernel": {"release": "6.12", "nvidia": None, "nvidia_open": None, "nouveau": False}}
DRIVER = {"library": "", "packages": [], "dpkg": "", "held": [], "unheld": ["libcuda1"], "interrupted": [], "kernel": {}, "modules_listed": True, "cdi": [],
          "persistenced": False, "persistence": "inactive", "next_boot": []}


def host_driver(**variables):
    """(arguments of the module, claims) of a host with services that want cards, and no driver."""
    services = [{"name": "oracle", "device": "gpu", "gpus": ["GPU-1", "MIG-2"]}, {"name": "executor", "device": "cpu"}]
    machine = {"distribution": "Debian", "distribution_major_version": "13", "virtualization_role": "host", "virtualization_type": "kvm"}
    variables = dict({"ansible_facts": machine, "preflight_hardware_root": "/", "bunker_services": services, "bunker_host": BARE_HOST,
                      "__host_driver_look": DRIVER}, **variables)
    return (asked("host_driver", "Look at the driver", "host_driver_info", variables),
            recorded("host_driver", "Look at the driver", variables))


def test_what_the_inventory_wants_of_the_driver_is_handed_on():
    look, found = host_driver(host_driver_packages=["nvidia-open"], host_driver_branch="570", preflight_hardware_root="/opt/card")
    assert look == {"packages": ["nvidia-open"], "cdi": "/var/run/cdi/nvidia.yaml", "hardware_root": "/opt/card", "certificates": []}
    assert [found[name]["expected"] for name in ("driver.branch", "driver.gpus", "toolkit.version", "toolkit.cdi")] == [
        "570 or newer", "GPU-1", "1.17.8 or newer", "MIG-2, libraries"]
    assert found["driver.held"]["observed"] == "0 packages held, not held: libcuda1"
    assert [name for name, row in found.items() if row.get("holds")] == ["driver.nouveau"]


@pytest.mark.parametrize("virtual, services, reason", [
    ("guest", DEMO["bunker_services"], "this host is a container: its driver is that of the machine that runs it"),
    ("host", [], "no NVIDIA card on the PCI bus, and no service of the inventory wants a GPU")], ids=["a container", "no card"])
def test_a_container_and_a_host_without_cards_claim_nothing_of_a_driver(virtual, services, reason):
    variables = {"ansible_facts": {"virtualization_role": virtual, "virtualization_type": "docker"}, "preflight_hardware_root": "/", "bunker_host": BARE_HOST,
                 "bunker_services": services, "__host_driver_look": {"skipped": True}}
    assert asked("host_driver", "Look at the driver", "host_driver_info", variables) is None
    found = recorded("host_driver", "Look at the driver", variables)
    assert len(found) == 10 and {row["does_not_apply"] for row in found.values()} == {reason}


def test_the_volumes_of_the_inventory_are_looked_at_with_all_their_defaults():
    volume = {"device": "/dev/disk/by-id/nvme-EXAMPLE", "mount": "/nvme"}
    variables = {"disk_layout_volumes": [volume], "disk_layout_root_fill_limit": "70", "__disk_layout_now": {"root_use": 71, "volumes": [
        {"mount": "/nvme", "number": None, "use": None, "at_mount": None}]}}
    (looked,) = asked("disk_layout", "Look at the volumes", "volume_info", variables)["volumes"]
    found = recorded("disk_layout", "Look at the volumes", variables)
    assert looked.items() > volume.items() and looked["filesystem"] in found["volumes.mounted"]["expected"]
    assert (found["root.room"]["expected"], found["root.room"]["observed"]) == ("at most 70 %", "71 %") and {row["holds"] for row in found.values()} == {False}
