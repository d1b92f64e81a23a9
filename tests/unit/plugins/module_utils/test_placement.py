"""Where weights lie: named placements, llama-fit-params' plans, and what they become on a command line."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import placement, service_plan

SERVICE = {"name": "oracle", "device": "gpu", "gpus": ["GPU-a", "GPU-b"], "gpu_layers": "auto", "tensor_split": "", "tensor_overrides": [], "split_mode": "",
           "load_mode": "", "placement": "auto", "placements": ["planned", "doctrine"], "context": 8192, "micro_batch": 512,
           "extra_arguments": []}
NAMED = {"planned": {}, "first_card": {"cards": 1}, "doctrine": {"gpu_layers": 19, "tensor_split": "75,25"},
         "experts_in_ram": {"gpu_layers": "999", "tensor_overrides": ["exps=CPU"]}, "all": {"cards": 3}, "shares": {"cards": 1, "tensor_split": "75,25"}}
# What llama-fit-params prints, in the form of its source (tools/fit-params/fit-params.cpp); the numbers are made up.
TWO_CARDS = r'-c 8192 -ngl 62 -ts 40,22 -ot "blk\.5\.ffn_(gate|up|gate_up|down).*=CPU,blk\.6\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU"' + "\n"


def named(name, **service):
    return placement.named(dict(SERVICE, **service), NAMED, name)


def test_named_placements():
    assert named("planned") == {"gpus": ["GPU-a", "GPU-b"], "gpu_layers": "auto", "tensor_split": "", "tensor_overrides": [], "split_mode": "", "load_mode": ""}
    assert named("first_card")["gpus"] == ["GPU-a"]
    assert (named("doctrine")["gpu_layers"], named("doctrine")["tensor_split"]) == ("19", "75,25")
    assert placement.is_planned(named("planned")) and not placement.is_planned(named("doctrine"))
    assert named("as_defined", gpu_layers="7", tensor_split="1,2")["gpu_layers"] == "7"


def test_shares_of_the_layers_are_by_card():
    assert placement.layer_shares(named("doctrine")) == {"GPU-a": 75.0, "GPU-b": 25.0}
    assert placement.layer_shares(named("planned")) == {}


@pytest.mark.parametrize("name, words", [
    ("gone", "there is no placement gone .*all, doctrine"), ("all", "placement all wants 3 cards, gpus names 2"),
    ("shares", "placement shares has tensor_split 75,25 for 1 card$")])
def test_what_a_service_cannot_have_is_refused_by_name(name, words):
    with pytest.raises(ValueError, match="service oracle: " + words):
        named(name)


@pytest.mark.parametrize("service, measured, name", [
    ({}, "", "planned"), ({}, "doctrine", "doctrine"), ({}, "no_longer_named", "planned"), ({"placement": "first_card"}, "doctrine", "first_card"),
    ({"gpu_layers": "19"}, "doctrine", "as_defined"), ({"gpu_layers": "19", "placement": "as_defined"}, "", "as_defined")])
def test_the_inventory_decides_then_the_measurement_then_the_first(service, measured, name):
    assert placement.chosen_name(dict(SERVICE, **service), NAMED, measured) == name


@pytest.mark.parametrize("service, measured, name", [
    ({"placements": ["doctrine", "planned", "first_card"]}, "", "planned"), ({}, "doctrine", "planned"),
    ({"placements": ["first_card", "planned"]}, "", "first_card")])
def test_with_a_card_less_those_that_want_it_are_left_out(service, measured, name):
    assert placement.chosen_name(dict(SERVICE, gpus=["GPU-b"], **service), NAMED, measured) == name


def test_where_the_cards_suffice_for_none_that_is_said():
    with pytest.raises(ValueError, match="service oracle: none of its placements .doctrine, all. suits 1 card$"):
        placement.chosen_name(dict(SERVICE, gpus=["GPU-b"], placements=["doctrine", "all"]), NAMED)


def test_a_plan_is_read_as_it_is_printed():
    found = placement.of_fit(named("planned"), "warning: something\n" + TWO_CARDS)
    assert found == {"gpus": ["GPU-a", "GPU-b"], "gpu_layers": "62", "tensor_split": "40,22", "split_mode": "", "load_mode": "", "tensor_overrides": [
        r"blk\.5\.ffn_(gate|up|gate_up|down)(\.weight|_(ch|)exps)=CPU", r"blk\.6\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU"]}


@pytest.mark.parametrize("tensor, where", [
    ("blk.5.ffn_up_exps.weight", "CPU"), ("blk.5.ffn_down_exps.weight", "CPU"), ("blk.5.ffn_gate.weight", "CPU"), ("blk.5.ffn_up_shexp.weight", ""),
    ("blk.5.ffn_gate_inp.weight", ""), ("blk.5.attn_output.weight", ""), ("blk.15.ffn_up_exps.weight", ""), ("blk.6.ffn_up_exps.weight", "CPU"),
    ("blk.6.ffn_up_shexp.weight", "")])
def test_what_every_token_reads_stays_on_the_card_of_a_layer_that_fits_in_part(tensor, where):
    assert placement.overridden(placement.of_fit(named("planned"), TWO_CARDS), tensor) == where


def test_how_it_is_loaded_is_the_placements_too():
    pinned = placement.of_fit(placement.named(SERVICE, {"pinned": {"load_mode": "none"}}, "pinned"), "-c 8192 -ngl 62 -ts 40,22\n")
    assert placement.server_words(pinned) == ["--n-gpu-layers", "62", "--tensor-split", "40,22", "--load-mode", "none"]


@pytest.mark.parametrize("cards", [4, 8])
def test_more_cards_are_only_more_data(cards):
    gpus = ["GPU-%d" % number for number in range(cards)]
    shares = ",".join(str(10 + number) for number in range(cards))
    found = placement.of_fit(named("planned", gpus=gpus), "-c 8192 -ngl 62 -ts %s\n" % shares)
    assert placement.server_words(found) == ["--n-gpu-layers", "62", "--tensor-split", shares]
    command = " ".join(placement.fit_command(dict(SERVICE, gpus=gpus), found, "/m", "m.gguf", "sha256:abc", "nvidia.com/gpu", [7168] * cards))
    assert "CUDA_VISIBLE_DEVICES=%s " % ",".join(gpus) in command and all("--device nvidia.com/gpu=%s " % gpu in command for gpu in gpus)
    assert named("all", gpus=gpus)["gpus"] == gpus[:3]


# Two lines of its log on two H200, whose last says of the second card that the plan keeps 134248 MiB free instead of 136000.
LOG = """0.03.081.439 I common_params_fit_impl:   - CUDA0 (NVIDIA H200):  3 layers ( 0 overflowing),  16721 MiB used, 125906 MiB free
0.02.071.180 I common_params_fit_impl:   - CUDA1 (NVIDIA H200): 15 layers,   2908 MiB used, 139718 MiB free
0.04.014.454 I common_params_fit_impl:   - CUDA1 (NVIDIA H200): 12 layers (11 overflowing),   8378 MiB used, 134248 MiB free
"""


@pytest.mark.parametrize("kept, short", [([121000, 136000], [0, 1752]), ([125906, 134248], [0, 0]), ([125907, 134249], [1, 1]), ([7, 7, 7], [0, 0, 0])])
def test_how_much_a_plan_keeps_too_little_is_read_from_its_log(kept, short):
    assert placement.short_of(LOG, kept) == short


def test_where_a_plan_keeps_too_little_free_another_one_is_made_that_keeps_more():
    asked = []

    def fit(_placement, kept):
        asked.append(kept)
        free = [7200, 5416 if len(asked) == 1 else 8000]
        return TWO_CARDS.replace("40,22", "%d,22" % (40 + len(asked))), "".join(
            "common_params_fit_impl:   - CUDA%d (A card): 9 layers, 1 MiB used, %d MiB free\n" % (number, size) for number, size in enumerate(free))
    assert placement.planned(named("planned"), 7, fit)["tensor_split"] == "42,22"
    assert asked == [[7168, 7168], [7168, 7168 + 1752]]


# Layers 5 to 8 of 3 GiB, a GiB a matrix; a plan for one card that has 6 and 7 in RAM, and 5 in part.
MATRICES = {(number, part): 1 << 30 for number in range(5, 9) for part in ("up", "gate", "down")}
ONE_CARD = r'-c 8192 -ngl 10 -ot "blk\.5\.ffn_(gate|gate_up|down).*=CPU,' + ",".join(
    r"blk\.%d\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU" % number for number in (6, 7)) + '"\n'


@pytest.mark.parametrize("others, where", [
    ([14.2], [(6, "down gate up"), (7, "down gate up")]), ([14.1], [(5, "down gate"), (6, "down gate up")]), ([9.5], [(5, "down")]), ([0], []),
    ([16.2], [(5, "down gate"), (6, "down gate up"), (7, "down gate up")]),
    ([11.2, 11.2], [(6, "down gate up"), (7, "down gate up")]), ([10.2, 11.2], [(5, "down gate"), (6, "down gate up")]),
    ([12.2, 11.2], [(5, "down"), (6, "down gate up"), (7, "down gate up")])])
def test_other_cards_take_the_experts_that_the_first_leaves_in_ram(others, where):
    """7 GiB are kept free, and 1.17 are for what it is computed with."""
    asked = []

    def fit(one, kept):
        asked.append((one["gpus"], kept))
        return ONE_CARD, ""
    cards = dict(zip(["GPU-a", "GPU-b", "GPU-c"], [96 << 30] + [int(size * (1 << 30)) for size in others]))
    place = placement.named(dict(SERVICE, gpus=list(cards)), {"over": {"others": "experts"}}, "over")
    found = placement.planned(place, 7, fit, cards, MATRICES)
    assert asked == [(["GPU-a"], [7168])]
    split = ",".join(["1"] + ["0"] * len(others))
    assert found["gpus"] == list(cards) and placement.server_words(found)[:4] == ["--n-gpu-layers", "10", "--tensor-split", split]
    buffers = {one: placement.overridden(found, "blk.%d.ffn_%s_exps.weight" % one) for one in sorted(MATRICES)}
    elsewhere = {}
    for (layer, part), buffer in buffers.items():
        if buffer.startswith("CUDA"):
            elsewhere.setdefault(layer, []).append(part)
    assert [(layer, " ".join(parts)) for layer, parts in elsewhere.items()] == where
    assert {buffers[5, "up"], *(buffers[8, part] for part in ("up", "gate", "down"))} == {""} and set(found) == set(placement.KEYS)
    for number, size in enumerate(others, 1):  # what each holds, and room for what it is computed with
        assert sum(MATRICES[one] for one, buffer in buffers.items() if buffer == "CUDA%d" % number) <= max(size - 8.17, 0) * (1 << 30)


def test_that_wants_a_second_card_and_is_a_plan_of_its_own():
    names = {"over": {"others": "experts"}, "planned": {}}
    assert placement.chosen_name(dict(SERVICE, gpus=["GPU-a"], placements=["over", "planned"]), names) == "planned"
    made_for = [placement.identity(SERVICE, placement.named(SERVICE, names, name), "i", "m", {}, 7) for name in names]
    assert made_for[0] != made_for[1]


def test_where_no_plan_keeps_it_that_is_said():
    log = "common_params_fit_impl:   - CUDA1 (A card): 9 layers, 1 MiB used, 7000 MiB free\n"
    with pytest.raises(ValueError, match="keeps 0, 168 MiB less free on the cards than the 7168"):
        placement.planned(named("planned"), 7, lambda _placement, kept: (TWO_CARDS, log))


def test_where_everything_fits_all_layers_are_on_the_cards():
    assert placement.of_fit(named("first_card"), "-c 8192 -ngl -1\n")["gpu_layers"] == "999"


@pytest.mark.parametrize("text, words", [("", "no plan: nothing"), ("error: no devices\n", "no plan: error: no devices"), ("-c 8192 -ngl\n", "not understood"),
                                         ("-c 8192 -ngl 9 -sm row\n", "not understood"), ("-c 8192 -ngl many\n", "not understood")])
def test_what_is_no_plan_is_none(text, words):
    with pytest.raises(ValueError, match=words):
        placement.of_fit(named("planned"), text)


def test_words_of_both_programs():
    found = placement.of_fit(named("planned"), TWO_CARDS)
    overrides = r"blk\.5\.ffn_(gate|up|gate_up|down)(\.weight|_(ch|)exps)=CPU%sblk\.6\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU"
    assert placement.server_words(found) == ["--n-gpu-layers", "62", "--tensor-split", "40,22", "--override-tensor", overrides % ","]
    assert placement.bench_words(found) == ["--n-gpu-layers", "62", "--tensor-split", "40/22", "--override-tensor", overrides % ";"]
    assert placement.server_words(named("planned")) == []


def test_it_is_planned_on_the_services_cards_with_its_context_and_nothing_else():
    words = " ".join(placement.fit_command(SERVICE, named("first_card"), "/nvme/models/m", "m-00001-of-00007.gguf", "sha256:abc", "nvidia.com/gpu", [7680]))
    for option in ("--network none", "--read-only", "--cap-drop ALL", "CUDA_VISIBLE_DEVICES=GPU-a ", "--device nvidia.com/gpu=GPU-a ",
                   "--entrypoint /opt/llama/llama-fit-params sha256:abc --model /models/m-00001-of-00007.gguf --ctx-size 8192 --ubatch-size 512 "
                   "--fit-target 7680 --verbosity 4"):
        assert option in words
    assert "GPU-b" not in words


@pytest.mark.parametrize("changed", [{"image": "b"}, {"model": "b"}, {"free": 6}, {"cards": {"GPU-a": 32 << 30, "GPU-b": 96 << 30}}])
def test_a_plan_is_for_what_it_was_made(changed):
    given = {"image": "a", "model": "a", "free": 7, "cards": {"GPU-a": 96 << 30, "GPU-b": 32 << 30}}
    before = placement.identity(SERVICE, named("planned"), **given)
    assert before == placement.identity(dict(SERVICE, name="other"), named("planned"), **given)
    assert before != placement.identity(SERVICE, named("planned"), **dict(given, **changed))
    assert before != placement.identity(dict(SERVICE, context=4096), named("planned"), **given)
    assert before != placement.identity(SERVICE, named("first_card"), **given)
    assert before != placement.identity(dict(SERVICE, gpus=["GPU-b", "GPU-a"]), named("planned", gpus=["GPU-b", "GPU-a"]), **given)


MODEL = {"general.architecture": "deepseek2", "deepseek2.block_count": 9, "deepseek2.leading_dense_block_count": 1, "deepseek2.expert_count": 256}


def test_a_rung_moves_experts_that_the_placement_has_left_on_a_card():
    placed = dict(SERVICE, **placement.of_fit(named("planned"), TWO_CARDS.replace("62", "10")))
    assert service_plan.expert_layers(placed, MODEL) == [1, 2, 3, 4, 7, 8]  # 5 and 6 are in RAM, 5 in part
    words = service_plan.rung_arguments(placed, {"expert_layers_in_ram": 5}, MODEL)
    overrides = words[words.index("--override-tensor") + 1].split(",")
    assert overrides[:2] == placed["tensor_overrides"] and "--n-cpu-moe" not in words
    assert overrides[2:] == [r"blk\.%d\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU" % number for number in (1, 2, 3, 4, 7)]
    assert all(placement.overridden({"tensor_overrides": overrides}, "blk.%d.ffn_up_exps.weight" % number) == "CPU" for number in range(1, 8))
    assert not placement.overridden({"tensor_overrides": overrides}, "blk.8.ffn_up_exps.weight")


def test_without_overrides_a_rung_says_it_in_llama_cpps_own_words():
    words = service_plan.rung_arguments(dict(SERVICE, gpu_layers="19"), {"expert_layers_in_ram": 2}, MODEL)
    assert words[-2:] == ["--n-cpu-moe", "3"]


def test_the_definition_itself_has_its_overrides_once():
    placed = dict(SERVICE, **placement.of_fit(named("planned"), TWO_CARDS))
    words = service_plan.rung_arguments(placed, {}, {}) + placement.server_words(dict(placed, tensor_overrides=[]))
    assert words.count("--override-tensor") == 1 and words[-4:] == ["--n-gpu-layers", "62", "--tensor-split", "40,22"]


@pytest.mark.parametrize("besides, first, others", [(None, 7168, 7168), ({"first": 0, "each": 0}, 7168, 7168), ({"first": 600 << 20, "each": 0}, 7768, 7168),
                                                    ({"first": 1, "each": 10 << 20}, 7179, 7178)])
def test_room_is_kept_for_a_projector_on_the_first_card_and_for_adapters_on_each(besides, first, others):
    asked = []

    def fit(_placement, kept):
        asked.append(kept)
        return "-c 8192 -ngl -1\n", ""
    placement.planned(named("planned"), 7, fit, besides=besides)
    assert asked == [[first, others]]


def test_experts_on_other_cards_leave_them_room_for_adapters():
    asked = []

    def fit(one, kept):
        asked.append((one["gpus"], kept))
        return ONE_CARD, ""
    place = placement.named(dict(SERVICE, gpus=["GPU-a", "GPU-b"]), {"over": {"others": "experts"}}, "over")
    cards = {"GPU-a": 96 << 30, "GPU-b": int(14.2 * (1 << 30))}
    with_all = placement.planned(place, 7, fit, cards, MATRICES, {"first": 1 << 30, "each": 0})
    assert asked == [(["GPU-a"], [8192])]
    fewer = placement.planned(place, 7, fit, cards, MATRICES, {"first": 0, "each": 1 << 30})
    on_second = [sum("CUDA1" in one for one in found["tensor_overrides"]) for found in (with_all, fewer)]
    assert on_second[0] == 2 and with_all["tensor_overrides"] != fewer["tensor_overrides"]
