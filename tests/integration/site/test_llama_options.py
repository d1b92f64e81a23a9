"""What is taken for true of llama.cpp's options, asked of the programs of the golden image."""
import pytest
from support import ROOT, llama_options

from ansible_collections.protocol_omni.bunker.plugins.module_utils.engine import container


@pytest.mark.parametrize("program", ["llama-server", "llama-fit-params"])
def test_the_lists_of_options_are_those_of_the_image(site, second, program):
    second.assert_ok()
    code, text = site.execute("docker run --rm --network none --entrypoint /opt/llama/%s %s --help" % (program, site.image))
    assert code == 0, text[-500:]
    recorded = (ROOT / "tests/fixtures/llama_cpp" / (program + ".txt")).read_text(encoding="utf-8").splitlines()
    assert llama_options.options(text) == recorded


@pytest.mark.parametrize("option", ["--ctx_size", "--ctx-size"])
def test_llama_cpp_reads_underscores_as_dashes(site, second, option):
    """With a value that is none, it says so: it knew the option. One that it does not know it calls invalid."""
    second.assert_ok()
    code, text = site.execute("docker run --rm --network none %s %s many 2>&1" % (site.image, option))
    assert code != 0 and "error while handling argument \"--ctx-size\"" in text
    code, text = site.execute("docker run --rm --network none %s --no_such_option 2>&1" % site.image)
    assert code != 0 and "invalid argument: --no-such-option" in text


def test_without_the_grant_llama_cpp_locks_no_memory_and_goes_on(site, second):
    """Why load_mode mlock needs engine/container.py's grant. That it suffices is not shown here: this host is a container that may not raise limits itself."""
    second.assert_ok()
    model = site.execute("ls /srv/models/*/*.gguf | head -n 1")[1].strip()
    assert model.endswith(".gguf")
    words = container.hardened("bunker-locks") + ["--network", "none", "--volume", "%s:/models/m.gguf:ro" % model]
    server = "--model /models/m.gguf --load-mode mlock --n-gpu-layers 0 --ctx-size 256 --port 8080 --host 127.0.0.1"
    line = "timeout --kill-after=5 20 docker run %s %s %s 2>&1; docker rm --force bunker-locks >/dev/null 2>&1" % (" ".join(words), site.image, server)
    text = site.execute(line)[1]
    assert "failed to mlock" in text and "listening on" in text, text[-1000:]
