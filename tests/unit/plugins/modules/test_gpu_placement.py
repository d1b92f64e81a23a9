"""Planning a placement, with stand-ins for nvidia-smi, the engine and systemctl: there is no card here."""
import json
import struct

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.protocol_omni.bunker.plugins.module_utils import placement
from ansible_collections.protocol_omni.bunker.plugins.modules import gpu_placement

SERVICE = {"name": "oracle", "device": "gpu", "gpus": ["GPU-a", "GPU-b"], "gpu_layers": "auto", "tensor_split": "", "tensor_overrides": [], "split_mode": "",
           "load_mode": "", "placement": "auto", "placements": ["planned"], "context": 8192, "micro_batch": 512, "extra_arguments": []}
STAND_INS = {
    "nvidia-smi": 'echo nvidia-smi >> calls; [ -e no-driver ] && { echo "no driver" >&2; exit 9; }; '
                  'case "$*" in *memory.free*) cat free 2>/dev/null || cat cards ;; *) cat cards ;; esac',
    "systemctl": 'echo "systemctl $*" >> calls; case $1 in stop) rm -f running ;; start) touch running ;; '
                 '*) [ -e running ] && echo active || echo inactive ;; esac',
    "docker": 'echo "docker $*" >> calls; [ -e running ] && { echo "the cards were not free" >&2; exit 1; }; cat plan; '
              '[ ! -e fails ] || { echo "did not fit" >&2; exit 1; }',
}
PLAN = '-c 8192 -ngl 62 -ts 40,22 -ot "blk\\.5\\.ffn_down.*=CPU"\n'


@pytest.fixture
def place(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; the folder is where the stand-ins look and write."""
    for name, script in STAND_INS.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text("#!/bin/sh\ncd %s; %s\n" % (tmp_path, script), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "cards").write_text("GPU-b, 32607\nGPU-a, 97887\n", encoding="ascii")
    (tmp_path / "plan").write_text(PLAN, encoding="ascii")
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))

    def run(check_mode=False, service=None, **given):
        parameters = dict({"service": dict(SERVICE, **(service or {})), "name": "planned", "placements": {"planned": {}, "first_card": {"cards": 1},
                           "doctrine": {"gpu_layers": "19", "tensor_split": "75,25"}}, "image": "sha256:abc", "free": 7, "store": "/nvme/models",
                           "model": {"name": "m", "files": [{"name": "m.gguf", "sha256": "ff"}]}, "path": str(tmp_path / "kept" / "oracle.json"),
                           "unit": "protocol-omni-oracle.service", "_ansible_check_mode": check_mode}, **given)
        (tmp_path / "calls").write_text("", encoding="ascii")
        with patch_module_args(parameters), pytest.raises(SystemExit):
            gpu_placement.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    run.calls = lambda: (tmp_path / "calls").read_text(encoding="ascii")
    return run


def write_model(path, layers):
    """A GGUF of nothing but experts, three matrices of 64 bytes a layer."""
    infos = b""
    for number in range(3 * layers):
        name = b"blk.%d.ffn_%s_exps.weight" % (number // 3, (b"up", b"gate", b"down")[number % 3])
        infos += struct.pack("<Q", len(name)) + name + struct.pack("<IQIQ", 1, 16, 0, 64 * number)
    header = b"GGUF" + struct.pack("<IQQ", 3, 3 * layers, 0) + infos
    path.parent.mkdir(parents=True)
    path.write_bytes(header + bytes(-len(header) % 32) + bytes(192 * layers))


def test_other_cards_take_experts_by_the_models_own_sizes(place):
    write_model(place.folder / "store" / "m" / "m.gguf", 9)
    (place.folder / "plan").write_text(PLAN.replace(r"blk\.5\.ffn_down.*=CPU", r"blk\.8\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU"), encoding="ascii")
    found = place(name="over", placements={"over": {"others": "experts"}}, store=str(place.folder / "store"))
    assert found["origin"] == "planned" and found["placement"]["tensor_split"] == "1,0" and found["placement"]["gpus"] == ["GPU-a", "GPU-b"]
    assert found["placement"]["tensor_overrides"][0] == r"blk\.8\.ffn_(down|gate|up)_(ch|)exps=CUDA1"
    assert "CUDA_VISIBLE_DEVICES=GPU-a --device" in place.calls()
    assert place(name="over", placements={"over": {"others": "experts"}}, store="/gone")["origin"] == "kept"


def test_what_another_program_holds_of_a_card_is_no_room_for_experts(place):
    write_model(place.folder / "store" / "m" / "m.gguf", 9)
    (place.folder / "plan").write_text(PLAN.replace(r"blk\.5\.ffn_down.*=CPU", r"blk\.8\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU"), encoding="ascii")
    (place.folder / "free").write_text("GPU-b, %d\nGPU-a, 97887\n" % (7 * 1024), encoding="ascii")
    found = place(name="over", placements={"over": {"others": "experts"}}, store=str(place.folder / "store"))
    assert found["origin"] == "planned" and not [one for one in found["placement"]["tensor_overrides"] if "CUDA1" in one]
    (place.folder / "free").unlink()
    assert place(name="over", placements={"over": {"others": "experts"}}, store="/gone")["origin"] == "kept"  # what others hold by now changes no plan


def test_it_is_planned_once_and_then_kept(place):
    found = place()
    assert found["changed"] and found["origin"] == "planned" and found["placement"]["gpu_layers"] == "62"
    assert found["placement"]["tensor_overrides"] == [r"blk\.5\.ffn_down.*=CPU"]
    again = place()
    assert not again["changed"] and again["origin"] == "kept" and again["placement"] == found["placement"] and "docker" not in place.calls()


def test_the_service_is_stopped_before_its_cards_are_looked_at(place):
    (place.folder / "running").touch()
    assert place()["origin"] == "planned"
    calls = place.calls()
    assert calls.index("systemctl stop protocol-omni-oracle.service") < calls.index("docker run")


@pytest.mark.parametrize("changed", [{"image": "sha256:def"}, {"free": 6}, {"service": {"context": 4096}},
                                     {"model": {"name": "m", "files": [{"name": "m.gguf", "sha256": "ee"}]}}])
def test_what_changes_is_planned_anew(place, changed):
    place()
    assert place(**changed)["origin"] == "planned"


def test_another_card_under_the_same_name_is_planned_anew(place):
    place()
    (place.folder / "cards").write_text("GPU-b, 32607\nGPU-a, 49140\n", encoding="ascii")
    assert place()["origin"] == "planned"


def test_each_placement_has_a_plan_of_its_own(place):
    place()
    (place.folder / "plan").write_text("-c 8192 -ngl 30\n", encoding="ascii")
    assert place(name="first_card")["placement"]["gpu_layers"] == "30" and place()["placement"]["gpu_layers"] == "62"


def test_the_order_in_which_the_driver_names_the_cards_changes_nothing(place):
    place()
    (place.folder / "cards").write_text("GPU-a, 97887\nGPU-b, 32607\n", encoding="ascii")
    assert place()["origin"] == "kept"


@pytest.mark.parametrize("name", ["planned", "doctrine"])
def test_a_card_that_is_missing_is_named_and_nothing_is_stopped(place, name):
    (place.folder / "cards").write_text("GPU-a, 97887\n", encoding="ascii")
    (place.folder / "running").touch()
    found = place(name=name)
    assert found["failed"] and "has no GPU GPU-b; it has GPU-a" in found["msg"] and (place.folder / "running").exists()


def test_on_a_placement_of_one_card_the_other_may_be_missing(place):
    (place.folder / "cards").write_text("GPU-a, 97887\n", encoding="ascii")
    assert place(name="first_card")["placement"]["gpus"] == ["GPU-a"]


def test_what_the_inventory_says_or_was_measured_asks_nobody(place):
    assert place(name="doctrine")["origin"] == "inventory"
    assert "docker" not in place.calls()


MEASURED = {"gpus": ["GPU-a", "GPU-b"], "gpu_layers": "5", "tensor_split": "", "tensor_overrides": [], "split_mode": "", "load_mode": ""}


def measured_for(**given):
    place = dict(MEASURED, gpu_layers="auto")
    cards = {"GPU-a": 97887 << 20, "GPU-b": 32607 << 20}
    return {"placement": MEASURED, "made_for": placement.identity(dict(SERVICE, **given), place, "sha256:abc", "ff", cards, 7)}


def test_a_plan_that_was_measured_is_taken_while_it_is_for_the_same(place):
    found = place(measured=measured_for())
    assert (found["origin"], found["placement"]) == ("measured", MEASURED) and "docker" not in place.calls()
    assert place(measured=measured_for(context=4096))["origin"] == "planned"


def test_what_the_inventory_says_stands_whatever_was_measured_under_that_name(place):
    assert place(name="doctrine", measured=measured_for())["placement"]["gpu_layers"] == "19"


def test_going_back_finds_the_plan_that_was_made_for_it(place):
    first = place()
    (place.folder / "plan").write_text("-c 8192 -ngl 30\n", encoding="ascii")
    assert place(image="sha256:def")["placement"]["gpu_layers"] == "30"
    again = place()
    assert again["origin"] == "kept" and again["placement"] == first["placement"]


def test_where_no_plan_can_be_made_the_service_runs_again(place):
    (place.folder / "running").touch()
    (place.folder / "plan").write_text("", encoding="ascii")
    found = place()
    assert found["failed"] and "It runs again as it was." in found["msg"] and (place.folder / "running").exists()


def test_where_a_plan_cannot_be_kept_the_service_runs_again(place):
    (place.folder / "running").touch()
    (place.folder / "kept").write_text("in the way of the folder", encoding="ascii")
    found = place()
    assert found["failed"] and str(place.folder / "kept") in found["msg"] and "It runs again as it was." in found["msg"]
    assert (place.folder / "running").exists()


def test_where_the_driver_falls_silent_after_the_stop_the_service_runs_again(place):
    (place.folder / "running").touch()
    smi = place.folder / "bin" / "nvidia-smi"
    smi.write_text(smi.read_text(encoding="utf-8").replace("cat cards", "[ -e running ] || { echo 'GPU is lost' >&2; exit 15; }; cat cards"), encoding="utf-8")
    found = place()
    assert found["failed"] and "GPU is lost" in found["msg"] and "It runs again as it was." in found["msg"] and (place.folder / "running").exists()


def test_arguments_that_take_memory_are_told_and_others_are_not(place):
    place(service={"extra_arguments": ["--jinja", "--cache_type_k", "q8_0", "--kv-unified", "--parallel", "4", "--temp", "0"]})
    assert "--cache_type_k q8_0 --parallel 4\n" in place.calls() and "--jinja" not in place.calls()
    assert place()["origin"] == "planned"


def test_parts_of_cards_are_none_that_nvidia_smi_names(place):
    assert place(service={"gpus": ["MIG-1"]})["origin"] == "planned"


def test_in_check_mode_a_plan_is_a_change_and_nothing_is_stopped(place):
    (place.folder / "running").touch()
    found = place(check_mode=True)
    assert found["changed"] and found["origin"] == "open" and found["placement"]["gpu_layers"] == "auto"
    assert (place.folder / "running").exists() and not (place.folder / "kept").exists()


def test_what_cannot_be_planned_says_so_with_llama_cpps_words(place):
    (place.folder / "plan").write_text("", encoding="ascii")
    (place.folder / "fails").touch()
    found = place()
    assert found["failed"] and "did not fit" in found["msg"] and "Lower inference_service_vram_free (7 GiB)" in found["msg"]
    assert not (place.folder / "kept").exists()


def test_in_check_mode_a_driver_that_is_yet_to_come_is_no_fault(place, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert place(check_mode=True)["origin"] == "open" and place(check_mode=True, name="doctrine")["origin"] == "inventory"
    assert "nvidia-smi does not say" in place()["msg"]


def test_a_driver_that_says_nothing_is_told(place):
    (place.folder / "no-driver").touch()
    assert "nvidia-smi does not say which GPUs there are: no driver" in place()["msg"]


@pytest.mark.parametrize("content", [b"", b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), b"PK\x03\x04"], ids=["empty", "2**63 tensors", "a zip"])
def test_a_model_that_cannot_be_read_is_said_and_nothing_is_stopped(place, content):
    (place.folder / "store" / "m").mkdir(parents=True)
    (place.folder / "store" / "m" / "m.gguf").write_bytes(content)
    (place.folder / "running").touch()
    found = place(name="over", placements={"over": {"others": "experts"}}, store=str(place.folder / "store"))
    assert found["failed"] and "m.gguf, at byte " in found["msg"] and "Nothing was stopped." in found["msg"]
    assert "systemctl stop" not in place.calls() and (place.folder / "running").exists()


@pytest.mark.parametrize("used, asked, slept", [([9, 5, 5, 1], 3, 2), ([5, 5], 2, 1), (range(1000, 0, -1), 30, 30)],
                         ids=["until it no longer falls", "nothing falls", "not for ever"])
def test_what_a_stopped_process_held_is_waited_for(monkeypatch, used, asked, slept):
    """A clock that a look at the cards does not move, and a pause moves by what it says; patience of half a minute."""
    left, clock, pauses, looks = iter(used), [100.0], [], []
    monkeypatch.setattr(gpu_placement, "PATIENCE", 30)
    monkeypatch.setattr(gpu_placement, "cards", lambda _module, column: looks.append(column) or {"GPU-0": next(left)})
    monkeypatch.setattr(gpu_placement.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(gpu_placement.time, "sleep", lambda seconds: pauses.append(seconds) or clock.__setitem__(0, clock[0] + seconds))
    gpu_placement.wait_until_free(None)
    assert (looks, pauses) == (["memory.used"] * asked, [1] * slept)
