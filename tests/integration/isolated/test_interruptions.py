"""site.yml is killed at twenty points, one run after the other on one bare host; each run goes on from what the one before left, and the last ends well."""
import threading

import pytest
from support import image
from support.hosts import Host, bare

pytestmark = pytest.mark.full  # twenty runs
# The task at whose start ansible-playbook is killed, with the modules that it has running on this machine; what runs on the host in the background goes on.
POINTS = [
    "Install the packages", "Merge daemon.json", "Look whether the engine runs with the configuration that is written", "Create the folders of the build",
    "Bring the source of llama.cpp", "Import the root file system archive", "Take the compiler cache that was kept", "Build the image",
    "Name the image after its inputs", "Keep the compiler cache", "Point the alias at the image", "Install nftables", "Write the seal", "Put the seal in force",
    "Create the networks", "Fetch what is missing", "Write the unit", "Start the service", "Wait until the model is loaded", "Install nginx",
]


def variables():
    return dict(image.REDUCED)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    image.provide()  # its compiler cache makes the builds short
    machine = Host("bunker-test-interruptions", tmp_path_factory.mktemp("interruptions"))
    with bare(machine.host):
        machine.sh("mkdir -p /srv/cache && ln -s /var/cache/protocol_omni/ccache /srv/cache/ccache")
        yield machine


@pytest.mark.parametrize("point", POINTS)
def test_it_is_killed(host, point):
    """At this point, or at the next one where it comes by none of this: what the run before had begun may be done by now."""
    reached = threading.Event()
    left = POINTS[POINTS.index(point):]
    run = host.run("site.yml", extra_vars=variables(), cancel=reached.is_set,
                   watch=lambda event: reached.set() if event["event"] == "playbook_on_task_start" and event["event_data"]["task"] in left else None)
    assert reached.is_set() and run.rc != 0, run.output[-3000:]
    assert run.failures == []  # it was killed; nothing that the run before had left was in its way


def test_the_next_run_ends_well_and_every_claim_holds(host):
    host.run("site.yml", extra_vars=variables()).assert_ok()
    assert [claim["id"] for claim in host.report()["claims"] if claim["status"] == "fails"] == []
    assert not [name for image in host.engine().images.list() for name in image.tags if "unproven" in name]
    assert host.execute("ls /srv/cache/build") == (0, "")


def test_and_the_one_after_it_changes_nothing(host):
    assert host.run("site.yml", extra_vars=variables()).assert_ok().changed == set()
