"""These tests share the one deployed site, and each module leaves it as it was."""
import pytest

# What the inventory decided, as lines: units, what the roles wrote, containers and their image, networks, names of images
# (not what a build leaves in the engine besides).
STATE = r"""
find /etc/protocol_omni /etc/docker /etc/systemd/system -type f | grep -E '^/etc/(protocol_omni|docker)/|protocol-omni' | sort | xargs sha256sum
docker ps --all --format 'container {{.Names}} {{.Image}}' | sort
docker network ls --format 'network {{.Name}} {{.Driver}}' | sort
docker image ls --filter 'reference=omni/*' --format 'image {{.Repository}}:{{.Tag}} {{.ID}}' | sort
systemctl list-units --all --plain --no-legend 'protocol-omni-*.service' docker.service | awk '{print "unit", $1, $3}'
"""


@pytest.fixture(scope="module", autouse=True)
def left_as_it_was(request):
    """Compares the site's state before and after a module. The first module makes the site."""
    if request.module.__name__ == "test_first_runs":
        yield
        return
    site = request.getfixturevalue("site")
    request.getfixturevalue("second").assert_ok()
    before = site.sh(STATE).splitlines()
    assert len([line for line in before if line.startswith("container ")]) >= 2
    yield
    after = site.sh(STATE).splitlines()
    assert after == before, "other than before: %s" % sorted(set(after) ^ set(before))
