"""Whatever decides what is in the image changes the hash in its tag, and nothing else does."""
import configparser

import pytest
import rendering
import yaml
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils import collection_roles

HERE = {"golden_image_base": "debian@sha256:" + "1" * 64, "bunker_cache_path": "/var/cache/protocol_omni", "bunker_bundle": ""}
# Another value of each option that decides what is in the image, by itself or with others.
CONTENT = {
    "golden_image_base": {"golden_image_base": "debian@sha256:" + "2" * 64},
    "golden_image_base_archive": {"golden_image_base": "", "golden_image_base_archive": "/other.tar"},
    "golden_image_base_archive_sha256": {"golden_image_base": "", "golden_image_base_archive_sha256": "3" * 64},
    "golden_image_source": {"golden_image_source": {"file": "/srv/llama.cpp.tar.gz"}},
    "golden_image_source_sha256": {"golden_image_source_sha256": "4" * 64},
    "golden_image_source_folder": {"golden_image_source_folder": "."},
    "golden_image_source_version": {"golden_image_source_version": "another"},
    "golden_image_cuda": {"golden_image_cuda": False},
    "golden_image_cuda_architectures": {"golden_image_cuda_architectures": ["90"]},
    "golden_image_cmake_options": {"golden_image_cmake_options": {"GGML_CUDA_FA": "OFF"}},
    "golden_image_labels": {"golden_image_labels": {"a": "b"}},
    "golden_image_prune": {"golden_image_prune": True},
}
# The same of those that decide how it is called, what must be proven of it, how long its build may take, and what is kept.
OTHERS = {
    "golden_image_name": "another/name", "golden_image_alias": "another", "golden_image_capabilities": ["9.0"], "golden_image_jobs": "3",
    "golden_image_build_timeout": 60, "golden_image_compiler_cache": True, "golden_image_keep_archive": True, "golden_image_keep_earlier": 4,
}


def input_hash(**variables):
    return rendering.render("golden_image", rendering.read("golden_image", "vars/main.yml")["_golden_image_input_hash"], {**HERE, **variables})


@pytest.fixture(scope="module")
def present():
    return input_hash()


def test_every_option_is_of_one_kind():
    assert sorted([*CONTENT, "golden_image_lock", *OTHERS]) == sorted(collection_roles.argument_options("golden_image"))


@pytest.mark.parametrize("option", CONTENT)
def test_what_decides_on_the_content_changes_the_hash(option):
    without = {name: value for name, value in CONTENT[option].items() if name != option}
    assert input_hash(**CONTENT[option]) != input_hash(**without)


def test_the_packages_of_the_lock_change_the_hash(present, tmp_path):
    (tmp_path / "inputs.lock").write_text("%s  toolchain/cmake.deb\n" % ("5" * 64), encoding="ascii")
    assert input_hash(golden_image_lock=str(tmp_path / "inputs.lock")) != present


@pytest.mark.parametrize("option", OTHERS)
def test_what_does_not_decide_on_it_leaves_the_hash(present, option):
    assert input_hash(**{option: OTHERS[option]}) == present


def build(**variables):
    """The build's command line, the name of its base, and what pip is told, where a bundle with or without inputs is there."""
    own = rendering.read("golden_image", "vars/main.yml")
    given = {**HERE, "bunker_config_path": "/etc/protocol_omni", "bunker_ca_bundle": "", "bunker_package_index": "https://index.invalid/simple",
             "ansible_facts": {"processor_nproc": 2, "memtotal_mb": 16000}, **variables}
    pip = rendering.task("golden_image", "tasks/prepare.yml", "Bring the package index")["ansible.builtin.copy"]["content"]
    command, base, pip = (rendering.render("golden_image", value, given) for value in (own["_golden_image_build_command"], own["_golden_image_base_tag"], pip))
    read = configparser.RawConfigParser()  # as pip does
    read.read_string(pip)
    return command, base, dict(read["global"])


def test_a_build_from_a_bundle_asks_neither_mirror_nor_index_nor_registry():
    there = {"bunker_bundle": "/srv/bundle", "__golden_image_inputs_there": {"stat": {"exists": True}}}
    command, base, pip = build(**there)
    assert "--build-context packages=/srv/bundle/inputs/packages" in command and "--build-context wheels=/srv/bundle/inputs/wheels" in command
    assert base == "protocol-omni/base:" + "1" * 16
    assert pip == {"no-index": "true", "find-links": "/wheels"}


@pytest.mark.parametrize("given", [{}, {"bunker_bundle": "/srv/bundle", "__golden_image_inputs_there": {"stat": {"exists": False}}}],
                         ids=["no bundle", "a bundle with images alone"])
def test_any_other_build_asks_them(given):
    command, base, pip = build(**given)
    assert "--build-context" not in command and base == HERE["golden_image_base"]
    assert pip == {"index-url": "https://index.invalid/simple"}


def test_a_bundle_does_not_change_the_hash(present):
    assert input_hash(bunker_bundle="/srv/bundle", __golden_image_inputs_there={"stat": {"exists": True}}) == present


def files(**variables):
    return rendering.render("golden_image", rendering.read("golden_image", "vars/main.yml")["_golden_image_file_contents"], {**HERE, **variables})


def test_what_prunes_is_an_input_only_where_it_is_used():
    off, on, reduced = files(), files(golden_image_prune=True), files(golden_image_prune=True, golden_image_cuda=False)
    assert set(on) - set(off) == {"prune-device-code", "removed-architectures"} and set(reduced) == set(off)
    assert "pruned" not in off["Dockerfile"]


def test_a_pruned_image_takes_its_libraries_from_the_stage_that_pruned_them():
    text = files(golden_image_prune=True)["Dockerfile"]
    assert text.count("COPY --from=pruned /opt/llama /opt/llama") == 1 and "COPY --from=build /opt/llama /opt/llama" not in text
    assert text.index("FROM build AS pruned") < text.index("FROM base AS runtime") < text.index("COPY --from=pruned")


def test_a_pruned_image_keeps_what_the_inventory_proves():
    removed = files(golden_image_prune=True, golden_image_cuda_architectures=["120"], golden_image_capabilities=["9.0"])["removed-architectures"].split(",")
    assert not {"sm_90", "sm_90a", "sm_120", "sm_120f"} & set(removed) and {"sm_80", "sm_100f"} <= set(removed)


def test_the_image_of_the_quick_look_is_configured_without_cuda_and_for_any_processor():
    quick = yaml.safe_load((ROOT / "tests/host/vars/quick.yml").read_text(encoding="utf-8"))
    options = rendering.render("golden_image", rendering.read("golden_image", "vars/main.yml")["_golden_image_cmake_options"], {**HERE, **quick})
    assert [name for name in options if "CUDA" in name] == ["GGML_CUDA"] and options["GGML_BACKEND_DL"] == "ON"
    assert {options[name] for name in ("GGML_CUDA", "GGML_NATIVE", "GGML_CPU_ALL_VARIANTS", "GGML_SSE42", "GGML_AVX", "GGML_AVX2", "GGML_FMA", "GGML_F16C",
                                       "GGML_BMI2")} == {"OFF"}


NAMED = ["image %s sha256:new" % ("a" * 16), "image cpu sha256:new", "used sha256:new"]
UNPROVEN = "image unproven-%s sha256:new" % ("a" * 16)


@pytest.mark.parametrize("found, obtained, unsettled", [
    ({"images": [{"Id": "sha256:new"}], "alias_id": "sha256:new", "names": NAMED, "scratch": False}, None, False),
    ({"images": [{"Id": "sha256:new"}], "alias_id": "sha256:old", "names": NAMED, "scratch": False}, None, True),
    ({"images": [{"Id": "sha256:new"}], "alias_id": "", "names": NAMED[:1], "scratch": False}, None, True),
    ({"images": [{"Id": "sha256:new"}], "alias_id": "sha256:new", "names": NAMED, "scratch": True}, None, True),
    ({"images": [{"Id": "sha256:new"}], "alias_id": "sha256:new", "names": NAMED + [UNPROVEN], "scratch": False}, None, True),
    ({"images": [], "alias_id": "sha256:old", "names": [], "scratch": False}, [{"Id": "sha256:new"}], True), ({"skipped": True}, None, False)],
    ids=["all is as it should be", "the alias points elsewhere", "no alias", "a build was interrupted", "unproven", "it came just now", "no engine yet"])
def test_names_and_what_is_left_are_looked_after_only_where_something_is_to_be_done(found, obtained, unsettled):
    settle = rendering.task("golden_image", "tasks/main.yml", "Point the alias at the image, and remove what is left of earlier ones")
    variables = {"__golden_image_found": found, "_golden_image_input_hash": "a" * 64, "golden_image_alias": "cpu", "golden_image_keep_earlier": 1}
    assert rendering.holds("golden_image", settle, dict(variables, **({"__golden_image_obtained": {"images": obtained}} if obtained else {}))) is unsettled
