"""docs/claims.md is made, not written; and it holds every figure of the doctrine."""
import json
import pathlib
import re
import runpy

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
NOT_YET = yaml.safe_load((ROOT / "docs" / "not_yet.yml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_sources_say():
    assert runpy.run_path(str(ROOT / "docs" / "render_claims.py"))["render"]() == PAGE, "run: python docs/render_claims.py"


def test_every_role_with_claims_is_on_the_page():
    roles = {path.parents[1].name for path in (ROOT / "roles").glob("*/vars/claims.yml")}
    assert roles == set(runpy.run_path(str(ROOT / "docs" / "render_claims.py"))["ORDER"])


@pytest.mark.parametrize("path", ["tests/integration/site/demo_claims.json", "tests/gpu/site/expected_claims.json"])
def test_every_claim_has_a_status_where_hosts_are_compared_with(path):
    """Without it a new claim would only be missed after an hour, on a host."""
    catalogue = {name for file in ROOT.glob("roles/*/vars/claims.yml") for found in yaml.safe_load(file.read_text(encoding="utf-8")).values() for name in found}
    wanted = {name.replace("SERVICE", service) for name in catalogue for service in ("oracle", "executor")}
    pinned = set(json.loads((ROOT / path).read_text(encoding="utf-8")))
    assert (sorted(wanted - pinned), sorted(pinned - wanted)) == ([], []), (
        "%s: add the first, with the status that such a host has, and take out the second; what the record of the card does not know yet is named in "
        "YOUNGER of tests/unit/gpu/test_recorded_measurements.py" % path)


def rows():
    """Sentence and doctrine of each row, by claim; of the sentences without a claim by their beginning."""
    found = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 5 and cells[0].startswith("`"):
            found[cells[0].strip("`")] = cells[2] + " " + cells[3]
        elif len(cells) == 3 and not cells[0].startswith(("sentence", "---")):
            found[cells[0].split(" ")[0]] = cells[0]
    return found


# Each figure of the doctrine, and the claim (or the first word of the sentence without one) that it has to stand in.
@pytest.mark.parametrize("figure, row", [
    ("10.9 tok/s", "SERVICE.generation_speed"), ("16.39", "SERVICE.generation_speed"), ("172 tok/s", "SERVICE.prompt_speed"), ("6.4 GB", "SERVICE.memory"),
    ("20+ tok/s", "The"), ("40+ tok/s", "The"), ("50+ tok/s", "The"), ("21GB", "image.size"), ("98GB", "image.size"), ("98 GB", "root.room"),
    ("sm_120", "image.kernels"), ("GGML_CUDA=ON", "image.cmake_options"), ("CMAKE_CUDA_ARCHITECTURES=120", "image.cmake_options"), ("117 GB", "117"),
    ("7 GB", "vram_watch.headroom"), ("7GB VRAM headroom is thin", "vram_watch.headroom"), ("8192 tokens", "vram_watch.full_context"),
    ("8192 to 4096", "SERVICE.rung"), ("--ctx-size 4096", "vram_watch.ladder"), ("340 GB", "RTX"), ("96 GB", "RTX"), ("32 GB", "RTX"), ("384 GB", "RTX"),
    ("--threads 192", "SERVICE.threads"), ("192 AVX-512 threads", "image.cpu_variants"), ("172.30.0.0/16", "networks.subnets"),
    ("172.31.0.0/16", "networks.subnets"), ("580.95.05", "SERVICE.libcuda"), ("compat", "image.no_libcuda"), ("sm_75/86/89", "KTransformers,"),
    ("4-model", "gateway.routes"), ("NPS1 gives 10.9 tok/s", "NPS1"), ("FORCE_DMMV", "-DGGML_CUDA_FORCE_DMMV=ON."), ("every 5 s", "vram_watch.samples"),
    ("NO OUTBOUND", "networks.sealed"), ("19 layers", "SERVICE.placed"), ("75,25", "SERVICE.placed"), ("3.68 tok/s", "image.vmm"),
])
def test_every_figure_of_the_doctrine_stands_in_the_row_that_is_about_it(figure, row):
    assert figure in rows()[row]


@pytest.mark.parametrize("package", ["sgl-kernel", "sglang-kernel", "kt-kernel"])
def test_what_is_said_of_the_abandoned_engines_is_what_their_wheels_hold(package):
    """Not yet: "the attention kernels have neither machine code nor PTX for 12.0; other files of theirs would run there"."""
    reason = next(entry["reason"] for entry in NOT_YET if entry["sentence"].startswith("KTransformers"))
    wheels = (ROOT / "docs" / "cuda-wheels.md").read_text(encoding="utf-8")
    verdicts = re.findall(r"(?m)^\| %s [0-9.]+ \| (\S+) \| (native|jit|none) \| (.*) \|$" % package, wheels)
    attention = [(verdict, why) for name, verdict, why in verdicts if name.startswith("flash")]
    assert package in reason and attention
    assert all(verdict == "none" and why.startswith("All ") and "neither machine code nor PTX" in why for verdict, why in attention)
    assert any(verdict != "none" for _name, verdict, _why in verdicts)
