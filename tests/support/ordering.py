"""In which order the tests run, and which of them run on one worker. This is the only place that says so.

Two streams run beside each other: the tests of the one deployed site, on one worker in the order of SITE, and on the other what answers in seconds, so that a
fault shows early, and then the hosts that a test module has for itself. The site comes first, for it is the longest way through the run; where its image has to
be built, its worker waits for the compiler, which gets most of the cores. Without workers (``-p no:xdist``, ``-n 0``) what answers in seconds comes first.
"""
import pathlib

from support import ROOT

SITE = [
    "site/test_first_runs.py",  # the bare host: it must see the first run
    "site/test_refusals.py",
    "site/test_llama_options.py",
    "site/test_installed_collection.py",
    "site/test_sbom.py",
    "site/test_changes.py",
    "site/test_state.py",
    "site/test_isolation.py",
    "site/test_air_gap.py",
    "site/test_gateway_in_front.py",  # from here on times are measured: by now the other worker has little left
    "site/test_throughput.py",
    "destructive/test_watch_the_gap.py",  # leaves another configuration
    "destructive/test_teardown.py",  # leaves nothing
]
# Longest first; the last one needs the compiler cache of the image.
ISOLATED = [
    "test_molecule_scenarios.py", "test_engine_data_moves.py", "test_gateway.py", "test_gateway_clients.py", "test_gateway_kinds.py", "test_gateway_usage.py",
    "test_gateway_drain.py", "test_gateway_rotation.py", "test_gateway_state.py", "test_gateway_fuzz.py", "test_targets.py", "test_disk_faults.py",
    "test_pool.py", "test_pool_rolling.py", "test_build.py",
]
FIRST = ["tests/lint", "tests/unit", "tests/integration/isolated/test_package.py", "tests/cuda"]
INTEGRATION = "tests/integration/"
TOGETHER = {  # start of a module's name to what its tests share with others': one host, loop devices of this machine, addresses
    "test_gateway": "gateway", "test_pool": "pool",
    "test_engine_data_moves": "loop devices", "test_disk_faults": "loop devices", "test_build": "loop devices", "test_root_disk": "loop devices",
}
SCENARIOS = {"gateway": "gateway", "disk_layout": "loop devices", "engine_data": "loop devices"}  # a molecule scenario to what it shares with modules


def stage(path, site_first=False):
    """What a test module is sorted by.

    :param path: str, relative to the checkout.
    :param site_first: bool, whether the site has a worker for itself, or has to wait for its image.
    :returns: tuple.
    """
    for number, prefix in enumerate(FIRST):
        if path == prefix or path.startswith(prefix + "/"):
            return (0, number)
    name = path.removeprefix(INTEGRATION)
    if name in SITE:
        return (-1 if site_first else 1, SITE.index(name))
    if not name.startswith("isolated/"):
        raise ValueError("%s has no place in the order of the tests: say it in %s" % (path, pathlib.Path(__file__).relative_to(ROOT)))
    name = name.removeprefix("isolated/")
    return (2, ISOLATED.index(name) if name in ISOLATED else 0)


def group(nodeid):
    """What tests must share a worker for: one site, one host, one module's fixtures.

    :param nodeid: str of pytest.
    :returns: str; nodeids with the same one run on one worker, one after the other.
    """
    path = nodeid.split("::")[0]
    if path.startswith((INTEGRATION + "site/", INTEGRATION + "destructive/")):
        return "site"
    name = pathlib.PurePath(path).name
    if name == "test_molecule_scenarios.py":
        return SCENARIOS.get(nodeid.split("[")[-1].rstrip("]"), nodeid)
    if path.startswith(("tests/lint/", "tests/unit/")):
        return nodeid
    return next((shared for start, shared in TOGETHER.items() if name.startswith(start)), path)


def pytest_collection_modifyitems(config, items):
    from support import image  # pylint: disable=import-outside-toplevel; it asks where the cache is

    sites = any(group(item.nodeid) == "site" for item in items) and not config.option.collectonly
    waits = sites and not image.archive(image.variables()).exists()
    worker = getattr(config, "workerinput", {}).get("workerid")
    items.sort(key=lambda item: stage(item.nodeid.split("::")[0], waits or bool(worker)))  # a stable sort: within a module as it is written
    if waits and worker in (None, "gw0"):
        image.begin()


def pytest_sessionfinish():
    from support import image  # pylint: disable=import-outside-toplevel  # as above: it asks where the cache is

    image.end()


def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling  # pylint: disable=import-outside-toplevel; only where it is installed

    class ByGroup(LoadScopeScheduling):
        """Hands out groups in the order of the tests."""

        def _split_scope(self, nodeid):
            return group(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)
