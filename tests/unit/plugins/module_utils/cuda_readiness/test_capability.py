"""The rules of which device code runs where, against what a real card of compute capability 9.0 did."""
import csv
import pathlib
import re

import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness import capability as rules
from ansible_collections.protocol_omni.bunker.plugins.module_utils.cuda_readiness.fatbin import Entry

ROOT = pathlib.Path(__file__).resolve().parents[5]
TRUTH = list(csv.DictReader((ROOT / "tests" / "fixtures" / "kernel-launch-truth-cc90.csv").read_text(encoding="utf-8").splitlines()))


def entry(target, isa=(9, 0), kernels=True):
    kind, sm, suffix = re.match(r"(sm|compute|lto)_(\d+)([af]?)$", target).groups()
    return Entry({"sm": "cubin", "compute": "ptx", "lto": "lto"}[kind], int(sm), suffix, isa if kind == "compute" else None, "", 0, 1000, kernels)


def judge(capability, *targets, driver=(13, 0)):
    return rules.judge_entries([target if isinstance(target, Entry) else entry(target) for target in targets], capability, driver)


@pytest.mark.parametrize("row", TRUTH, ids=lambda row: row["name"])
def test_what_a_real_card_did(row):
    verdict = judge(90, *re.findall(r"code=((?:sm|compute)_\w+)", row["nvcc_targets"]))
    assert (verdict in ("native", "jit")) == row["outcome"].startswith("ok")
    assert (verdict == "none") == row["outcome"].startswith("launch 209")


def test_the_truth_is_whole():
    assert len(TRUTH) == 34


@pytest.mark.parametrize("capability, targets, expected", [
    (120, ["sm_120"], "native"), (121, ["sm_120"], "native"), (120, ["sm_121"], "none"), (120, ["sm_89", "sm_90"], "none"), (89, ["sm_86"], "native"),
    (120, ["sm_120a"], "native"), (121, ["sm_120a"], "none"), (121, ["sm_120f"], "native"), (120, ["sm_121f"], "none"), (103, ["sm_100f"], "native"),
    (110, ["sm_100f"], "none"), (120, ["compute_90"], "jit"), (120, ["compute_90a"], "none"), (121, ["compute_120f"], "jit"), (120, ["compute_121"], "none"),
    (120, ["sm_90", "compute_75"], "jit"), (120, ["sm_120", "compute_75"], "native"), (87, ["sm_86"], "unknown"), (89, ["sm_87"], "unknown"),
    (87, ["sm_87"], "native"), (87, ["compute_80"], "jit"), (120, ["lto_120"], "none"), (120, ["lto_120", "compute_120"], "jit"),
    (107, ["sm_107a"], "native"), (107, ["sm_100f"], "native"), (107, ["sm_103f"], "native"), (107, ["sm_100"], "native"), (107, ["sm_103a"], "none"),
    (103, ["sm_107f"], "none"), (107, ["compute_100f"], "jit"), (110, ["sm_107"], "none"),
])
def test_rules(capability, targets, expected):
    assert judge(capability, *targets) == expected


@pytest.mark.parametrize("capability, target, expected", [
    (151, "sm_151", "native"), (151, "sm_151f", "native"), (152, "sm_151", "unknown"), (152, "sm_151f", "unknown"), (152, "compute_151f", "unknown"),
    (152, "sm_151a", "none"), (151, "sm_152f", "none"), (129, "sm_120", "unknown"), (129, "sm_120f", "unknown"), (105, "sm_100f", "unknown"),
    (105, "compute_100f", "unknown"), (129, "sm_100f", "none"), (120, "sm_151", "none"),
    (152, "compute_151", "jit"),
])
def test_a_target_that_nobody_knows_is_judged_for_itself_alone(capability, target, expected):
    assert judge(capability, target) == expected


@pytest.mark.parametrize("isa, driver, expected", [
    ((9, 0), (13, 0), "jit"), ((9, 1), (13, 0), "ptx_too_new"), ((8, 8), (12, 8), "ptx_too_new"), ((8, 7), (12, 8), "jit"), ((8, 6), (12, 6), "ptx_too_new"),
    ((8, 5), (12, 5), "jit"), ((7, 8), (11, 8), "jit"), ((6, 5), (11, 0), "jit"), ((8, 7), None, "jit"), ((8, 8), None, "unknown"),
    ((9, 4), (13, 4), "jit"), ((9, 5), (13, 4), "ptx_too_new"),
])
def test_the_driver_must_know_the_isa(isa, driver, expected):
    assert judge(120, entry("compute_80", isa), driver=driver) == expected


def test_the_driver_picks_by_target_and_not_by_content():
    """Error 500 on a real card (tests/gpu, only_80): the entry that is picked has no kernel, another one has."""
    assert judge(90, entry("sm_90", kernels=False), entry("sm_80")) is None
    assert judge(90, entry("sm_90", kernels=False), entry("compute_80")) is None
    assert judge(90, entry("compute_90", kernels=False), entry("compute_80")) is None
    assert judge(90, entry("sm_90a", kernels=False), entry("sm_90")) is None
    assert judge(90, entry("sm_90"), entry("sm_80", kernels=False)) == "native"
    assert judge(80, entry("sm_90", kernels=False), entry("sm_80")) == "native"
    assert judge(120, entry("sm_90", kernels=False), entry("sm_80")) == "none"


@pytest.mark.parametrize("text", ["12", "sm_120", "12.0.0", "120", "2.0", "-1.0", "", None])
def test_what_is_no_capability_is_named(text):
    with pytest.raises(ValueError, match="is not MAJOR.MINOR"):
        rules.parse_capability(text)


def test_the_worst_counts():
    assert rules.worst(["native", None, "jit"]) == "jit"
    assert rules.worst(["none", "ptx_too_new", "native"]) == "none"
    assert rules.worst([None]) is None
