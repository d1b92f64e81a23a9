"""The order of the tests and what shares a worker."""
import re

import pytest
from support import ROOT, ordering

MODULES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("site_first", [False, True])
def test_every_module_has_a_place_and_what_is_quick_comes_first(site_first):
    ordered = sorted(MODULES, key=lambda path: ordering.stage(path, site_first))
    folders = [path.split("/")[1] if "integration" not in path else path.split("/")[2] for path in ordered]
    assert folders.index("lint") < folders.index("unit") < folders.index("cuda") < folders.index("isolated", folders.index("cuda"))
    assert (folders.index("site") < folders.index("lint")) == site_first and (folders.index("cuda") < folders.index("site")) != site_first
    assert ordered.index("tests/integration/isolated/test_package.py") < folders.index("cuda")  # sanity


def test_the_sites_tests_stand_in_the_list_and_teardown_is_the_last():
    assert {path.removeprefix("tests/integration/") for path in MODULES if "/site/" in path or "/destructive/" in path} == set(ordering.SITE)
    assert ordering.SITE[0] == "site/test_first_runs.py" and ordering.SITE[-1] == "destructive/test_teardown.py"
    assert [name.split("/")[0] for name in ordering.SITE] == sorted((name.split("/")[0] for name in ordering.SITE), reverse=True)


def test_a_module_without_a_place_is_refused_by_name():
    with pytest.raises(ValueError, match="tests/integration/site/test_new.py has no place"):
        ordering.stage("tests/integration/site/test_new.py")


@pytest.mark.parametrize("one, other, same", [
    ("tests/integration/site/test_first_runs.py::a", "tests/integration/destructive/test_teardown.py::b", True),
    ("tests/integration/isolated/test_gateway.py::a", "tests/integration/isolated/test_gateway_drain.py::b[1]", True),
    ("tests/integration/isolated/test_disk_faults.py::a", "tests/integration/isolated/test_disk_faults.py::b", True),
    ("tests/integration/isolated/test_disk_faults.py::a", "tests/integration/isolated/test_gateway.py::a", False),
    ("tests/integration/isolated/test_gateway_queue.py::a", "tests/integration/isolated/test_gateway_page.py::a", True),
    ("tests/integration/isolated/test_disk_faults.py::a", "tests/integration/isolated/test_build.py::a", True),
    ("tests/integration/isolated/test_pool.py::a", "tests/integration/isolated/test_pool_rolling.py::a", True),
    ("tests/integration/isolated/test_pool.py::a", "tests/integration/isolated/test_targets.py::a", False),
    ("tests/integration/site/test_changes.py::a", "tests/integration/isolated/test_gateway.py::a", False),
    ("tests/integration/isolated/test_molecule_scenarios.py::a[x]", "tests/integration/isolated/test_molecule_scenarios.py::a[y]", False),
    ("tests/cuda/test_loader.py::a", "tests/cuda/test_loader.py::b", True),
])
def test_what_needs_one_host_shares_a_worker(one, other, same):
    assert (ordering.group(one) == ordering.group(other)) is same


def test_whoever_asks_the_gateways_host_shares_its_worker():
    asks = re.compile(r"^def \w+\((?:.*, )?door\b", re.MULTILINE)
    using = [path for path in MODULES if "/isolated/" in path and asks.search((ROOT / path).read_text(encoding="utf-8"))]
    assert len(using) > 8 and {ordering.group(path + "::a") for path in using} == {"gateway"}
