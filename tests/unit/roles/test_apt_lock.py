"""On a host that was just started somebody else holds apt's lock: whatever needs it waits, and for as long as one variable says."""
import pytest
import rendering
import yaml

from ansible_collections.protocol_omni.bunker.plugins.action import system_packages

PATHS = sorted(path.relative_to(rendering.ROLES) for path in rendering.ROLES.glob("*/tasks/**/*.yml"))
WAITS = "{{ bunker_apt_lock_timeout | default(300) }}"
TRIES = "{{ bunker_apt_lock_timeout | default(300) // 10 }}"


def tasks(entries):
    """Each task of a file, also those in blocks."""
    for entry in entries or []:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part))


def found(path):
    """(task, arguments of apt or None, whether it is another use of the lock) of a file."""
    for task in tasks(yaml.safe_load((rendering.ROLES / path).read_text(encoding="utf-8"))):
        long = task.get("protocol_omni.bunker.long_task") or {}
        apt = task.get("ansible.builtin.apt") or task.get("apt") or (long.get("arguments") if str(long.get("module", "")).endswith(".apt") else None)
        words = (task.get("ansible.builtin.command") or {}).get("argv", [])
        other = "ansible.builtin.dpkg_selections" in task or (
            isinstance(words, list) and (words[:2] in (["apt-get", "update"], ["apt-get", "install"]) or words[:1] == ["dpkg"]))
        yield task, apt, other


USES = [(str(path), task, apt, other) for path in PATHS for task, apt, other in found(path) if apt or other]


def test_the_uses_of_the_lock_are_found():
    by_module = [task for path in PATHS for task in tasks(yaml.safe_load((rendering.ROLES / path).read_text(encoding="utf-8")))
                 if "protocol_omni.bunker.system_packages" in task]
    assert len(by_module) >= 7 and len([apt for _path, _task, apt, _other in USES if apt]) >= 4
    assert len([other for _path, _task, _apt, other in USES if other]) >= 5


@pytest.mark.parametrize("path, task, apt, other", USES, ids=["%s: %s" % (path, task["name"]) for path, task, _apt, _other in USES])
def test_whatever_needs_apts_lock_waits_for_it(path, task, apt, other):
    if apt:
        assert apt.get("lock_timeout") == WAITS
    else:
        assert task.get("retries") == TRIES and task.get("delay") == 10 and "lock" in task["until"]
    timeout = (task.get("protocol_omni.bunker.long_task") or {}).get("timeout", 10 ** 6)
    assert timeout >= 2 * rendering.read("preflight", "defaults/main.yml")["bunker_apt_lock_timeout"]


def test_no_role_asks_apt_in_a_shell():
    """What stands in a shell's text would not be seen here."""
    texts = [str((task.get("ansible.builtin.shell") or task.get("ansible.builtin.command") or {}).get("cmd", ""))
             for path in PATHS for task in tasks(yaml.safe_load((rendering.ROLES / path).read_text(encoding="utf-8")))]
    assert len([text for text in texts if text]) > 15
    assert [text for text in texts if "apt-get" in text or "dpkg --install" in text] == []


def test_the_variable_has_one_default():
    assert rendering.read("preflight", "defaults/main.yml")["bunker_apt_lock_timeout"] == 300 == system_packages.LOCK_TIMEOUT
    spec = rendering.read("preflight", "meta/argument_specs.yml")["argument_specs"]["main"]["options"]["bunker_apt_lock_timeout"]
    assert (spec["type"], spec["default"]) == ("int", 300)


@pytest.mark.parametrize("answer, waits", [
    ({"stderr": "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)"}, True),
    ({"stderr": "E: The repository is not signed."}, False), ({"stderr": ""}, False)])
def test_the_lists_are_asked_for_again_only_while_somebody_holds_them(answer, waits):
    task = rendering.task("host_driver", "tasks/repository.yml", "Read the package lists")
    assert rendering.holds("host_driver", {"when": task["until"]}, {"__host_driver_update": answer}) is not waits


@pytest.mark.parametrize("answer, waits", [
    ({"failed": True, "msg": "dpkg: error: dpkg frontend lock was locked by another process with pid 812"}, True),
    ({"failed": True, "msg": "dpkg: error: unknown selection"}, False), ({"failed": False, "changed": True}, False)])
def test_a_package_is_held_again_only_while_somebody_holds_the_lock(answer, waits):
    task = rendering.task("host_driver", "tasks/keep.yml", "Hold the packages of the driver", "ansible.builtin.dpkg_selections")
    assert rendering.holds("host_driver", {"when": task["until"]}, {"__host_driver_kept": answer}) is not waits
