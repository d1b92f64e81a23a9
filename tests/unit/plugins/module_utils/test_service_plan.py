"""What a definition becomes on the command line."""
import shlex

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_plan

MODEL = {"name": "deepseek", "architecture": "deepseek2", "files": [{"name": "d-00001-of-00002.gguf"}, {"name": "d-00002-of-00002.gguf"}]}
IMAGE = {"id": "sha256:abc", "tag": "omni/llama-server:1"}
CPU = {
    "name": "executor", "model": "deepseek", "device": "cpu", "gpus": [], "gpu_layers": "auto", "tensor_split": "", "threads": "auto",
    "context": 8192, "batch": 512, "address": "127.0.0.1", "port": 8002, "memory": "8g", "extra_arguments": ["--no-mmap"], "start_timeout": 120, "sealed": True,
    "networks": [{"name": "omni-network", "address": "172.30.0.20", "aliases": ["qwen"]}],
}
GPU = dict(CPU, device="gpu", gpus=["GPU-b", "GPU-a"], gpu_layers="19", tensor_split="75,25", memory="")


def after(words, option):
    return [words[place + 1] for place, word in enumerate(words) if word == option]


def test_a_cpu_service_sees_no_gpu_and_takes_the_physical_cores():
    plan = service_plan.resolve(CPU, MODEL, 96, "/models", IMAGE, "nvidia.com/gpu")
    assert "CUDA_VISIBLE_DEVICES=" in after(plan["container_arguments"], "--env")
    assert after(plan["container_arguments"], "--device") == []
    assert after(plan["server_arguments"], "--n-gpu-layers") == ["0"]
    assert after(plan["server_arguments"], "--threads") == ["96"]


def test_a_gpu_service_gets_its_cards_by_uuid_in_the_order_given():
    plan = service_plan.resolve(GPU, MODEL, 96, "/models", IMAGE, "nvidia.com/gpu")
    assert after(plan["container_arguments"], "--device") == ["nvidia.com/gpu=GPU-b", "nvidia.com/gpu=GPU-a"]
    assert "CUDA_VISIBLE_DEVICES=GPU-b,GPU-a" in after(plan["container_arguments"], "--env")
    assert after(plan["server_arguments"], "--n-gpu-layers") == ["19"]
    assert after(plan["server_arguments"], "--tensor-split") == ["75,25"]


def test_cudas_kernel_cache_is_lent_to_gpu_services_alone():
    with_cache = service_plan.resolve(GPU, MODEL, 96, "/models", IMAGE, "nvidia.com/gpu", "/nvme/cuda_cache")["container_arguments"]
    assert "/nvme/cuda_cache:/cuda-cache" in after(with_cache, "--volume")
    assert "CUDA_CACHE_PATH=/cuda-cache" in after(with_cache, "--env")
    without = service_plan.resolve(GPU, MODEL, 96, "/models", IMAGE, "nvidia.com/gpu")["container_arguments"]
    assert not [word for word in without + service_plan.resolve(CPU, MODEL, 96, "/models", IMAGE, "k", "/c")["container_arguments"] if "/cuda-cache" in word]


def test_a_split_model_is_opened_by_its_first_shard():
    assert after(service_plan.server_arguments(CPU, MODEL, 2), "--model") == ["/models/d-00001-of-00002.gguf"]


def test_a_number_of_threads_wins_over_the_host():
    assert after(service_plan.server_arguments(dict(CPU, threads="7"), MODEL, 96), "--threads") == ["7"]


def test_the_container_is_hardened_and_ends_with_the_image():
    words = service_plan.container_arguments(CPU, "/models", "sha256:abc", "nvidia.com/gpu")
    assert words[-1] == "sha256:abc"
    assert after(words, "--cap-drop") == ["ALL"]
    assert after(words, "--security-opt") == ["no-new-privileges"]
    assert "--read-only" in words
    assert after(words, "--volume") == ["/models/deepseek:/models:ro"]
    assert after(words, "--network") == ["name=omni-network,ip=172.30.0.20,mac-address=02:42:ac:1e:00:14,alias=qwen"]
    assert after(words, "--memory") == ["8g"]
    assert after(words, "--publish") == ["127.0.0.1:8002:8002"]


@pytest.mark.parametrize("word", ["plain", "two words", "50%", "$HOME", 'a"b', "back\\slash", ""])
def test_systemd_reads_a_quoted_word_back(word):
    # systemd's own rules (systemd.service(5)): %% and $$ stand for themselves, double quotes as in C.
    read = shlex.split(service_plan.systemd_quote(word).replace("%%", "%").replace("$$", "$"))
    assert read == [word]


def test_no_port_is_published_unless_an_address_is_named():
    assert after(service_plan.container_arguments(dict(CPU, address=""), "/models", "i", "k"), "--publish") == []
    assert after(service_plan.container_arguments(CPU, "/models", "i", "k"), "--publish") == ["127.0.0.1:8002:8002"]


def test_a_sealed_service_asks_no_resolver_of_the_host_and_has_a_hardware_address_that_the_seal_knows():
    words = service_plan.container_arguments(CPU, "/models", "i", "k")
    assert after(words, "--dns") == ["127.0.0.1"]
    assert after(words, "--label") == ["protocol_omni.bunker.sealed=executor"]
    assert [word for word in after(words, "--network") if "mac-address=02:42:ac:1e:00:14" in word]
    unsealed = service_plan.container_arguments(dict(CPU, sealed=False), "/models", "i", "k")
    assert after(unsealed, "--dns") == [] and after(unsealed, "--label") == []


def test_the_servers_own_doors_are_shut():
    words = service_plan.server_arguments(CPU, MODEL, 2)
    assert {"--no-ui", "--no-slots", "--no-cors-credentials"} <= set(words)
    assert after(words, "--cors-origins") == ["none"]
