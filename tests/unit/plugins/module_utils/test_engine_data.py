"""A sound move has no problems; each test changes one thing and expects the action, or the value, the rule and the remedy."""
import copy

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import engine_data

JOURNAL = "/var/lib/protocol_omni/engine-move.json"
ROOTS = [{"name": "docker", "old": "/var/lib/docker", "new": "/nvme/docker"},
         {"name": "containerd", "old": "/var/lib/containerd", "new": "/nvme/containerd"}]
REQUEST = {
    "roots": {"docker": "/nvme/docker", "containerd": "/nvme/containerd"}, "move": True, "discard": False, "ready": True, "journal": JOURNAL,
    "volumes": [{"mount": "/nvme/docker"}, {"mount": "/nvme/containerd"}, {"mount": "/nvme"}],
}
FOUND = {
    "sources": {"docker": {"root": "/var/lib/docker", "data": {"images": 2, "volumes": 0, "containers": 1}, "bytes": 50_000_000_000,
                           "submounts": [], "unmovable": []},
                "containerd": {"root": "/var/lib/containerd", "data": {"blobs": 0}, "bytes": 1_000_000, "submounts": [], "unmovable": []}},
    "targets": {"docker": {"root": "/nvme/docker", "mount": "/nvme/docker", "entries": ["lost+found"], "bytes": 0, "free": 100_000_000_000},
                "containerd": {"root": "/nvme/containerd", "mount": "/nvme/containerd", "entries": [], "bytes": 0, "free": 100_000_000_000}},
    "journal": None, "left": [], "answers": True,
}


def decide(*changes):
    state = {"request": copy.deepcopy(REQUEST), "found": copy.deepcopy(FOUND)}
    for change in changes:
        change(state)
    return engine_data.decide(state["request"], state["found"])


def request(**values):
    return lambda state: state["request"].update(values)


def source(name, **values):
    return lambda state: state["found"]["sources"][name].update(values)


def target(name, **values):
    return lambda state: state["found"]["targets"][name].update(values)


def journal(state, *left):
    return lambda found: found["found"].update(journal={"state": state, "roots": ROOTS, "units": []}, left=list(left))


def own(state):
    """The inventory sets no root."""
    state["request"]["roots"] = {"docker": "", "containerd": ""}
    state["found"]["targets"] = {}


def no_data(state):
    state["found"]["sources"]["docker"]["data"] = {"images": 0}


def switched(*names):
    """Configurations that name the new root already, where an engine has written since."""
    def change(state):
        for root in ROOTS:
            if root["name"] in names:
                state["found"]["sources"][root["name"]]["root"] = root["new"]
                state["found"]["targets"][root["name"]]["entries"] = ["overlay2"]
    return change


def both(state):
    switched("docker", "containerd")(state)


ALL = ("docker", "containerd")


@pytest.mark.parametrize("changes, action, names", [
    ([], "copy", ALL),
    ([no_data], "switch", ALL),
    ([no_data, request(move=False)], "switch", ALL),
    ([own], "none", ()),
    ([own, request(move=False)], "none", ()),
    ([both], "none", ()),
    ([switched("docker"), source("containerd", data={"blobs": 3})], "copy", ("containerd",)),
    ([switched("docker")], "switch", ("containerd",)),
    # Interrupted while it was copied: both once more, whatever the new places hold.
    ([journal("copying", "/var/lib/docker"), target("docker", entries=["overlay2"])], "copy", ALL),
    # Interrupted between the two configurations: what docker wrote at its new root since is not copied over.
    ([journal("copying", "/var/lib/docker"), switched("docker")], "copy", ("containerd",)),
    # An empty old root is copied all the same when the move is begun: it is part of it.
    ([journal("copying"), no_data], "copy", ALL),
    ([journal("copying", "/var/lib/docker"), both], "finish", ()),
    ([journal("copying", "/var/lib/docker"), both, request(move=False)], "finish", ()),
    ([journal("switched", "/var/lib/docker"), both], "none", ()),
    ([journal("switched"), source("docker", root="/elsewhere")], "copy", ALL),  # what is left of an old move: nothing
])
def test_what_is_to_be_done(changes, action, names):
    plan = decide(*changes)
    assert plan["problems"] == []
    assert plan["action"] == action
    assert tuple(root["name"] for root in plan["roots"]) == names


@pytest.mark.parametrize("changes, value, rule, remedy", [
    ([request(move=False)], "/var/lib/docker holds 2 images, 1 containers (50.0 GB); /var/lib/containerd holds no data", "only on request",
     "container_engine_move_data: true"),
    ([request(move=False)], "/var/lib/docker", "only on request", "leave container_engine_data_root and container_engine_containerd_root empty"),
    ([target("docker", entries=["home"])], "/nvme/docker holds home", "not put there by this role", "Empty it"),
    ([no_data, target("docker", entries=["home"])], "/nvme/docker holds home", "not put there by this role", "Empty it"),
    ([target("docker", free=52_000_000_000)], "52.0 GB free on /nvme/docker", "needs 52.5 GB", "Make room"),
    ([target("docker", mount="/nvme"), target("containerd", mount="/nvme", free=52_500_000_000), request(volumes=[])],
     "free on /nvme", "needs 52.5 GB", "Make room"),
    ([target("docker", mount="/")], "container_engine_data_root /nvme/docker lies on /", "never written under its mount point", "systemctl start"),
    ([both, target("containerd", mount="/nvme")], "container_engine_containerd_root /nvme/containerd lies on /nvme", "never written", "systemctl start"),
    ([target("docker", root="/var/lib/docker/new")], "container_engine_data_root", "are apart", "another"),
    ([source("docker", root="/nvme")], "container_engine_data_root", "are apart", "another"),
    ([source("docker", submounts=["/var/lib/docker/volumes"])], "/var/lib/docker/volumes", "as one file system", "Move that mount"),
    ([source("docker", unmovable=["btrfs"])], "/var/lib/docker holds btrfs", "plain files", "Save the images"),
    ([journal("copying"), request(move=False)], JOURNAL, "only on request; in use are /var/lib/docker, /var/lib/containerd", "Or stay"),
    ([journal("copying"), switched("docker"), request(move=False)], JOURNAL, "in use are /nvme/docker, /var/lib/containerd", "goes on where it was."),
    ([journal("copying"), own], JOURNAL, "as it was begun", "as they were"),
    ([journal("copying"), both, target("docker", root="/third")], JOURNAL, "as it was begun", "as they were"),
    ([journal("copying"), target("docker", root="/third")], JOURNAL, "as it was begun", "as they were"),
    ([journal("switched", "/var/lib/docker"), both, target("docker", root="/third")],
     "old data in /var/lib/docker", "a second move", "discard_moved_data: true"),
])
def test_what_is_refused(changes, value, rule, remedy):
    problems = [problem for problem in decide(*changes)["problems"] if value in problem and rule in problem and remedy in problem]
    assert len(problems) == 1, decide(*changes)["problems"]


@pytest.mark.parametrize("changes", [
    [target("docker", mount="/"), request(ready=False)],  # disk_layout has not run yet
    [target("docker", free=0), request(ready=False)],
    [target("docker", mount="/nvme/docker/deeper")],
    [target("docker", free=3_000_000_000, bytes=49_600_000_000), journal("copying")],  # most of it is there already
    [no_data, source("docker", submounts=["/var/lib/docker/volumes"], unmovable=["btrfs"])],  # nothing is copied
])
def test_what_is_no_problem(changes):
    assert decide(*changes)["problems"] == []


@pytest.mark.parametrize("changes, discard, kept", [
    ([request(discard=True)], ["/var/lib/docker"], []),
    ([], [], ["/var/lib/docker"]),
    ([request(discard=True), lambda state: state["found"].update(answers=False)], [], ["/var/lib/docker"]),
])
def test_old_data_go_when_asked_and_the_engine_answers_from_the_new_place(changes, discard, kept):
    plan = decide(journal("switched", "/var/lib/docker"), both, *changes)
    assert (plan["discard"], plan["kept"]) == (discard, kept)


def test_old_data_that_are_in_use_again_are_not_old():
    plan = decide(journal("switched", "/var/lib/docker"), switched("containerd"), own, request(discard=True))
    assert (plan["action"], plan["discard"], plan["kept"], plan["problems"]) == ("none", [], [], [])


def test_old_data_stay_when_the_engine_went_to_a_third_place():
    plan = decide(journal("switched", "/var/lib/docker"), both, source("docker", root="/third"), target("docker", root="/third"), request(discard=True))
    assert (plan["action"], plan["discard"], plan["kept"]) == ("none", [], ["/var/lib/docker"])


def test_old_data_stay_while_a_move_is_unfinished():
    for changes in ([], [both], [switched("docker")]):
        assert decide(journal("copying", "/var/lib/docker"), request(discard=True), *changes)["discard"] == []


DEBIAN = 'version = 2\n\n[plugins]\n  [plugins."io.containerd.internal.v1.opt"]\n    path = "/var/lib/containerd/opt"\n    root = "/not/this/one"\n'
DOCKER_CE = '# comment\ndisabled_plugins = ["cri"]\n\n#root = "/var/lib/containerd"\n#[grpc]\n#  address = "x"\n'


@pytest.mark.parametrize("text, expected", [
    ("", 'version = 2\nroot = "/nvme/containerd"\n'),
    (DEBIAN, DEBIAN.replace("version = 2\n", 'version = 2\nroot = "/nvme/containerd"\n')),
    (DOCKER_CE, 'root = "/nvme/containerd"\n' + DOCKER_CE),
    ("root = '/old'\nstate = \"/run/c\"\n", 'root = "/nvme/containerd"\nstate = "/run/c"\n'),
])
def test_containerds_root_is_set_and_all_else_stays(text, expected):
    merged = engine_data.with_containerd_root(text, "/nvme/containerd")
    assert merged == expected
    assert engine_data.with_containerd_root(merged, "/nvme/containerd") == merged
    assert engine_data.root_of_containerd(merged) == "/nvme/containerd"


@pytest.mark.parametrize("text, expected", [
    (DEBIAN, ""), (DOCKER_CE, ""), ("", ""), ("root = '/old'\n", "/old"), ('  root="/a b"  # comment\n[x]\n', "/a b"),
])
def test_containerds_root_is_read_from_the_top_level_only(text, expected):
    assert engine_data.root_of_containerd(text) == expected


SOUND = '{"state": "copying", "units": [], "roots": [{"name": "docker", "old": "/a", "new": "/b"}]}'


def test_a_journal_is_read():
    assert engine_data.journal_of(SOUND)["roots"][0]["new"] == "/b" and engine_data.journal_of("") is None and engine_data.journal_of("null") is None


@pytest.mark.parametrize("text", [
    "{", "[]", "7", "{}", SOUND.replace("copying", "walking"), SOUND.replace("docker", "podman"), SOUND.replace('"/b"', "5"), SOUND.replace("[]", "{}"),
    SOUND.replace('{"name": "docker", "old": "/a", "new": "/b"}', "1")])
def test_what_is_no_journal_is_no_traceback(text):
    with pytest.raises(ValueError):
        engine_data.journal_of(text)


@pytest.mark.parametrize("text, expected", [("", ""), ("[]", ""), ('{"data-root": 5}', ""), ("[" * 100000, ""),
                                            ("{", ""), ("{}", ""), ('{"data-root": "/x"}', "/x"), ('{"data-root": null}', "")])
def test_dockers_root_is_read_from_daemon_json(text, expected):
    assert engine_data.root_of_daemon(text) == expected
