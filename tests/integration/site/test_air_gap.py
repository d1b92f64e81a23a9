"""A bundle of the running site, carried to a host that has no network at all: the same site comes out of it, by the host's own Ansible."""
import json
import re

import docker
import pytest
import yaml
from support import ROOT
from support.hosts import Host, bare

HOST = "bunker-test-air-gap"
BUNDLE = "/srv/bundle"  # on both hosts; between them it goes through this machine, as on a disk


@pytest.fixture(scope="module")
def bundled(site, second):
    """What playbooks/bundle.yml says and leaves on the host of the site."""
    second.assert_ok()
    return site.run("playbooks/bundle.yml", extra_vars={"bundle_path": BUNDLE}).assert_ok()


def test_a_disk_that_is_too_small_is_refused_before_anything_is_copied(site, second):
    assert site.execute("mkdir /srv/small && mount -t tmpfs -o size=16m stand-in-for-a-small-disk /srv/small")[0] == 0
    try:
        refused = site.run("playbooks/bundle.yml", extra_vars={"bundle_path": "/srv/small/bundle"})
        assert refused.rc != 0
        assert "/srv/small/bundle has room for 16" in refused.failures[-1] and "Set bundle_path to a larger disk" in refused.failures[-1]
        assert site.execute("find /srv/small -type f")[1] == ""
    finally:
        assert site.execute("umount /srv/small && rmdir /srv/small")[0] == 0


def test_a_bundle_that_gives_no_image_is_refused_before_anything_is_copied(site, second):
    refused = site.run("playbooks/bundle.yml", extra_vars={"bundle_path": "/srv/none", "bundle_image": False})
    assert refused.rc != 0
    assert "bundle_image is false and bundle_build is not true" in refused.failures[-1] and "Set bundle_build: true" in refused.failures[-1]
    assert site.execute("test -e /srv/none")[0] != 0


class Isolated(Host):
    """A host whose network namespace holds the loopback device and nothing else."""

    def play(self, playbook, *options):
        """Runs a playbook of the collection on the host itself; returns (exit code, output, names of the tasks that changed something)."""
        code, output = self.execute("cd /root && ANSIBLE_NOCOLOR=1 ANSIBLE_COLLECTIONS_PATH=/opt/protocol_omni/collections "
                                    "/opt/protocol_omni/venv/bin/ansible-playbook -i /root/inventory.yml %s -e bunker_bundle=%s %s"
                                    % (playbook, BUNDLE, " ".join(options)))
        changed, task = set(), ""
        for line in output.splitlines():
            task = line.split("[", 1)[1].rsplit("]", 1)[0].split(" : ")[-1] if line.startswith(("TASK [", "RUNNING HANDLER [")) else task
            if line.startswith("changed:"):
                changed.add(task)
        return code, output, changed


@pytest.fixture(scope="module")
def isolated(bundled, site, tmp_path_factory):
    host = Isolated(HOST, tmp_path_factory.mktemp("air-gap"))
    with bare(HOST):
        carry(site, host)
        yield host


def carry(site, host):
    """Brings the bundle and an inventory to the host, as on a disk."""
    stream, _status = docker.from_env().containers.get(site.host).get_archive(BUNDLE)
    docker.from_env().containers.get(HOST).put_archive("/srv", stream)
    demo = yaml.safe_load((ROOT / "inventory/demo/group_vars/all/bunker.yml").read_text(encoding="utf-8"))
    demo.update({
        "ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3", "bunker_ca_bundle": "",
        "bunker_package_index": "https://nowhere.invalid/simple",
        "golden_image_base_archive": "/var/cache/protocol_omni/base/trixie.tar", "bunker_cache_path": "/srv/cache", "golden_image_compiler_cache": False,
        "golden_image_base_archive_sha256": site.execute("cat /var/cache/protocol_omni/base/trixie.tar.sha256")[1].strip(),
        "gateway_address": "127.0.0.1", "golden_image_keep_archive": False, **site.variables})
    inventory = json.dumps({"all": {"hosts": {"isolated": demo}}})
    assert host.execute("cat > /root/inventory.yml <<'END'\n%s\nEND" % inventory)[0] == 0


def test_the_bundle_says_where_it_is_and_what_its_manifest_hashes_to(bundled, site):
    said = re.search(r"SHA-256 of its manifest SHA256SUMS is ([0-9a-f]{64})", " ".join(bundled.output.split()))
    assert said and site.execute("sha256sum %s/SHA256SUMS" % BUNDLE)[1].startswith(said.group(1))


def test_the_host_has_no_route_to_anywhere(isolated):
    routes = isolated.execute("cat /proc/net/route; cat /proc/net/ipv6_route | grep -v ' lo$'; ip -brief link")[1]
    assert routes.splitlines()[1:] == [line for line in routes.splitlines()[1:] if line.startswith("lo ")]
    assert isolated.execute("timeout 5 bash -c ': < /dev/tcp/198.51.100.1/80'")[0] != 0


def test_a_bundle_that_changed_on_the_way_is_refused(isolated):
    wheel = isolated.execute("ls %s/wheels/*.whl | head -n 1" % BUNDLE)[1].strip()
    isolated.execute("cp %s /root/kept && printf X >> %s" % (wheel, wheel))
    code, output = isolated.execute("%s/install" % BUNDLE)
    assert code != 0 and "the bundle is not what its manifest says" in output and wheel.rsplit("/", 1)[1] in output
    assert isolated.execute("ls /opt/protocol_omni")[0] != 0
    isolated.execute("cp /root/kept %s" % wheel)


@pytest.fixture(scope="module")
def installed(isolated):
    """The host after the bundle's own installer."""
    code, output = isolated.execute("%s/install" % BUNDLE)
    assert code == 0, output
    return isolated


@pytest.fixture(scope="module")
def deployed(installed):
    """The host after site.yml from the bundle."""
    return installed.play("protocol_omni.bunker.site")


def test_an_inventory_of_another_image_is_refused_before_anything_changes(installed):
    code, output, changed = installed.play("protocol_omni.bunker.site", "-e", "golden_image_source_version=another")
    assert code != 0 and changed == set()
    assert re.search(r"asks for the image [0-9a-f]{16}, the bundle /srv/bundle holds [0-9a-f]{16}.tar", output)


def test_site_runs_from_the_bundle_and_gives_the_same_image(deployed, installed, site):
    code, output, changed = deployed
    assert code == 0, output[-5000:]
    assert {"Install the packages", "Load the image from its archive", "Fetch what is missing", "Start the service"} <= changed
    assert "Build the image" not in changed

    def image(host):
        found = host.engine().images.get(site.image)
        return found.id, sorted(tag for tag in found.tags if "unproven" not in tag)
    assert image(installed) == image(site)


def test_its_services_answer(deployed, installed):
    code, answer = installed.execute(
        "python3 -c 'import json, urllib.request as u; k = open(\"/etc/protocol_omni/gateway/operator.key\").read().strip(); "
        "print(u.urlopen(u.Request(\"https://127.0.0.1:8443/v1/models\", headers={\"Authorization\": \"Bearer \" + k}), "
        "context=__import__(\"ssl\")._create_unverified_context()).read().decode())'")
    assert code == 0 and {entry["id"] for entry in json.loads(answer)["data"]} == {"oracle", "executor"}


@pytest.mark.full
def test_a_second_run_from_the_bundle_changes_nothing(deployed, installed):
    code, output, changed = installed.play("protocol_omni.bunker.site")
    assert code == 0 and changed == set(), output[-3000:]


def test_the_services_of_the_site_start_again_whether_the_bundle_is_there_or_gone(bundled, site):
    """What a bundle takes along stays the file that was verified."""
    for bundle in ("there", "gone"):
        if bundle == "gone":
            assert site.execute("rm -r %s" % BUNDLE)[0] == 0
        # Of how often it was started lately by other tests systemd is to remember nothing: its limit is not the point here.
        code, output = site.execute("systemctl reset-failed protocol-omni-executor; systemctl restart protocol-omni-executor")
        assert code == 0, (bundle, output, site.execute("journalctl -u protocol-omni-executor -n 30 --no-pager")[1])
