"""What each rung would leave."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils.vram_watch import decision, forecast

GIB = 2 ** 30
A, B = "GPU-a", "GPU-b"


def test_a_rung_that_ran_is_known_by_measurement_and_the_others_by_what_they_free():
    found = forecast.needs({0: {A: 90 * GIB, B: 30 * GIB}, 2: {A: 80 * GIB, B: 20 * GIB}}, [0, 4 * GIB, 8 * GIB, 12 * GIB, None])
    assert found == [{A: 90 * GIB, B: 30 * GIB},
                     {A: 87 * GIB, B: 29 * GIB},           # 4 GiB less than at rung 0, three quarters of it on the first card
                     {A: 80 * GIB, B: 20 * GIB},           # measured, not predicted
                     {A: int(76.8 * GIB) + 1, B: int(19.2 * GIB) + 1},  # 4 GiB less than at rung 2
                     None]


def test_experts_of_the_first_layers_are_freed_on_the_card_that_holds_these():
    found = forecast.needs({0: {A: 90 * GIB, B: 30 * GIB}}, [0, 9 * GIB], [0, 5 * GIB], A)
    assert found[1] == {A: 82 * GIB, B: 29 * GIB}  # 5 GiB of experts, and 4 GiB shared as 3 to 1
    assert forecast.needs({1: {A: 82 * GIB, B: 29 * GIB}}, [0, 9 * GIB], [0, 5 * GIB], A)[0][A] > 89 * GIB


def test_a_card_with_experts_alone_is_relieved_by_no_rung_and_layers_by_their_shares():
    learned, relief, experts = {0: {A: 90 * GIB, B: 30 * GIB}}, [0, 9 * GIB], [0, 5 * GIB]
    assert forecast.needs(learned, relief, experts, A, {A: 1.0, B: 0.0})[1] == {A: 81 * GIB, B: 30 * GIB}
    assert forecast.needs(learned, relief, experts, A, {A: 0.5, B: 1.5})[1] == {A: 84 * GIB, B: 27 * GIB}
    assert forecast.needs(learned, relief, experts, A, {})[1] == forecast.needs(learned, relief, experts, A)[1]


def test_nothing_is_known_before_the_first_measurement():
    assert forecast.needs({}, [0, GIB]) == [None, None]
    assert forecast.headrooms({A: GIB}, {}, [None, None]) == (None, None)


def test_headroom_is_that_of_the_card_with_least():
    wanted = [{A: 90 * GIB, B: 30 * GIB}, {A: 60 * GIB, B: 20 * GIB}, None]
    assert forecast.headrooms({A: 2 * GIB, B: 1 * GIB}, {A: 90 * GIB, B: 30 * GIB}, wanted) == (1 * GIB, 11 * GIB, None)
    # Dead, it holds nothing: what is free now must suffice for all of it.
    assert forecast.headrooms({A: 92 * GIB, B: 29 * GIB}, {}, wanted) == (-1 * GIB, 9 * GIB, None)
    assert forecast.headrooms({}, {}, wanted) == (None, None, None)


def test_a_rung_that_wants_more_ram_than_there_is_cannot_be_taken():
    ladder = [{"arguments": []}, {"arguments": []}, {"arguments": None}]
    assert dict(forecast.barred(ladder, [0, 5 * GIB, 0], 0, 12 * GIB, 8 * GIB)) == {
        1: "it wants 5.4 GB of RAM and 12.9 are available", 2: "the model has no layers of experts on a GPU"}
    assert dict(forecast.barred(ladder[:2], [0, 5 * GIB], 0, 14 * GIB, 8 * GIB)) == {}
    assert dict(forecast.barred(ladder[:2], [0, 5 * GIB], 1, GIB, 8 * GIB)) == {}  # taken already


def test_what_is_barred_is_not_chosen_and_that_is_said():
    seen = decision.Observation(time=0, rung=0, headroom=GIB, predicted=(GIB, 20 * GIB, 10 * GIB), barred=((1, "no RAM"),))
    assert decision.choose(seen, decision.Limits()) == (2, ((1, "no RAM"),))
