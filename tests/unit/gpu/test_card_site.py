"""What the harness for a card makes of words and files, without a card."""
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "gpu" / "site"))

import card_host  # noqa: E402
import compiled  # noqa: E402
import gap  # noqa: E402
import large_model  # noqa: E402
import wrong_images  # noqa: E402

WORDS = "--model /models/m.gguf --host 0.0.0.0 --port 8000 --n-gpu-layers 4 --override-tensor a=CPU --threads 8".split()


def test_a_services_words_are_taken_with_another_placement_and_port():
    assert large_model.placed(WORDS, ["--n-gpu-layers", "999"], 18201) == (
        "--model /models/m.gguf --host 127.0.0.1 --port 18201 --threads 8 --n-gpu-layers 999".split())
    assert large_model.words_of_placement(WORDS) == "--n-gpu-layers 4 --override-tensor a=CPU".split()
    assert WORDS[5] == "8000"  # the service's own words stay


def test_the_plugins_get_the_images_own_options():
    options = wrong_images.role_options()
    assert {"-DGGML_BACKEND_DL=ON", "-DGGML_CUDA=ON", "-DGGML_CUDA_NCCL=OFF", "-DCMAKE_BUILD_TYPE=Release"} <= set(options)
    assert not [one for one in options if "ARCHITECTURES" in one or "ALL_VARIANTS" in one]


@pytest.mark.parametrize("cards, cpus, gpus, executor", [
    ([0], "", ["GPU-a"], {}), ([0, 1], "", ["GPU-a", "GPU-b"], {}), ([1], "8-15", ["GPU-b"], {"threads": 8, "cpuset": "8-15"})],
    ids=["one card", "both", "a second host"])
def test_the_inventory_is_filled_in_for_a_host(tmp_path, monkeypatch, cards, cpus, gpus, executor):
    written = {}
    monkeypatch.setattr(card_host, "smi", lambda *_words: "0, GPU-a\n1, GPU-b\n")
    monkeypatch.setattr(card_host.CardHost, "write", lambda _host, path, text: written.update({path: text}))
    (tmp_path / "base.sha256").write_text("ab12\n", encoding="ascii")
    card_host.CardHost(tmp_path, tmp_path, "host", cards, cpus).write_inventory()
    variables = yaml.safe_load(written["/root/inventory.yml"])["all"]["hosts"]["card"]
    assert variables["golden_image_base_archive_sha256"] == "ab12"
    assert variables["golden_image_base_archive"] == "/srv/bundle/inputs/trixie.tar"
    services = {service["name"]: service for service in variables["bunker_services"]}
    assert services["oracle"]["gpus"] == gpus
    assert {name: services["executor"].get(name) for name in executor} == executor and "cpuset" not in services["oracle"]


def test_another_ladder_takes_the_place_of_the_inventorys(tmp_path, monkeypatch):
    written = {}
    monkeypatch.setattr(card_host, "smi", lambda *_words: "0, GPU-a\n")
    monkeypatch.setattr(card_host.CardHost, "write", lambda _host, path, text: written.update({path: text}))
    (tmp_path / "base.sha256").write_text("ab12\n", encoding="ascii")
    card_host.CardHost(tmp_path, tmp_path).write_inventory(["one", "two"])
    services = yaml.safe_load(written["/root/inventory.yml"])["all"]["hosts"]["card"]["bunker_services"]
    assert [service.get("ladder") for service in services] == [["one", "two"], []]


def test_a_bundle_that_can_build_has_the_base_under_its_own_name(tmp_path, monkeypatch):
    written = {}
    monkeypatch.setattr(card_host, "smi", lambda *_words: "0, GPU-a\n")
    monkeypatch.setattr(card_host.CardHost, "write", lambda _host, path, text: written.update({path: text}))
    (tmp_path / "base.sha256").write_text("ab12\n", encoding="ascii")
    (tmp_path / "bundle" / "inputs").mkdir(parents=True)
    (tmp_path / "bundle" / "inputs" / "base.tar").touch()
    card_host.CardHost(tmp_path, tmp_path).write_inventory()
    assert "/srv/bundle/inputs/base.tar" in written["/root/inventory.yml"]


def test_each_of_the_watchers_runs_is_in_one_step(monkeypatch):
    begun = []
    monkeypatch.setattr(gap, "runs", lambda host, numbers: begun.extend(numbers))
    for name in ("gap", "gap_further", "gap_last"):
        before = len(begun)
        gap.STEPS[name](None)
        assert 0 < len(begun) - before <= 4, "a run takes two minutes, a step ten"
    assert begun == list(range(1, 11)) and len(gap.RUNS) == 10


class Shell:
    """A host on which commands run here, below a folder."""

    def __init__(self, folder):
        self.folder = self.logs = folder

    def execute(self, command):
        command = command.replace("/var/", "%s/var/" % self.folder)
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("log", ["#17 70.0 COMPILED at 5\t1005\t17\tbin/of-the-log\tab\n", "#17 CACHED\n"], ids=["printed by the recipe", "nothing compiled"])
def test_what_was_compiled_is_read_of_the_log_or_of_the_builders_layers(tmp_path, log):
    (tmp_path / "var/log/protocol_omni").mkdir(parents=True)
    (tmp_path / "var/log/protocol_omni/golden-image-build.log").write_text(log, encoding="ascii")
    for name in ("a1/diff/etc", "b2/diff/build", "b2/merged/build"):
        (tmp_path / "var/lib/docker/overlay2" / name).mkdir(parents=True)
    for name in ("diff", "merged"):
        (tmp_path / "var/lib/docker/overlay2/b2" / name / "build/.ninja_log").write_text("# ninja log v6\n5\t2005\t17\tbin/of-ninja\tab\n", encoding="ascii")
    seconds, name = (1, "of-the-log") if "COMPILED" in log else (2, "of-ninja")
    row = {"files": 1, "cpu": 0, "seconds": seconds, "misses": 0}
    assert compiled.compiled(Shell(tmp_path)) == {"seconds": seconds, "jobs": 1, "idle": 0, "groups": {"linking": row, "all": row}}
    assert (tmp_path / "compiled.log").read_text(encoding="ascii").endswith(" COMPILED at 5\t%d005\t17\tbin/%s\tab\n" % (seconds, name))
