"""What is read of an image, with a stand-in for the engine on a socket and for docker on the path."""
import json
import subprocess
import sys

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at
from support import ROOT
from support.fatbins import CUBIN, container, cubin, entry, library

from ansible_collections.protocol_omni.bunker.plugins.module_utils import image_survey
from ansible_collections.protocol_omni.bunker.plugins.modules import golden_image_info

# As Docker 29 answers, shortened; it leaves out what an image does not have.
IMAGE = {"Id": "sha256:0123", "RepoTags": ["omni/llama-server:5ea1"], "Size": 772400000, "Config": {
    "User": "65532:65532", "Env": ["PATH=/opt/llama", "LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu"], "Labels": {"protocol_omni.bunker.input-hash": "5ea1"}}}
HISTORY = [{"Id": "sha256:0123", "CreatedBy": "RUN  pip --index https://user:secret@mirror/x", "Size": 12, "Created": 1},
           {"Id": "<missing>", "CreatedBy": "COPY a /b", "Size": 0}, {"Id": "<missing>", "CreatedBy": "of another engine", "Size": "1.2MB"}]
ANSWERS = {"/images/omni/llama-server:5ea1/json": IMAGE, "/images/omni/llama-server:5ea1/history": HISTORY,
           "/images/omni/llama-server:sm120/json": dict(IMAGE, Config={})}
PRINTED = """\
libcuda: /usr/lib/x86_64-linux-gnu/libcuda.so.1
searched: /
tool: /usr/bin/curl
variant: libggml-cpu-x64.so
package: libgomp1_14.2.0-19
input: aa  base/debian
configured: GGML_CUDA=ON
configured: flags of llama.cpp: -DNDEBUG -O3
other: line
end: /
"""


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Runs the module and returns what it printed; the folder is where the stand-in looks."""
    (tmp_path / "docker").write_text('#!/bin/sh\ncd "%s"\necho "$*" > ran; cat printed; cat error >&2; exit $(cat rc)\n' % tmp_path, encoding="utf-8")
    (tmp_path / "docker").chmod(0o755)
    for name, text in (("printed", PRINTED), ("error", ""), ("rc", "0")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % tmp_path)

    def run(**given):
        parameters = dict({"image": "omni/llama-server:5ea1", "alias": "omni/llama-server:sm120", "docker_host": "unix://%s" % run.socket,
                           "_ansible_check_mode": True}, **given)
        with patch_module_args(parameters), pytest.raises(SystemExit):
            golden_image_info.main()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    with engine_at(tmp_path / "docker.sock", ANSWERS) as run.socket:
        yield run


def test_image_alias_and_what_is_inside_are_read(look):
    found = look()
    assert not found["changed"] and found["said"] == "" and found["alias_id"] == "sha256:0123"
    assert found["layers"] == [{"made_by": "RUN pip --index https://…@mirror/x", "size": 12}, {"made_by": "COPY a /b", "size": 0}]
    assert found["image"] == {"id": "sha256:0123", "tags": ["omni/llama-server:5ea1"], "size": 772400000, "user": "65532:65532",
                              "labels": {"protocol_omni.bunker.input-hash": "5ea1"},
                              "environment": ["PATH=/opt/llama", "LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu"]}
    assert found["inside"] == {
        "libcuda": ["/usr/lib/x86_64-linux-gnu/libcuda.so.1"], "searched": ["/"], "tool": ["/usr/bin/curl"], "variant": ["libggml-cpu-x64.so"],
        "package": ["libgomp1_14.2.0-19"], "input": ["aa  base/debian"], "configured": ["GGML_CUDA=ON", "flags of llama.cpp: -DNDEBUG -O3"], "end": ["/"]}


def test_it_is_looked_into_without_a_network_and_never_pulled(look):
    look()
    ran = (look.folder / "ran").read_text(encoding="utf-8").split()
    assert ran[:2] == ["run", "--rm"] and {"--pull=never", "--network=none"} < set(ran) and "omni/llama-server:5ea1" in ran


def test_what_the_engine_leaves_out_is_empty(look):
    assert look(image="omni/llama-server:sm120")["image"] == {
        "id": "sha256:0123", "tags": ["omni/llama-server:5ea1"], "size": 772400000, "labels": {}, "environment": [], "user": ""}


def test_an_image_that_is_not_there_is_told_and_not_run(look):
    found = look(image="omni/llama-server:gone", alias="omni/llama-server:gone")
    assert (found["image"], found["layers"], found["alias_id"], found["said"]) == ({}, [], "", "there is no image omni/llama-server:gone")
    assert found["inside"]["input"] == [] and not (look.folder / "ran").exists()


def test_a_container_that_does_not_start_is_told_with_its_words(look):
    for name, text in (("printed", ""), ("error", "docker: no space left on device\n"), ("rc", "125")):
        (look.folder / name).write_text(text, encoding="utf-8")
    found = look()
    assert found["said"] == "docker run ended with 125: docker: no space left on device" and found["inside"]["end"] == []


def test_an_engine_that_does_not_answer_is_an_error(look):
    found = look(docker_host="unix:///nowhere/docker.sock")
    assert found["failed"] and found["msg"].startswith("The image was not looked at: no Docker engine answers at /nowhere/docker.sock")


def test_the_look_is_sound_bash_and_says_what_is_on_the_path(tmp_path):
    """This machine is no image: only what both have is asked for. The search of a whole machine is left out."""
    (tmp_path / "gcc").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "gcc").chmod(0o755)
    script = image_survey.LOOK.replace("find / ", "find %s " % tmp_path)
    ran = subprocess.run(["/bin/bash", "-c", script], env={"PATH": "%s:/usr/bin:/bin" % tmp_path}, capture_output=True, text=True, check=True)
    found = image_survey.inside(ran.stdout)
    assert found["tool"][0] == "%s/gcc" % tmp_path and found["searched"] == found["end"] == ["/"] and found["libcuda"] == found["variant"] == []
    (tmp_path / "libcuda.so.1").write_text("", encoding="utf-8")
    ran = subprocess.run(["/bin/bash", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    assert image_survey.inside(ran.stdout)["libcuda"] == ["%s/libcuda.so.1" % tmp_path]


def test_a_search_that_ends_early_does_not_say_that_it_came_to_its_end(tmp_path):
    script = image_survey.LOOK.replace("find / ", "find %s/nowhere " % tmp_path)
    ran = subprocess.run(["/bin/bash", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    assert image_survey.inside(ran.stdout)["searched"] == []


def test_what_was_emptied_is_looked_for_where_it_is_asked_for_and_once(look, monkeypatch):
    layer = look.folder / "layer" / "opt" / "llama"
    layer.mkdir(parents=True)
    (layer / "libcublas.so.13").write_bytes(library(container(entry(CUBIN, 90, 0, cubin(90)), entry(CUBIN, 80, 0, cubin(80)))))
    subprocess.run([sys.executable, str(ROOT / "roles" / "golden_image" / "files" / "prune-device-code"), "sm_80", str(layer / "libcublas.so.13")], check=True,
                   stdout=(layer / "pruned.jsonl").open("w", encoding="utf-8"))
    monkeypatch.setitem(IMAGE, "GraphDriver", {"Name": "overlay2", "Data": {"UpperDir": str(look.folder / "layer")}})
    given = {"pruned": True, "cache_path": str(look.folder / "cache"), "_ansible_check_mode": False}
    found = look(**given)["pruned"]
    assert [row["file"] for row in found["manifest"]] == ["libcublas.so.13"]
    (library_there,) = found["libraries"]
    assert (list(library_there["there"]), library_there["emptied"]) == (["sm_90"], {"sm_80": 1})
    (layer / "libcublas.so.13").unlink()  # an image never changes under its ID, so it is not read again
    assert look(**given)["pruned"] == found and look()["pruned"] == {}


def test_libraries_that_could_not_be_read_are_told_with_the_reason(look, monkeypatch):
    monkeypatch.setitem(IMAGE, "Size", 1 << 60)  # of the store that hands an image out as an archive alone
    found = look(pruned=True, cache_path=str(look.folder / "cache"), scratch_path=str(look.folder))["pruned"]
    assert found["libraries"] == [] and "MB free" in found["said"] and not (look.folder / "cache").exists()
