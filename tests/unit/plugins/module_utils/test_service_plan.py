"""What a definition becomes on the command line."""
import shlex

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import service_plan

MODEL = {"name": "deepseek", "architecture": "deepseek2", "files": [{"name": "d-00001-of-00002.gguf"}, {"name": "d-00002-of-00002.gguf"}]}
IMAGE = {"id": "sha256:abc", "tag": "omni/llama-server:1"}
CPU = {
    "name": "executor", "model": "deepseek", "device": "cpu", "gpus": [], "gpu_layers": "auto", "tensor_split": "", "tensor_overrides": [], "split_mode": "",
    "load_mode": "", "draft_model": "", "threads": "auto",
    "context": 8192, "batch": 512, "micro_batch": 512, "ladder": [], "address": "127.0.0.1", "port": 8002, "memory": "8g",
    "extra_arguments": ["--no-mmap"], "start_timeout": 120, "sealed": True,
    "networks": [{"name": "omni-network", "address": "172.30.0.20", "aliases": ["qwen"]}],
}
TUNING = {"threads": 96, "batch": 512, "cpuset": "", "mems": "", "arguments": []}
GPU = dict(CPU, device="gpu", gpus=["GPU-b", "GPU-a"], gpu_layers="19", tensor_split="75,25", memory="")


def after(words, option):
    return [words[place + 1] for place, word in enumerate(words) if word == option]


def test_a_cpu_service_sees_no_gpu_and_takes_the_physical_cores():
    plan = service_plan.resolve(CPU, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu")
    assert "CUDA_VISIBLE_DEVICES=" in after(plan["container_arguments"], "--env")
    assert after(plan["container_arguments"], "--device") == []
    assert after(plan["server_arguments"], "--n-gpu-layers") == ["0"]
    assert after(plan["server_arguments"], "--threads") == ["96"]


def test_a_gpu_service_gets_its_cards_by_uuid_in_the_order_given():
    plan = service_plan.resolve(GPU, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu")
    assert after(plan["container_arguments"], "--device") == ["nvidia.com/gpu=GPU-b", "nvidia.com/gpu=GPU-a"]
    assert "CUDA_VISIBLE_DEVICES=GPU-b,GPU-a" in after(plan["container_arguments"], "--env")
    assert after(plan["server_arguments"], "--n-gpu-layers") == ["19"]
    assert after(plan["server_arguments"], "--tensor-split") == ["75,25"]


def test_cudas_kernel_cache_is_lent_to_gpu_services_alone():
    with_cache = service_plan.resolve(GPU, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu", "/nvme/cuda_cache")["container_arguments"]
    assert "/nvme/cuda_cache:/cuda-cache" in after(with_cache, "--volume")
    assert "CUDA_CACHE_PATH=/cuda-cache" in after(with_cache, "--env")
    without = service_plan.resolve(GPU, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu")["container_arguments"]
    on_cpu = service_plan.resolve(CPU, MODEL, TUNING, "/models", IMAGE, "k", "/c")["container_arguments"]
    assert not [word for word in without + on_cpu if "/cuda-cache" in word]


def test_a_split_model_is_opened_by_its_first_shard():
    assert after(service_plan.server_arguments(CPU, MODEL, TUNING), "--model") == ["/models/d-00001-of-00002.gguf"]


def test_a_service_runs_as_it_was_tuned():
    tuning = {"threads": 48, "batch": 1024, "cpuset": "0-47", "mems": "0", "arguments": ["--cpu-mask", "0xff", "--cpu-strict", "1"]}
    plan = service_plan.resolve(CPU, MODEL, tuning, "/models", IMAGE, "nvidia.com/gpu")
    server, container = plan["server_arguments"], plan["container_arguments"]
    assert [after(server, option) for option in ("--threads", "--batch-size", "--cpu-mask")] == [["48"], ["1024"], ["0xff"]]
    assert (after(container, "--cpuset-cpus"), after(container, "--cpuset-mems")) == (["0-47"], ["0"])
    anywhere = service_plan.resolve(CPU, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu")["container_arguments"]
    assert after(anywhere, "--cpuset-cpus") == after(anywhere, "--cpuset-mems") == []


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


@pytest.mark.parametrize("service", [CPU, GPU])
@pytest.mark.parametrize("mode, locked", [("", []), ("none", []), ("mlock", ["memlock=-1:-1"]), ("mmap+mlock", ["memlock=-1:-1"])])
def test_a_load_mode_is_told_and_what_it_locks_may_be_locked(service, mode, locked):
    plan = service_plan.resolve(dict(service, load_mode=mode), MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu")
    assert after(plan["server_arguments"], "--load-mode") == ([mode] if mode else [])
    assert after(plan["container_arguments"], "--ulimit") == locked


@pytest.mark.parametrize("word", ["plain", "two words", "50%", "$HOME", 'a"b', "back\\slash", ""])
def test_systemd_reads_a_quoted_word_back(word):
    # systemd's own rules (systemd.service(5)): %% and $$ stand for themselves, double quotes as in C.
    quoted = service_plan.systemd_quote(word)
    assert shlex.split(quoted.replace("%%", "%").replace("$$", "$")) == [word]
    # A single one would be a specifier or a variable.
    assert not set("%$") & set(quoted.replace("%%", "").replace("$$", ""))


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
    words = service_plan.server_arguments(CPU, MODEL, TUNING)
    assert {"--no-ui", "--no-slots", "--no-cors-credentials"} <= set(words)
    assert after(words, "--cors-origins") == ["none"]


PLANS = {"kv_to_ram": {"kv_cache": "ram"}, "small": {"context": 4096, "micro_batch": 1024}, "experts": {"expert_layers_in_ram": 2}}
# DeepSeek-V3: 61 layers, the first three dense (its config.json).
DEEPSEEK = {"general.architecture": "deepseek2", "deepseek2.block_count": 61, "deepseek2.leading_dense_block_count": 3, "deepseek2.expert_count": 256}
LADDERED = dict(GPU, ladder=["kv_to_ram", "small", "experts"])


def test_each_rung_is_a_complete_plan():
    rungs = service_plan.ladder(LADDERED, PLANS, DEEPSEEK)
    assert [(rung["name"], rung["arguments"]) for rung in rungs] == [
        ("inventory", ["--ctx-size", "8192", "--ubatch-size", "512"]),
        ("kv_to_ram", ["--ctx-size", "8192", "--ubatch-size", "512", "--no-kv-offload"]),
        ("small", ["--ctx-size", "4096", "--ubatch-size", "512"]),  # never more than the definition has
        # With 19 of 61 layers and the output on GPUs, the first layer there is number 43: experts of 43 and 44 stay in RAM, as those before them do.
        ("experts", ["--ctx-size", "8192", "--ubatch-size", "512", "--n-cpu-moe", "45"]),
    ]


def test_a_service_runs_at_the_rung_it_is_given():
    plan = service_plan.resolve(LADDERED, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu", plans=PLANS, metadata=DEEPSEEK, rung=2)
    assert after(plan["server_arguments"], "--ctx-size") == ["4096"] and plan["rung"] == 2
    assert after(service_plan.server_arguments(GPU, MODEL, TUNING), "--ctx-size") == ["8192"]


def test_all_layers_on_the_gpu_leave_the_dense_ones_out():
    assert service_plan.expert_layers(dict(GPU, gpu_layers="99"), DEEPSEEK) == list(range(3, 61))


@pytest.mark.parametrize("service, metadata, rung, message", [
    (dict(LADDERED, ladder=["else"]), DEEPSEEK, 0, "its ladder names else, which inference_service_plans has not"),
    (LADDERED, DEEPSEEK, 4, "has the rungs 0 to 3, not 4"),
    (LADDERED, {"general.architecture": "llama", "llama.block_count": 30}, 3, "deepseek has no layers of experts on a GPU, so there is no rung 3"),
    (dict(LADDERED, gpu_layers="0"), DEEPSEEK, 3, "no layers of experts"),
])
def test_a_rung_that_cannot_be_is_refused(service, metadata, rung, message):
    with pytest.raises(ValueError, match=message):
        service_plan.resolve(service, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu", plans=PLANS, metadata=metadata, rung=rung)


BERT = {"architecture": "bert", "pooling": None}
EQUIPPED = dict(MODEL, files=[{"name": "mmproj.gguf", "role": "projector"}, *MODEL["files"], {"name": "m.jinja", "role": "chat_template"},
                              {"name": "law.gguf", "role": "adapter", "scale": 0.5}])


def test_a_models_other_files_are_told_and_lie_in_the_one_folder_that_is_mounted_read_only():
    plan = service_plan.resolve(CPU, EQUIPPED, TUNING, "/models", IMAGE, "nvidia.com/gpu")
    words = plan["server_arguments"]
    assert after(words, "--model") == ["/models/d-00001-of-00002.gguf"] and after(words, "--mmproj") == ["/models/mmproj.gguf"]
    assert after(words, "--chat-template-file") == ["/models/m.jinja"] and after(words, "--lora-scaled") == ["/models/law.gguf:0.5"]
    assert after(plan["container_arguments"], "--volume") == ["/models/deepseek:/models:ro"]


@pytest.mark.parametrize("kind, facts, words", [
    ("embeddings", BERT, ["--embeddings", "--pooling", "mean"]), ("reranking", BERT, ["--reranking"]), ("chat", {"architecture": "llama", "pooling": None}, []),
    ("embeddings", None, ["--embeddings"])])
def test_a_kind_has_its_words(kind, facts, words):
    found = service_plan.resolve(dict(CPU, kind=kind), MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu", facts=facts)["server_arguments"]
    plain = service_plan.resolve(CPU, MODEL, TUNING, "/models", IMAGE, "nvidia.com/gpu")["server_arguments"]
    assert [word for word in found if word not in plain] == words
