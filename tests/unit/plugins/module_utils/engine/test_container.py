"""The hardening is one for all containers of llama.cpp, and memory may be locked only where llama.cpp is told to."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import container


def test_a_container_is_removed_and_named_and_hardened():
    words = container.hardened("executor")
    assert words[:3] == ["--rm", "--name", "executor"]
    for option, value in (("--user", "65532:65532"), ("--cap-drop", "ALL"), ("--security-opt", "no-new-privileges"), ("--pull", "never"),
                          ("--log-driver", "none"), ("--pids-limit", "4096")):
        assert words[words.index(option) + 1] == value
    assert "--read-only" in words
    assert "--name" not in container.hardened()


@pytest.mark.parametrize("mode, locked", [("", False), ("none", False), ("mmap", False), ("dio", False), ("mlock", True), ("mmap+mlock", True)])
def test_memory_is_locked_where_llama_cpp_locks_it(mode, locked):
    assert (container.locked_memory(mode) == ["--ulimit", "memlock=-1:-1"]) is locked
