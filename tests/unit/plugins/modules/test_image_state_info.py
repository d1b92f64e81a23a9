"""What the engine has of an image's name, with a stand-in for it on a socket."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.modules import image_state_info

NOW, BEFORE = "0123456789abcdef", "fedcba9876543210"
# As Docker 29 answers, shortened.
IMAGE = {"Id": "sha256:new", "RepoTags": ["omni/s:" + NOW], "Config": {"Labels": {"protocol_omni.bunker.input-hash": NOW + "0" * 48}}}
LISTED = [{"Id": "sha256:old", "RepoTags": ["omni/s:" + BEFORE], "Created": 100},
          {"Id": "sha256:new", "RepoTags": ["omni/s:" + NOW, "omni/s:cpu"], "Created": 200},
          {"Id": "sha256:other", "RepoTags": ["mirror.example:5000/omni/s:1"], "Created": 300}, {"Id": "sha256:none", "RepoTags": None, "Created": 400}]
ANSWERS = {"/images/omni/s:%s/json" % NOW: IMAGE, "/images/omni/s:cpu/json": IMAGE, "/images/json": LISTED,
           "/containers/json?all=1": [{"Id": "1", "ImageID": "sha256:old"}]}


@pytest.fixture
def look(tmp_path, capsys):
    """Runs the module with an engine that answers so, and returns what it printed."""
    def run(answers=None, **given):
        with engine_at(tmp_path / "docker.sock", ANSWERS if answers is None else answers) as socket:
            parameters = dict({"image": "omni/s:" + NOW, "alias": "cpu", "scratch": str(tmp_path / "build"), "docker_host": "unix://%s" % socket,
                               "_ansible_check_mode": True}, **given)
            with patch_module_args(parameters), pytest.raises(SystemExit):
                image_state_info.main()
        (tmp_path / "docker.sock").unlink()
        return json.loads(capsys.readouterr().out)
    run.folder = tmp_path
    return run


def test_the_image_its_alias_and_what_else_has_its_name_are_read(look):
    found = look()
    assert found["images"] == [{"Id": "sha256:new", "Config": {"Labels": {"protocol_omni.bunker.input-hash": NOW + "0" * 48}}}]
    assert (found["changed"], found["alias_id"], found["scratch"]) == (False, "sha256:new", False)
    assert found["names"] == ["image %s sha256:new" % NOW, "image cpu sha256:new", "image %s sha256:old" % BEFORE, "used sha256:old"]


def test_an_engine_without_images_has_none(look):
    assert [look({})[name] for name in ("images", "alias_id", "names")] == [[], "", []]


def test_the_folder_of_an_interrupted_build_is_told(look):
    (look.folder / "build").mkdir()
    assert look()["scratch"] is True


def test_an_engine_that_is_silent_is_an_error(look):
    found = look(docker_host="unix:///nowhere/docker.sock")
    assert found["failed"] and found["msg"].startswith("The images were not looked at: no Docker engine answers at /nowhere/docker.sock")
