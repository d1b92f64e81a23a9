"""The commands by which preflight compares a bundle with its manifest, on a bundle in a folder."""
import hashlib
import subprocess

import pytest
import rendering

FILES = {"packages/apt.conf": b"apt", "images/image.tar": b"image", "models/large/large.gguf": b"model"}


@pytest.fixture
def compare(tmp_path):
    """(whether the bundle can be used, what was said)."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    lines = ["%s  ./%s\n" % (hashlib.sha256(content).hexdigest(), name) for name, content in FILES.items()]
    (tmp_path / "SHA256SUMS").write_text("".join(lines), encoding="ascii")

    def run():
        task = rendering.task("preflight", "tasks/bundle.yml", "Compare the bundle with its manifest")
        shell = task["ansible.builtin.shell"]
        text = rendering.render("preflight", shell["cmd"], {
            "bunker_bundle": str(tmp_path), "bunker_services": [{"name": "oracle", "model": "large"}], "model_store_path": str(tmp_path / "store"),
            "model_store_catalogue": [{"name": "large", "files": [{"name": "large.gguf"}]}]}, task["vars"])
        done = subprocess.run([shell["executable"], "-c", text], capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stdout
    run.folder = tmp_path
    return run


def test_a_whole_bundle_is_taken(compare):
    assert compare() == (True, "")


@pytest.mark.parametrize("content", [b"imagE", None], ids=["damaged", "missing"])
def test_a_bundle_that_does_not_match_its_manifest_is_refused_and_the_file_named(compare, content):
    (compare.folder / "images" / "image.tar").unlink()
    if content:
        (compare.folder / "images" / "image.tar").write_bytes(content)
    good, said = compare()
    assert not good and "./images/image.tar: FAILED" in said


def test_a_model_that_is_neither_in_it_nor_on_the_host_is_named(compare):
    (compare.folder / "models/large/large.gguf").unlink()
    assert compare() == (False, "models/large/large.gguf: missing\n")
    (compare.folder / "store/large").mkdir(parents=True)
    (compare.folder / "store/large/large.gguf").write_bytes(b"model")
    assert compare() == (True, "")


@pytest.mark.parametrize(("origin", "bundle", "asked"), [("docker", "", True), ("docker", "/srv/bundle", False), ("distribution", "", False)])
def test_dockers_repository_is_asked_where_there_is_a_network(origin, bundle, asked):
    """Its key would be fetched, also where the packages lie in a bundle."""
    (task,) = [entry for entry in rendering.read("container_engine", "tasks/install.yml") if entry["name"] == "Add Docker's repository"]
    assert rendering.holds("container_engine", task, {"container_engine_origin": origin, "bunker_bundle": bundle}) is asked


@pytest.mark.parametrize(("origin", "bundle", "repository", "lists"), [("nvidia", "", True, False), ("nvidia", "/srv/bundle", False, True),
                                                                       ("distribution", "", False, True), ("distribution", "/srv/bundle", False, True)])
def test_nvidias_repositories_are_asked_where_there_is_a_network(origin, bundle, repository, lists):
    """A repository that is added is read by whoever adds it; what else there is, of the distribution or of the bundle, is read alone."""
    given = {"host_driver_origin": origin, "bunker_bundle": bundle}
    driver = {task["name"]: task for task in rendering.read("host_driver", "tasks/driver.yml")}
    assert [rendering.holds("host_driver", driver[name], given) for name in ("Add NVIDIA's repository", "Read the package lists")] == [repository, lists]
    toolkit = {task["name"]: task for task in rendering.read("host_driver", "tasks/toolkit.yml")}
    asked = [rendering.holds("host_driver", toolkit[name], given) for name in ("Add NVIDIA's repository of the container toolkit", "Read the package lists")]
    assert asked == [not bundle, bool(bundle)]


@pytest.mark.parametrize("bundle", ["", "/srv/bundle"])
def test_no_fingerprint_is_needed_for_what_comes_from_a_bundle(bundle):
    work = {"_host_driver_work": True, "_host_driver_toolkit_work": True, "host_driver_origin": "nvidia", "bunker_bundle": bundle, "_host_driver_url": "x",
            "_host_driver_system": "Debian 13", "host_driver_repository_fingerprint": "", "host_driver_toolkit_repository_fingerprint": "",
            "host_driver_toolkit_repository": "x", "host_driver_branch": 580}
    repositories = rendering.render("host_driver", rendering.read("host_driver", "vars/main.yml")["_host_driver_repositories"], work)
    assert [repository["needed"] for repository in repositories] == [not bundle] * 2
