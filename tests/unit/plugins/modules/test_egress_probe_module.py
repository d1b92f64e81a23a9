"""What the module makes of a container that the engine tells of, with a stand-in for the engine; the attempts themselves are test_egress_probe.py's."""
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from engine_stand_in import engine_at

from ansible_collections.protocol_omni.bunker.plugins.module_utils.egress_probe import container
from ansible_collections.protocol_omni.bunker.plugins.modules import egress_probe

ROWS = [{"attempt": "ping", "expected": "blocked", "observed": "blocked", "does_not_apply": ""},
        {"attempt": "IPv6", "expected": "blocked", "observed": "", "does_not_apply": "no IPv6 here"}]


def network(name, **changes):
    made = {"Name": name, "Id": name * 20, "Driver": "bridge", "Internal": False, "Options": {}, "IPAM": {"Config": [{"Subnet": "172.30.0.0/16"}]}}
    return dict(made, **changes)


@pytest.fixture
def probe(tmp_path, monkeypatch, capsys):
    """Runs the module; ``run.engine`` is what the engine tells, ``run.asked`` what the probe is asked for, ``run.rows`` what it finds."""
    def run(**given):
        with patch_module_args(dict({"container": "oracle", "docker_host": "unix://%s" % run.socket, "_ansible_check_mode": True}, **given)), \
                pytest.raises(SystemExit):
            egress_probe.main()
        return json.loads(capsys.readouterr().out)
    run.asked, run.rows = [], ROWS
    monkeypatch.setattr(container, "probe", lambda *words: run.asked.append(words) or run.rows)
    run.engine = {
        "/containers/oracle/json": {"Name": "/oracle", "State": {"Running": True, "Pid": 4711}, "HostConfig": {"Dns": ["192.0.2.53"]},
                                    "NetworkSettings": {"Networks": {"omni": {"NetworkID": "n1"}, "brain": {"NetworkID": ""}}}},
        "/networks/n1": network("omni", Options={"com.docker.network.bridge.name": "br-omni"}),
        "/networks/brain": network("brain", Internal=True, IPAM={"Config": [{"Subnet": "172.31.0.0/16", "Gateway": "172.31.0.254"}]}),
        "/networks/bridge": network("bridge")}
    with engine_at(tmp_path / "docker.sock", run.engine) as run.socket:
        yield run


def test_the_probe_is_asked_for_the_containers_networks(probe):
    assert probe()["isolated"] is True
    (pid, name, networks, forwarders, outside), = probe.asked
    assert (pid, name, forwarders, outside) == (4711, "oracle", ["192.0.2.53"], "198.51.100.0/24")
    assert networks == [{"name": "omni", "bridge": "br-omni", "subnet": "172.30.0.0/16", "internal": False, "gateway": "172.30.0.1"},
                        {"name": "brain", "bridge": "br-brainbrainbr", "subnet": "172.31.0.0/16", "internal": True, "gateway": "172.31.0.254"}]


def test_one_on_internal_networks_alone_is_compared_with_the_engines_own(probe):
    del probe.engine["/containers/oracle/json"]["NetworkSettings"]["Networks"]["omni"]
    probe()
    assert [one["name"] for one in probe.asked[0][2]] == ["brain", "bridge"]
    del probe.engine["/networks/bridge"]
    probe()
    assert [one["name"] for one in probe.asked[1][2]] == ["brain"]


@pytest.mark.parametrize("observed", ["passed", "answered", "unproven"])
def test_what_was_observed_otherwise_than_expected_is_no_isolation(probe, observed):
    probe.rows = [dict(ROWS[0], observed=observed), ROWS[1]]
    found = probe()
    assert (found["isolated"], found["failing"], found["attempts"]) == (False, probe.rows[:1], probe.rows)


@pytest.mark.parametrize("spoil, why", [
    (lambda engine: engine["/containers/oracle/json"]["State"].update(Running=False), "oracle was not probed: container oracle does not run. Start it."),
    (lambda engine: engine["/networks/n1"].update(Driver="macvlan"), "oracle was not probed: network omni is of driver macvlan; only bridge networks"),
    (lambda engine: engine["/networks/n1"]["IPAM"].update(Config=[]), "oracle was not probed: network omni is of driver bridge; only bridge networks"),
    (lambda engine: engine.pop("/containers/oracle/json"), "oracle was not probed: ")], ids=["stopped", "no bridge", "no subnet", "none"])
def test_a_container_that_cannot_be_probed_is_named(probe, spoil, why):
    spoil(probe.engine)
    found = probe()
    assert found["failed"] and found["msg"].startswith(why) and probe.asked == []


@pytest.mark.parametrize("fault, words", [
    (FileNotFoundError(2, "No such file or directory", "ip"), "No such file or directory: 'ip'"),
    (PermissionError(1, "Operation not permitted"), "not permitted")])
def test_a_host_on_which_no_attempt_can_be_made_says_why(probe, monkeypatch, fault, words):
    """Without iproute2, or where the kernel refuses namespaces. The rest of what is seen of a service is told all the same (service_info)."""
    def refused(*_words):
        raise fault
    monkeypatch.setattr(container, "probe", refused)
    found = probe()
    assert found["failed"] and found["msg"].startswith("oracle was not probed: ") and words in found["msg"]
