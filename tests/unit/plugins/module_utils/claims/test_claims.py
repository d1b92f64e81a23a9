"""A claim can hold, fail or not apply; what nobody observed fails."""
import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import claims

ENTRY = {"sentence": "The image is small.", "role": "golden_image"}


@pytest.mark.parametrize("result, status", [
    ({"expected": "900", "observed": "800", "holds": True}, "holds"),
    ({"expected": "900", "observed": "1000", "holds": False}, "fails"),
    ({"does_not_apply": "no GPU here"}, "does not apply"),
])
def test_a_result_has_one_of_three_statuses(result, status):
    assert claims.judge("image.size", ENTRY, result)["status"] == status


@pytest.mark.parametrize("result", [
    {},
    {"expected": "900", "observed": "800"},
    {"expected": "900", "observed": "800", "holds": "True"},
    {"holds": True},
    {"expected": "900", "holds": True},
    {"expected": "900", "observed": "800", "holds": True, "does_not_apply": "both"},
])
def test_a_result_that_says_nothing_is_refused(result):
    with pytest.raises(ValueError, match="image.size"):
        claims.judge("image.size", ENTRY, result)


def test_service_claims_are_owed_once_a_service():
    assert list(claims.expand({"SERVICE.answers": ENTRY, "image.size": ENTRY}, ["oracle", "executor"])) == [
        "oracle.answers", "executor.answers", "image.size"]


def test_an_owed_claim_that_nobody_observed_fails_with_the_reason():
    report = claims.complete({}, {"image.size": ENTRY}, {"golden_image": "the engine is silent"})
    assert report[0]["status"] == "fails"
    assert "the engine is silent" in report[0]["observed"]


def test_a_row_that_nobody_owes_is_left_out():
    row = claims.judge("image.size", ENTRY, {"expected": "900", "observed": "800", "holds": True})
    assert claims.complete({"image.size": row, "old.claim": row}, {"image.size": ENTRY}) == [row]


CATALOGUE = {"SERVICE.answers": dict(ENTRY, role="inference_service"), "SERVICE.model": dict(ENTRY, role="inference_service"), "image.size": ENTRY,
             "image.user": ENTRY}


def test_a_dead_service_has_its_cause_once_and_its_other_claims_point_there():
    owed = claims.expand(CATALOGUE, ["oracle", "executor"])
    good = claims.judge("executor.answers", owed["executor.answers"], {"expected": "Paris", "observed": "Paris", "holds": True})
    report = {row["id"]: row for row in claims.complete({"executor.answers": good}, owed, {
        "inference_service oracle": "it is dead", "inference_service executor": "it died meanwhile", "golden_image": "the engine is silent"})}
    assert {name: (row["status"], row["observed"], row.get("see", "")) for name, row in report.items()} == {
        "oracle.answers": ("fails", "not observed: it is dead", ""), "oracle.model": ("fails", "not observed: see oracle.answers", "oracle.answers"),
        "executor.answers": ("holds", "Paris", ""), "executor.model": ("fails", "not observed: it died meanwhile", ""),
        "image.size": ("fails", "not observed: the engine is silent", ""), "image.user": ("fails", "not observed: see image.size", "image.size")}


def test_claims_that_nobody_reported_are_told_as_such_one_a_role():
    report = claims.complete({}, claims.expand(CATALOGUE, ["oracle"]), {})
    assert [row["observed"] for row in report] == ["not observed: no role reported it", "not observed: see oracle.answers",
                                                   "not observed: no role reported it", "not observed: see image.size"]
