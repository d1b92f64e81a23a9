"""The compiler, cuobjdump and the samples, provided once a session."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import samples  # noqa: E402
import toolkit  # noqa: E402


@pytest.fixture(scope="session")
def cuobjdump():
    return toolkit.provide() / "bin" / "cuobjdump"


@pytest.fixture(scope="session")
def sample_folder():
    return samples.provide()[0]
