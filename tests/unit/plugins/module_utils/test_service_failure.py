"""Why a service did not start, in one sentence: by the log of this start, and by who holds its address."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_failure

# As journalctl --output cat prints them: systemd 257, Docker 29, llama.cpp b7200.
DOCKER = "docker: Error response from daemon: failed to set up container networking: Address already in use"
LOADER = "0.00.012.345 E llama_model_load: error loading model: missing tensor 'blk.3.attn_q.weight'"
LOG = ["Starting protocol-omni-oracle.service - llama-server oracle...", "oracle", "Started protocol-omni-oracle.service.", DOCKER, "",
       "Run 'docker run --help' for more information", "protocol-omni-oracle.service: Main process exited, code=exited, status=125/n/a",
       "protocol-omni-oracle.service: Failed with result 'exit-code'."]


@pytest.mark.parametrize("lines, cause", [
    (LOG, DOCKER),
    (["oracle does not start: the driver shows no GPU-1. nvidia-smi says: none", "protocol-omni-oracle.service: Control process exited, code=exited"],
     "oracle does not start: the driver shows no GPU-1. nvidia-smi says: none"),
    (["/srv/models/a.gguf is not served: it is not the file that was verified. Run site.yml"],
     "/srv/models/a.gguf is not served: it is not the file that was verified. Run site.yml"),
    (["load_model: loading", LOADER, "main: exiting due to model loading error", "Failed with result 'exit-code'."], LOADER),
    (["error: invalid argument: --no-such-option"], "error: invalid argument: --no-such-option"),
    (["load: loading", "clip_init: failed to load model '/models/mmproj.gguf': missing clip.projector_type", "Failed with result 'exit-code'."],
     "clip_init: failed to load model '/models/mmproj.gguf': missing clip.projector_type"),
    (["srv load_model: loading", "/build/llama.cpp:123: GGML_ASSERT(n_tokens <= n_batch) failed", "Failed with result 'exit-code'."],
     "/build/llama.cpp:123: GGML_ASSERT(n_tokens <= n_batch) failed"),
    (["failed to load draft: it goes on", LOADER], LOADER),
    (["main: HTTP server is listening", "srv  update: all slots are idle"], ""),
    ([], "")], ids=["the engine", "a missing card", "another file", "the model", "an option", "a projector", "an assertion", "an error before it",
                    "a run without a fault", "nothing was written"])
def test_the_line_that_says_why(lines, cause):
    assert service_failure.cause(lines) == cause


PLACES = [{"name": "omni-network", "address": "172.30.0.10"}, {"name": "internal_brain", "address": "172.31.0.10"}]


def container(name, ours=False, running=True, **networks):
    return {"name": name, "ours": ours, "running": running, "networks": {network.replace("_", "-"): address for network, address in networks.items()}}


def test_a_foreign_container_that_holds_its_address_is_named_with_the_command():
    assert service_failure.holders("oracle", PLACES, [container("hand-made", omni_network="172.30.0.10"), container("other", omni_network="172.30.0.11")]) == [
        "its address 172.30.0.10 on omni-network is held by the container hand-made, which is none of ours. Take it away: "
        "docker network disconnect omni-network hand-made"]


def test_a_service_of_ours_that_holds_its_address_is_named_too():
    (said,) = service_failure.holders("oracle", PLACES, [container("scribe", ours=True, omni_network="172.30.0.10")])
    assert said == ("its address 172.30.0.10 on omni-network is held by the service scribe. Give one of them another in bunker_services; "
                    "or stop it: systemctl stop protocol-omni-scribe")


def test_its_own_container_and_one_that_does_not_run_hold_nothing_of_it():
    assert service_failure.holders("oracle", PLACES, [container("oracle", True, omni_network="172.30.0.10"),
                                                      container("ended", running=False, omni_network="172.30.0.10"),
                                                      container("elsewhere", bridge="172.30.0.10")]) == []


def test_a_network_without_an_address_of_its_own_is_held_by_nobody():
    assert service_failure.holders("oracle", [{"name": "omni-network", "address": ""}], [container("x", omni_network="")]) == []
