"""What unit tests of several folders share."""
import contextlib
import resource

import pytest


@pytest.fixture
def no_room():
    """A context in which this process and those that it starts can write no more than so many bytes to a file: a stand-in for a disk that becomes full."""
    @contextlib.contextmanager
    def limited(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return limited
