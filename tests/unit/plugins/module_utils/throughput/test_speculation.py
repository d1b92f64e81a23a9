"""Speculative decoding is taken where it is faster for sure, and nowhere else."""
import pytest
from ansible_collections.protocol_omni.bunker.plugins.module_utils.throughput import speculation

WAYS = {"mtp": {"needs": "mtp", "arguments": []}, "draft": {"needs": "draft_model", "arguments": []}, "ngram": {"arguments": []}}


def answers(speeds, drafted=0, accepted=0, tokens=64):
    return [{"prompt": number % 4, "speed": float(speed), "tokens": tokens, "drafted": drafted, "accepted": accepted} for number, speed in enumerate(speeds)]


@pytest.mark.parametrize("metadata, draft, names", [
    ({}, "", ["none", "ngram"]),
    ({}, "small", ["none", "draft", "ngram"]),
    ({"general.architecture": "deepseek2", "deepseek2.nextn_predict_layers": 1}, "", ["none", "mtp", "ngram"]),
    ({"general.architecture": "deepseek2", "deepseek2.nextn_predict_layers": 0}, "", ["none", "ngram"])])
def test_what_a_model_and_an_inventory_allow(metadata, draft, names):
    assert speculation.possible(WAYS, metadata, draft) == names


def test_the_fastest_that_is_faster_for_sure():
    measured = {"ngram": (answers([130] * 12, 100, 60), answers([100] * 12)), "mtp": (answers([160] * 12, 100, 80), answers([100] * 12))}
    name, against = speculation.best(measured)
    assert name == "mtp" and against["mtp"]["ratio"] == pytest.approx(1.6) and against["mtp"]["acceptance"] == pytest.approx(0.8)
    assert against["ngram"]["faster"] and against["ngram"]["pairs"] == 12
    assert "mtp 1.60 times as fast (1.60 to 1.60), 80 % of drafted tokens accepted" in speculation.told(name, against)


@pytest.mark.parametrize("speeds", [[90] * 12, [100] * 12, [101] * 12, [80, 140] * 6])
def test_what_is_slower_or_not_surely_faster_stays_off(speeds):
    name, against = speculation.best({"ngram": (answers(speeds), answers([100] * 12))})
    assert name == "none" and against["ngram"]["ratio"] is not None and "speculation none" in speculation.told(name, against)


def test_pairs_are_of_the_same_prompt_whatever_each_prompt_gives():
    """Prompts differ by more than the ways do."""
    off = answers([10, 100, 50, 200] * 3)
    assert speculation.best({"ngram": (answers([12, 120, 60, 240] * 3), off)})[0] == "ngram"


def test_few_or_short_answers_prove_nothing():
    assert speculation.best({"ngram": (answers([200] * 5), answers([100] * 5))})[0] == "none"
    name, against = speculation.best({"ngram": (answers([200] * 12, tokens=7), answers([100] * 12))})
    assert name == "none" and against["ngram"]["pairs"] == 0 and "too few answers" in speculation.told(name, against)


def test_without_a_measurement_of_none_nothing_is_taken():
    assert speculation.best({}) == ("none", {})


def test_what_drafts_nothing_has_no_acceptance():
    assert speculation.compared(answers([100] * 12), answers([100] * 12))["acceptance"] is None
