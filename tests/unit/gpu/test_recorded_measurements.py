"""What was measured on cards keeps what is claimed of it, and the documents say what was measured: a new record that does not is noticed here."""
import json
import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
RESULTS = ROOT / "tests" / "gpu" / "results"
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
OMNI_PRIME = yaml.safe_load((ROOT / "inventory" / "omni_prime" / "group_vars" / "all" / "bunker.yml").read_text(encoding="utf-8"))


def record(name):
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def in_turns(name):
    """Servers by name, each with its ratios to the first of them."""
    found = record(name)["in_turns"]
    assert found["rounds"] >= 30
    first = next(iter(found["servers"]))
    return {server: dict(one, ratios=one["to " + first]) for server, one in found["servers"].items()}


@pytest.mark.parametrize("what, least", [("generation", 2.0), ("prompt", 1.3)])
def test_the_plan_is_faster_than_whole_layers_in_the_same_vram(what, least):
    servers = in_turns("placement_one_card.json")
    assert next(iter(servers)).startswith("doctrine")
    for name in ("planned", "pinned"):
        assert servers[name]["ratios"][what]["interval"][0] >= least, name


def test_none_of_the_three_best_others_is_three_percent_better_in_turns_and_the_document_says_how_many_were_not_compared_so():
    searched = record("placement_search.json")
    others = [one["generation"] for one in searched["measured"] if " layers, by " in one["name"] and one["within_budget"]]
    plan = next(one["generation"] for one in searched["measured"] if one["name"] == "planned")
    servers = in_turns("placement_search.json")
    assert next(iter(servers)) == "planned"
    assert max(one["ratios"]["generation"]["median"] for one in servers.values()) <= 1.03
    numbers = dict(enumerate("zero one two three four five six seven eight nine ten eleven twelve".split()))
    text = " ".join(PERFORMANCE.split())
    assert "**None of the %s best other placements was more than 3 %% better in turns.**" % numbers[len(servers) - 1] in text
    assert "%s others were measured, once each" % numbers[len(others)].capitalize() in text
    assert "the best had %.1f tok/s, the plan %.1f" % (max(others), plan) in text
    assert "The other %s were not compared in turns." % numbers[len(others) - len(servers) + 1] in text


def test_the_document_gives_the_dates_of_its_records():
    dates = {}
    for path in RESULTS.glob("placement_*.json"):
        dates.setdefault(len(record(path.name)["cards"]), set()).add(record(path.name)["provenance"]["date"])
    assert {cards: sorted(found) for cards, found in dates.items()} == {1: ["2026-11-26"], 2: ["2026-11-26"], 4: ["2026-11-26", "2026-11-27"]}
    assert "One card and two on 2026-11-26, four on 2026-11-26 and 27;" in PERFORMANCE


def test_the_default_on_two_cards_is_within_three_percent_of_the_best_and_of_its_budget():
    servers, measured = in_turns("placement_two_cards.json"), record("placement_two_cards.json")
    oracle = next(service for service in OMNI_PRIME["bunker_services"] if service["name"] == "oracle")
    default = oracle["placements"][0]
    assert servers[default]["generation"] >= 0.97 * max(one["generation"] for one in servers.values())
    assert all(used <= budget for used, budget in zip(servers[default]["vram_mib"], measured["budget_mib"]))
    held = {one["name"]: one["generation"] for one in measured["measured"] if one["within_budget"]}
    assert held[default] == max(held.values())  # of every plan that keeps the budget, one after the other


@pytest.mark.parametrize("name, servers", [
    ("placement_one_card.json", ["planned", "pinned"]), ("placement_two_cards.json", ["first_card", "experts_over_cards"]),
    ("placement_four_cards.json", ["first_card", "experts_over_cards"]), ("placement_four_cards_filled.json", ["experts_over_cards"])])
def test_the_document_has_the_ratios_of_the_record(name, servers):
    ratios = [in_turns(name)[server]["ratios"]["generation"] for server in servers]
    assert [ratio for ratio in ratios if "%.2f** (%.2f to %.2f)" % (ratio["median"], *ratio["interval"]) not in PERFORMANCE] == []


def test_on_four_cards_experts_over_cards_is_the_best_and_in_its_budget():
    servers, measured = in_turns("placement_four_cards_filled.json"), record("placement_four_cards_filled.json")
    assert len(measured["cards"]) == 4 and servers["experts_over_cards"]["ratios"]["generation"]["interval"][0] > 1
    assert in_turns("placement_four_cards.json")["first_card"]["ratios"]["generation"]["interval"][1] < 1
    assert all(one["within_budget"] for one in measured["measured"])


def test_cards_by_uuid_were_what_was_said_of_them():
    measured = record("cards_by_uuid.json")
    assert measured["right"] == measured["of"] == len(measured["cases"])
    refused = [case["case"] for case in measured["cases"] if case["case"].startswith("the unit") and case["found"] != "starts"]
    assert len([case for case in refused if case.endswith("hidden")]) == 4 and len([case for case in refused if "no host has" in case]) == 2


def test_the_watcher_stepped_down_before_anything_failed_in_nine_of_ten_runs():
    runs = record("vram_gap.json")["gap"]["rows"]
    assert len(runs) == 10
    in_time = [run for run in runs if run["stepped"] and run["completed"] and run["server_exits"] == 0 and run["oom_lines"] == 0 and run["refused"] == 0]
    assert len(in_time) >= 9 and all(run["in_time"] for run in in_time)


def test_the_requests_that_failed_meanwhile_are_told_where_the_runs_are():
    runs = record("vram_gap.json")["gap"]["rows"]
    lost = [run["failed"] for run in runs if run["failed"]]
    sentence = "in %d of %d runs, 2.2 s without service; %d of %d requests failed, in %d of the runs" % (
        sum(run["in_time"] for run in runs), len(runs), sum(lost), sum(run["requests"] for run in runs), len(lost))
    assert sentence in (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
    assert "%d of %d,\nin five of the ten runs" % (sum(lost), sum(run["requests"] for run in runs)) in (
        ROOT / "docs" / "contingencies.md").read_text(encoding="utf-8") and len(lost) == 5


YOUNGER = {"driver.next_boot", "pool.address"}  # claims that the record is too old to know


def test_the_claims_on_a_card_are_those_that_are_expected_there():
    expected = json.loads((ROOT / "tests" / "gpu" / "site" / "expected_claims.json").read_text(encoding="utf-8"))
    seen = record("site_built_there.json")["steps"]["claims"]["claims"]
    assert {name: status for name, (status, _said) in seen.items()} == {name: status for name, status in expected.items() if name in seen}
    assert set(seen) <= set(expected) and set(expected) - set(seen) <= YOUNGER
    # Nothing of the card is passed over there but what that machine truly lacks, and it says why.
    assert {name for name, status in expected.items() if status == "does not apply" and name.startswith(("driver.", "toolkit.", "oracle.", "vram_watch."))} == {
        "driver.held", "driver.next_boot", "oracle.memory", "oracle.generation_speed", "oracle.prompt_speed"}
    assert {name for name, status in expected.items() if status == "fails"} == {"driver.persistence"}
    assert [name for name, (status, said) in seen.items() if status == "does not apply" and not said] == []


def test_the_page_of_the_card_says_what_its_record_says():
    found, page = record("site.json")["steps"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    statuses = [status for status, _said in record("site_built_there.json")["steps"]["claims"]["claims"].values()]
    assert "%d hold, %d fails, %d do not apply" % tuple(statuses.count(status) for status in ("holds", "fails", "does not apply")) in page
    card, processor = (found["speed"][name]["generation"] for name in ("oracle", "executor"))
    assert "%.0f to %.0f tok/s on the card, %.0f to %.0f tok/s on the CPU" % (card[0], card[-1], processor[0], processor[-1]) in page
    shadow = found["shadowed"]
    assert shadow["there"]["claim"]["status"] == "fails" and shadow["library"] in shadow["there"]["claim"]["observed"]
    assert "on the CPU, at %.0f tok/s" % shadow["there"]["answer"]["generation"] in page
    assert "at %.0f tok/s again" % shadow["gone"]["answer"]["generation"] in page
    assert found["again"]["changed"] == 0 and "in %.0f s" % found["again"]["seconds"] in page
    faults = record("site_load_and_faults.json")["steps"]["faults"]["faults"]
    for name in ("the server killed", "the engine killed"):
        assert "| %s | answers again after %.0f s" % (name, faults[name]["serves_after"]) in page
    for row, name in (("`nvidia-smi` hangs", "nvidia-smi hangs"), ("a CDI specification of another card", "a CDI specification of another card"),
                      ("a CDI specification of another driver's libraries", "a CDI specification of another driver")):
        assert "serves %.0f s after it" % faults[name]["serves_after"] in next(line for line in page.splitlines() if line.startswith("| %s |" % row))
    for name, gave in (("the server killed", "gave %d meanwhile"), ("nvidia-smi hangs", "the Executor gave %d |"),
                       ("a CDI specification of another card", "gave %d |"), ("a CDI specification of another driver", "gave %d |")):
        assert gave % faults[name]["clients"]["answered_by"]["executor"] in page


def test_the_page_of_the_card_says_what_both_services_did_at_once():
    found, page = record("site_load_and_faults.json")["steps"]["together"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    for name, row in (("oracle", "| the Oracle | "), ("executor", "| the Executor | ")):
        alone, both = found["alone"][name], found["both"][name]
        assert row + "%.0f tok/s an answer, alone %.0f; %.0f tok/s in all, alone %.0f; longest pause %.1f s" % (
            both["generation"], alone["generation"], both["tokens_per_second"], alone["tokens_per_second"], both["longest_pause_s"]) in page
        assert both["failed"] == [] and both["answered_by"] == {name: both["requests"]}
    assert "none of %d requests" % sum(one["requests"] for one in found["both"].values()) in page


def test_the_page_of_the_card_says_what_an_image_for_another_family_did():
    found, page = record("site_load_and_faults.json")["steps"]["other_family"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    assert found["preflight"]["failures"] == found["gate"]["failures"] == 1 and found["preflight"]["changed"] == found["gate"]["changed"] == 0
    assert "found 120; needed machine code for compute capability 9.0" in found["preflight"]["end"][0]
    assert "The image was not tagged." in found["gate"]["end"][0]
    assert found["after_the_gate"] == {"alive": True, "image_is_the_proven_one": True}
    assert found["forced"]["states"].count("active") == 3 and found["forced"]["states"][-1] == "failed"
    assert "%d claims of the service fail by one cause" % len(found["claims"]) in page and "serves again after %.1f s" % found["back"]["serves_after"] in page


def test_the_page_of_the_card_says_what_was_measured_of_a_large_model():
    found, page = record("site.json")["steps"]["placements"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    turns = found["in_turns"]
    assert "%.1f and %.1f tok/s" % (turns["service"]["generation"], turns["native"]["generation"]) in page
    for name, sentence in (("native", "the process has %.2f of the container's generation (%.2f to %.2f) and %.2f of its prompts (%.2f to %.2f)"),
                           ("doctrine", "%.2f of that generation (%.2f to %.2f), %.2f of the prompts (%.2f to %.2f)")):
        ratios = turns[name]["to service"]
        assert ratios["generation"]["pairs"] == 30
        assert sentence % (ratios["generation"]["median"], *ratios["generation"]["interval"], ratios["prompt"]["median"], *ratios["prompt"]["interval"]) in page
    assert "%.1f tok/s: " % turns["doctrine"]["generation"] in page
    assert found["restart"]["same_words"] and "serves again after %.1f s" % found["restart"]["serves_after"] in page


def test_the_page_of_the_card_says_how_the_gap_closed():
    found, page = record("site.json")["steps"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    rows = found["gap"]["rows"]
    assert "%d requests, none failed" % sum(row["clients"]["requests"] for row in rows) in page
    assert [row["run"] for row in rows if row["clients"]["failed"] or row["refused"]] == []
    assert "%d MiB (%d), %d (%d), %d (%d), %d (%d)" % tuple(row[key] for row in rows for key in ("freed_mib", "predicted_freed_mib")) in page
    assert all(abs(row["freed_mib"] - row["predicted_freed_mib"]) <= 0.1 * row["predicted_freed_mib"] for row in rows)
    assert [row["run"] for row in rows if not row["in_time"]] == [2], "the page says why of the second alone"
    further = record("site_load_and_faults.json")["steps"]["gap_further"]["rows"]
    assert "| %d requests, none failed |" % sum(row["clients"]["requests"] for row in further) in page
    assert [row["run"] for row in further if row["clients"]["failed"]] == [] and len(rows) + len(further) == 9
    assert [(row["run"], row["refused"]) for row in further if row["refused"]] == [(8, 6)] and sum(row["in_time"] for row in rows + further) == 7
    assert "%d MiB (%d), %d (%d), %d (%d), %d (%d), %d (%d)" % tuple(row[key] for row in further for key in ("freed_mib", "predicted_freed_mib")) in page
    assert all(abs(row["freed_mib"] - row["predicted_freed_mib"]) <= 0.1 * row["predicted_freed_mib"] for row in further)


def test_the_page_of_the_card_says_how_the_last_runs_and_the_cliff_went():
    found, page = record("site_built_there.json")["steps"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    rows = found["gap_last"]["rows"]
    assert [(row["run"], row["in_time"], row["refused"], row["clients"]["failed"]) for row in rows] == [(number, True, 0, []) for number in (8, 9, 10)]
    assert "%d requests, none failed, and the other program was never refused; %d MiB (%d), %d (%d), %d (%d)" % (
        sum(row["clients"]["requests"] for row in rows), *(row[key] for row in rows for key in ("freed_mib", "predicted_freed_mib"))) in page
    assert all(abs(row["freed_mib"] - row["predicted_freed_mib"]) <= 0.1 * row["predicted_freed_mib"] for row in rows)
    took = [int(text.split()[-2]) for row in rows for event, _when, text in row["events"] if event == "done"]
    assert "| a step, then | %d to %d s |" % (min(took), max(took)) in page
    earlier = record("site.json")["steps"]["gap"]["rows"] + record("site_load_and_faults.json")["steps"]["gap_further"]["rows"]
    in_time = {row["run"]: row["in_time"] for row in earlier + rows}  # the later of two
    assert len(in_time) == 10 and sum(in_time.values()) == 9 and "In nine of the ten all steps came in time" in page
    cliff = found["cliff"]["all at once"]
    assert cliff["clients"]["failed"] == [] and "%d requests, none failed: the fourth rung" % cliff["clients"]["requests"] in page and cliff["rung"] == 4
    killed = found["cliff"]["killed while the card is full"]
    events = {event: when for event, when, _text in killed["events"]}
    assert "serves again %.0f s after its death" % (events["done"] - events["exit"]) in page and len(killed["clients"]["failed"]) == 2


def test_the_page_of_the_card_says_what_the_image_of_inputs_took_and_which_faults_were_seen_again():
    found, page = record("site_built_there.json")["steps"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    assert "| %.0f s on 16 cores, of which llama.cpp's %d steps with CUDA took %.0f s |" % (
        found["ladder"]["seconds"], found["ladder"]["compiled"]["files"], found["ladder"]["compiled"]["seconds"]) in page
    assert "usual ladder back took %.0f s" % found["site"]["seconds"] in page
    engine, hangs, gone = (found["faults"]["faults"][name] for name in ("the engine killed", "nvidia-smi hangs", "the card's device file gone"))
    assert "| the engine killed, again | answers again after %.0f s |" % engine["serves_after"] in page
    assert ["IncompleteRead" in why for _sent, _ended, why in engine["clients"]["failed"]] == [True] * 2 + [False] * 6
    assert "serves %.0f s after it answers again | the answer that had begun; the Executor gave %d |" % (
        hangs["serves_after"], hangs["clients"]["answered_by"]["executor"]) in page and len(hangs["clients"]["failed"]) == 1
    assert "the Executor gave %d | none of %d requests |" % (gone["clients"]["answered_by"]["executor"], gone["clients"]["requests"]) in page
    assert gone["clients"]["failed"] == []


def test_the_page_of_the_card_says_what_the_rebuilt_roles_did():
    found, page = record("site_rebuilt.json")["steps"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    statuses = [status for status, _said in found["claims"]["claims"].values()]
    assert "| %d hold, `driver.persistence` fails as before, %d do not apply |" % (statuses.count("holds"), statuses.count("does not apply")) in page
    assert [name for name, (status, _said) in found["claims"]["claims"].items() if status == "fails"] == ["driver.persistence"]
    site, again = found["site"], found["again"]
    assert "| %.0f s in %d tasks |" % (site["seconds"], site["ok"]) in page and again["changed"] == 0
    assert "| changed nothing, %.0f s in %d tasks |" % (again["seconds"], again["ok"]) in page
    card, processor = (found["speed"][name]["generation"] for name in ("oracle", "executor"))
    assert "| %.0f to %.0f tok/s on the card, %.0f to %.0f tok/s on the CPU |" % (card[0], card[-1], processor[0], processor[-1]) in page
    assert "| at work after %.0f s |" % found["restarted"]["serves_after"] in page and set(found["restarted"]["states"].values()) == {"active"}
    faults = found["faults"]["faults"]
    failed = {name: [why for _sent, _ended, why in one["clients"]["failed"]] for name, one in faults.items()}
    assert all(set(one["afterwards"].values()) == {"active"} for one in faults.values()) and len(faults) == 6
    assert "of %d requests %d failed: seven when the engine was killed" % (
        sum(one["clients"]["requests"] for one in faults.values()), sum(map(len, failed.values()))) in page
    others = [why for name, whys in failed.items() if name != "the engine killed" for why in whys]
    assert len(failed["the engine killed"]) == 7 and len(others) == 4 and all("IncompleteRead" in why for why in others)
    shadow = found["shadowed"]
    assert shadow["there"]["claim"]["status"] == "fails" and shadow["library"] in shadow["there"]["claim"]["observed"]
    assert shadow["gone"]["claim"]["status"] == "holds"
    at_once, killed = (found["cliff"][name] for name in ("all at once", "killed while the card is full"))
    events = [{event: when for event, when, _text in one["events"]} for one in (at_once, killed)]
    assert "%d requests, none failed: the fourth rung after %.0f s" % (at_once["clients"]["requests"], events[0]["done"] - events[0]["warn"]) in page
    assert at_once["clients"]["failed"] == [] and at_once["rung"] == killed["rung"] == 4
    assert "serves again %.0f s after its death" % (events[1]["done"] - events[1]["exit"]) in page and len(killed["clients"]["failed"]) == 2


def test_the_page_of_the_card_says_what_a_pruned_image_did():
    found, page = record("site_built_there.json")["steps"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    assert found["pruned_site"]["claim"]["status"] == "holds" and not found["pruned_site"]["others"] and found["pruned_site"]["another_image"]
    assert "built, proven and deployed in %.0f s" % found["pruned_site"]["play"]["seconds"] in page
    sizes = found["pruned_site"]["bytes"]
    assert "%.0f MB, whole %.0f MB" % (sizes["pruned"]["gzip -6"] / 1e6, sizes["whole"]["gzip -6"] / 1e6) in page and sizes["pruned"]["gzip -6"] < 250e6
    ways = [found["pruned"][way] for way in ("as_deployed", "without_flash_attention")]
    for way in ways:
        ratios = way["in_turns"]["pruned"]["to whole"]
        assert ratios["generation"]["pairs"] == 30
        assert "%.2f of the generation (%.2f to %.2f), %.2f of the prompts (%.2f to %.2f)" % (
            ratios["generation"]["median"], *ratios["generation"]["interval"], ratios["prompt"]["median"], *ratios["prompt"]["interval"]) in page
    assert "%d of %d the same, tokens and each of %d probabilities" % tuple(
        sum(way["tokens"][key] for way in ways) for key in ("equal", "asked", "logprobs")) in page
    assert not ways[0]["calls"] and ways[1]["calls"]["cublasGemmBatchedEx"]


def test_the_page_of_the_card_says_what_other_images_did():
    found, page = record("site.json")["steps"], (ROOT / "docs" / "on-a-card.md").read_text(encoding="utf-8")
    ptx, native = found["ptx_only"]["ptx"], found["ptx_only"]["native"]
    assert "healthy after %.1f s and its first answer after %.1f s, where the native image has %.1f s; the driver keeps %.0f MB" % (
        ptx["healthy_after"], ptx["answered_after"], native["answered_after"], ptx["cache_mb"]) in page
    assert "a second start has %.1f s. Then it generates %.0f tok/s" % (ptx["second_start_answered_after"], ptx["second_answer"]["generation"]) in page
    off = found["vmm"]["in_turns"]["off"]["to on"]
    assert "%.2f of the generation (%.2f to %.2f), %.2f of the prompts (%.2f to %.2f)" % (
        off["generation"]["median"], *off["generation"]["interval"], off["prompt"]["median"], *off["prompt"]["interval"]) in page


def test_pruned_libraries_compute_the_same_and_the_page_says_how_small_they_are():
    computed, page = record("pruned_gemms.json"), (ROOT / "docs" / "supply-chain.md").read_text(encoding="utf-8")
    assert computed["equal"] == computed["products"] == len(computed["rows"]) and all(row["equal"] for row in computed["rows"].values())
    assert "%d of %d products of matrices are the same bit for bit" % (computed["equal"], computed["products"]) in page
    sizes = json.loads((ROOT / "tests" / "wheels" / "pruned_sizes.json").read_text(encoding="utf-8"))["libraries"]
    assert "from %.0f to %.0f MB" % tuple(sum(row[key] for row in sizes) / 1e6 for key in ("gzip", "gzip_pruned")) in page
