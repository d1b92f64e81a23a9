"""The hosts that several modules of tests share; how they are made is in tests/support."""
import pytest
from support import image
from support.gateway_host import Door
from support.hosts import bare
from support.site import NAME, Site


@pytest.fixture(scope="session")
def door(tmp_path_factory):
    """The host with the gateway, for all tests of it."""
    found = Door(tmp_path_factory.mktemp("gateway"))
    with bare(found.host):
        found.run("molecule/gateway/prepare.yml").assert_ok()
        found.deploy().assert_ok()
        found.read_certificate()
        yield found


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The bare host. Nothing has run on it yet."""
    image.provide()
    with bare(NAME):
        yield Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def predicted(site):
    """site.yml in check mode on the bare host."""
    return site.run("site.yml", "--check", "--diff")


@pytest.fixture(scope="session")
def first(site, predicted):
    """The first run of site.yml."""
    return site.run("site.yml")


@pytest.fixture(scope="session")
def second(site, first):
    """The second run of site.yml, with nothing new."""
    first.assert_ok()
    return site.run("site.yml")
