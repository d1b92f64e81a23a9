"""Packages that are missing, with a stand-in for the host: what is asked of it, in which order, and what is told."""
import types

import pytest

from ansible_collections.protocol_omni.bunker.plugins.action import system_packages


class OnAHost(system_packages.ActionModule):
    """A host on which these packages are installed, and others known but removed."""

    def __init__(self, there, check_mode=False, installation=None, **arguments):
        task = types.SimpleNamespace(async_val=0, check_mode=check_mode, action="system_packages", args=arguments)
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir="/tmp/a"))
        super().__init__(task, connection, None, None, types.SimpleNamespace(template=lambda value: value))
        self.there, self.installation, self.asked, self.installed = there, installation or {"rc": 0, "changed": True}, [], None

    def _execute_module(self, module_name=None, module_args=None, **_others):
        self.asked.append((module_args["argv"], self._task.check_mode))
        if module_args["argv"][0] == "dpkg-query":
            return {"rc": 1, "stdout": "\n".join(["not-installed removed-one"] + ["installed %s" % name for name in self.there])}
        return {"rc": 0}

    def _install(self, names, arguments, task_vars):
        self.installed = (names, arguments["start"])
        return self.installation


def test_what_is_there_is_not_installed_again():
    host = OnAHost(["nginx", "openssl"], name=["nginx", "openssl"])
    result = host.run(task_vars={})
    assert (result["changed"], result["missing"], host.installed) == (False, [], None)


def test_what_is_missing_or_was_removed_is_installed_in_the_order_of_the_list():
    host = OnAHost(["openssl"], name=["removed-one", "openssl", "nginx"], start=False)
    result = host.run(task_vars={})
    assert (result["changed"], result["missing"], host.installed) == (True, ["removed-one", "nginx"], (["removed-one", "nginx"], False))


def test_check_mode_looks_and_installs_nothing():
    host = OnAHost([], check_mode=True, name=["nginx"], mask=["nginx.service"])
    result = host.run(task_vars={})
    assert (result["changed"], result["msg"], host.installed) == (True, "Would install nginx", None)
    assert [(argv[0], check_mode) for argv, check_mode in host.asked] == [("dpkg-query", False)] and host._task.check_mode is True


def test_units_of_missing_packages_are_masked_before_the_installation():
    host = OnAHost(["prometheus"], name=["prometheus", "prometheus-node-exporter"], mask=["prometheus.service", "prometheus-node-exporter.service"])
    host.run(task_vars={})
    assert [argv for argv, _check in host.asked[1:]] == [["ln", "--symbolic", "/dev/null", "/etc/systemd/system/prometheus-node-exporter.service"]]


@pytest.mark.parametrize("remembered, asks", [(["nginx", "openssl"], 0), (["nginx"], 1), ([], 1), (None, 1)])
def test_the_host_is_asked_once_for_all_roles_and_again_for_what_was_not_there(remembered, asks):
    host = OnAHost(["nginx", "openssl", "python3"], name=["openssl"])
    result = host.run(task_vars={"ansible_facts": {} if remembered is None else {system_packages.REMEMBERED: remembered}})
    assert (result["missing"], len(host.asked)) == ([], asks)
    assert result.get("ansible_facts") == ({system_packages.REMEMBERED: ["nginx", "openssl", "python3"]} if asks else None)


@pytest.mark.parametrize("there, disabled", [(["openssl"], [["systemctl", "disable", "nginx.service"]]), (["nginx", "openssl"], [])])
def test_units_of_packages_that_came_just_now_do_not_start_at_boot(there, disabled):
    host = OnAHost(there, name=["nginx", "openssl"], disable=["nginx.service"])
    host.run(task_vars={})
    assert [argv for argv, _check in host.asked[1:]] == disabled


@pytest.mark.parametrize("installation, words", [({"failed": True, "msg": "No package matching"}, "No package matching"), ({"failed": True, "rc": 100}, "100")])
def test_an_installation_that_fails_says_what_was_missing(installation, words):
    result = OnAHost([], installation=installation, name=["nginx"]).run(task_vars={})
    assert result["failed"] and result["msg"].startswith("nginx could not be installed: ") and words in result["msg"]


class TasksOfOthers:
    """In the action loader's place: notes what long_task is given."""

    def __init__(self):
        self.task = None

    def get(self, name, task=None, **_others):
        assert name == "protocol_omni.bunker.long_task"
        self.task = task
        return types.SimpleNamespace(run=lambda task_vars: {"rc": 0})


@pytest.mark.parametrize("variables, seconds", [({}, 300), ({"bunker_apt_lock_timeout": 20}, 20)])
@pytest.mark.parametrize("start", [True, False])
def test_apts_lock_is_waited_for_and_services_do_not_start_unasked(variables, seconds, start):
    host = OnAHost([], name=["nginx"], start=start)
    host._task.copy, host._loader, host._play_context = (lambda: types.SimpleNamespace(args=None)), None, None
    loader = TasksOfOthers()
    host._shared_loader_obj = types.SimpleNamespace(action_loader=loader)
    assert system_packages.ActionModule._install(host, ["nginx"], {"start": start, "timeout": 700}, variables) == {"rc": 0}
    arguments = loader.task.args
    assert (arguments["module"], arguments["timeout"]) == ("ansible.builtin.apt", 700)
    assert arguments["arguments"].pop("policy_rc_d", None) == (None if start else 101)
    assert arguments["arguments"] == {"name": ["nginx"], "install_recommends": False, "update_cache": True, "lock_timeout": seconds}
