"""The doctrine's first attempt died of a full root disk. The whole site on a host whose volumes are loop devices: a full build of the image, full models."""
import pytest
from support.hosts import Host, bare

pytestmark = pytest.mark.full  # it builds the image once more
MB = 1_000_000
VARIABLES = {
    "disk_layout_volumes": [{"device": "/dev/disk/by-id/stand-in-disk-1", "mount": "/nvme"},
                            {"device": "/dev/disk/by-id/stand-in-disk-2", "mount": "/nvme/models"}],
    "disk_layout_directories": [{"path": "/nvme/docker", "mode": "0710"}, {"path": "/nvme/containerd", "mode": "0711"}],
    "container_engine_data_root": "/nvme/docker",
    "container_engine_containerd_root": "/nvme/containerd",
    "model_store_path": "/nvme/models",
    "observability_enabled": False,  # programs of 110 MB, which the distribution puts on the root disk and which do not grow
    # Another image than the other tests' one, so that it is built here and not loaded. The compiler cache is the controller's and no part of the host.
    "golden_image_labels": {"built": "on volumes"},
    "golden_image_keep_archive": False,
}


def root_use(host):
    """Bytes of everything on the host that is no volume. What the disks themselves are made of is their content, not the root's."""
    paths = "/ /var/lib/docker"  # the host's container has a mount of its own there
    return sum(int(line.split()[0]) for line in host.sh("du --summarize --one-file-system --block-size=1 --exclude=stand-in-disks %s" % paths).splitlines())


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    machine = Host("bunker-test-root-disk", tmp_path_factory.mktemp("root-disk"))
    with bare(machine.host):
        machine.disk("stand-in-disk-1", "16G")
        machine.disk("stand-in-disk-2", "1G")
        yield machine


def test_a_full_build_and_full_models_leave_the_root_disk_as_it_was(host):
    host.run("tests/host/engine_on_volumes.yml", extra_vars=VARIABLES).assert_ok()
    before = root_use(host)
    built = host.run("site.yml", extra_vars=VARIABLES).assert_ok()
    assert {"Build the image", "Fetch what is missing"} <= built.changed
    grown = root_use(host) - before
    volumes = int(host.sh("du --summarize --block-size=1 /nvme").split()[0])
    print("root disk: %+.1f MB; volumes: %.1f MB" % (grown / MB, volumes / MB))
    assert volumes > 2000 * MB  # image, build cache and model are somewhere
    assert abs(grown) < 50 * MB
    statuses = {claim["id"]: claim["status"] for claim in host.report()["claims"]}
    assert statuses["volumes.mounted"] == statuses["engine.off_root"] == "holds"


def test_the_second_run_on_volumes_changes_nothing(host):
    assert host.run("site.yml", extra_vars=VARIABLES).assert_ok().changed == set()
