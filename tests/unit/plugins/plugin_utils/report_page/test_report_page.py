"""The report as a page: whole, without a network, readable, and deaf to what hosts say in markup."""
import html.parser
import json
import re

import pytest
from support import ROOT

from ansible_collections.protocol_omni.bunker.plugins.filter import report_facts as facts_filter
from ansible_collections.protocol_omni.bunker.plugins.filter import report_page as page_filter
from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.report_page import assets, drawing, history, page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x1b[31m\u202e\x00"
VOID = {"meta", "input", "br", "link"}
CARDS = [{"uuid": "GPU-a", "name": "NVIDIA A", "memory": 96 * 2**30, "memory_free": 4 * 2**30}, {"uuid": "GPU-b", "name": "NVIDIA B"}]


def report(name="holding"):
    return json.loads((ROOT / "tests" / "fixtures" / "host_reports" / ("%s.json" % name)).read_text(encoding="utf-8"))


class Reader(html.parser.HTMLParser):
    """Elements with their attributes and text, and whether each is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.said = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _value in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append((self.open[-1] if self.open else "", data))

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, *tags):
        return [data for tag, data in self.said if tag in tags]


def filled(value):
    """The same shape with hostile text in place of each text but a claim's status, which is of three words."""
    if isinstance(value, dict):
        return {key: part if key == "status" else filled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part) for part in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize("name", ["holding", "failing"])
def test_each_claim_and_its_evidence_is_on_the_page(name):
    found = report(name)
    read = Reader(page.render(found))
    said = "\n".join(data for _tag, data in read.said)
    for claim in found["claims"]:
        for part in ("id", "sentence", "expected", "observed", "reason"):
            assert " ".join(claim[part].split()) in " ".join(said.split()), claim["id"]
    rows = [attributes["data-status"] for attributes in read.of("tr") if "data-status" in attributes]
    assert len(rows) == len(found["claims"])
    failing = sum(claim["status"] == "fails" for claim in found["claims"])
    assert rows[:failing] == ["fails"] * failing and "fails" not in rows[failing:]


def test_nothing_is_fetched():
    text = page.render(report(), None, ["bunker-demo.json", "bunker-demo.cdx.json", "other.json"])
    read = Reader(text)
    for _tag, attributes in read.elements:
        assert not {"src", "srcset", "action", "formaction", "style"} & set(attributes)
        assert attributes.get("href", "#").startswith(("#", "./bunker-demo."))
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in assets.STYLE.replace("url(#tip)", "") and "@import" not in assets.STYLE and "fetch(" not in assets.SCRIPT
    (policy,) = [attributes["content"] for attributes in read.of("meta") if attributes.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert [attributes["href"] for attributes in read.of("a") if "./" in attributes["href"]] == ["./bunker-demo.cdx.json", "./bunker-demo.json"]


def test_what_a_host_says_is_text():
    hostile = filled(report("failing"))
    hostile.update(host=HOSTILE, history=[dict(history.summary(report()), date=HOSTILE, failing=[HOSTILE], speeds={HOSTILE: {"generation_speed": 1.0}})],
                   machine={"cpu": {"model": HOSTILE}, "memory": {}, "gpus": [{"name": HOSTILE, "uuid": HOSTILE}]}, history_lost=HOSTILE)
    hostile["services"] = {HOSTILE: dict(hostile["services"]["oracle"], networks=[{"name": HOSTILE, "address": HOSTILE}])}
    text = page.render(hostile, {"result": {"services": {HOSTILE: {"alone": {"mean": 1.0}, "roofline": {"reason": HOSTILE}}}}}, [HOSTILE + ".json"])
    read = Reader(text)
    assert text.count("<script") == 1 and not read.of("img")
    assert not {"\x1b", "\u202e", "\x00"} & set(text)
    assert not [name for _tag, attributes in read.elements for name in attributes if name.startswith("on")]
    assert any("alert(1)" in data for data in read.text("code", "th", "td"))


@pytest.mark.parametrize("lacks", ["claims", "services", "gateway", "machine", "image", "history", "date"])
def test_a_report_that_lacks_a_part_is_a_page_all_the_same(lacks):
    found = report()
    del found[lacks]
    read = Reader(page.render(found))
    names = {attributes["id"] for _tag, attributes in read.elements if "id" in attributes}
    assert {attributes["href"][1:] for attributes in read.of("a") if attributes["href"].startswith("#")} <= names


def test_an_old_report_of_claims_alone_is_a_page():
    read = Reader(page.render({"host": "h", "claims": report()["claims"], "services": {}}))
    assert read.text("h2") == ["What runs", "Claims", "Image and SBOM", "Last runs"]


def test_it_has_landmarks_labels_and_headings():
    read = Reader(page.render(report()))
    for landmark in ("header", "main", "nav", "footer"):
        assert len(read.of(landmark)) == 1
    assert len(read.of("h1")) == 1 and read.of("html") == [{"lang": "en"}]
    names = [attributes["id"] for _tag, attributes in read.elements if "id" in attributes]
    assert len(set(names)) == len(names)
    labelled = {attributes.get("for") for attributes in read.of("label")}
    inputs = [attributes for attributes in read.of("input") + read.of("select") if attributes.get("id")]
    assert len(inputs) == 2 and all(attributes["id"] in labelled for attributes in inputs)
    assert all(attributes.get("scope") in ("col", "row") for attributes in read.of("th"))
    assert all(attributes.get("role") == "img" for attributes in read.of("svg")) and len(read.of("title")) == len(read.of("svg")) + 1
    assert all(attributes.get("aria-label") for _tag, attributes in read.elements if attributes.get("tabindex") == "0")  # what scrolls can be reached by key


def luminance(colour):
    colour = colour if len(colour) == 7 else "#" + "".join(letter * 2 for letter in colour[1:])
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("number", [0, 1, 2], ids=["light", "dark", "print"])
@pytest.mark.parametrize("name", ["text", "soft", "link", "bad", "good"])
def test_text_is_told_from_what_is_behind_it(number, name):
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]+)", re.findall(r":root\{([^}]*)\}", assets.STYLE)[number]))
    for back in ("back", "panel"):
        light, dark = sorted((luminance(colours[name]), luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, back)


def test_the_drawing_shows_who_is_asked_who_answers_and_on_what():
    found = report()
    found["machine"]["gpus"] = CARDS
    found["services"]["oracle"].update(device="gpu", placement="GPU GPU-b")
    said = Reader("<div>%s</div>" % drawing.svg(found)).text("text")
    assert {"gateway", "oracle", "executor", "A", "B", "CPU", "omni-network 172.30.0.10"} <= set(said)
    assert drawing.computes_on(found["services"]["oracle"], ["GPU-a", "GPU-b", "cpu"]) == ["GPU-b"]
    assert drawing.computes_on(found["services"]["executor"], ["GPU-a", "GPU-b", "cpu"]) == ["cpu"]
    assert str(drawing.svg(found)).count('class="arrow"') == 4


def test_a_service_that_was_not_seen_is_drawn_as_such():
    assert "executor was not seen to answer." in drawing.sentences(report("failing"))
    assert "was not seen to answer" in Reader("<div>%s</div>" % drawing.svg(report("failing"))).text("text")


@pytest.mark.parametrize(("changed", "words"), [
    ({}, "seal: services answer, initiate nothing"), ({"oracle.isolated": "fails"}, "seal: A CLAIM OF IT FAILS"),
    ({"networks.sealed": "fails"}, "seal: A CLAIM OF IT FAILS")])
def test_a_seal_of_which_a_claim_fails_is_drawn_as_broken(changed, words):
    found = report()
    for claim in found["claims"]:
        claim["status"] = changed.get(claim["id"], claim["status"])
    assert words in Reader("<div>%s</div>" % drawing.svg(found)).text("text")
    assert drawing.seal({"claims": []})[1] == "seal: nobody has looked"


def test_memory_is_told_in_figures_and_what_no_driver_tells_is_said():
    found = report()
    found["machine"]["gpus"] = CARDS
    text = page.render(found)
    assert "92.0 GiB of 96.0 GiB used, 4.0 GiB free" in text and "not known: no driver tells it" in text
    assert "oracle 324 MiB" in text and "of 7.8 GiB" in text


def test_speed_is_shown_against_the_limit_of_the_bandwidth():
    assert "10.9 tok/s of the 14.2 that the memory&#x27;s bandwidth allows" in page.render(
        report(), {"result": {"services": {"oracle": {"alone": {"mean": 10.9}, "roofline": {"limit": 14.2}}}}})
    assert "the model is small" in page.render(report(), {"result": {"services": {"oracle": {"alone": {"mean": 10.9}, "roofline": {
        "limit": None, "reason": "the model is small"}}}}})


def test_the_history_grows_by_a_run_and_keeps_twenty():
    first = report()
    second = history.with_history(report("failing"), json.dumps(first))
    assert [run["date"] for run in second["history"]] == [run["date"] for run in first["history"]] + [first["date"]]
    assert second["history"][-1]["holds"] == 74 and second["history"][-1]["speeds"]["oracle"] == {"generation_speed": 2.5, "prompt_speed": 38.4}
    found = first
    for _number in range(30):
        found = history.with_history(report(), json.dumps(found))
    assert len(found["history"]) == 20
    assert history.summary(report("failing"))["failing"] == ["executor.answers", "gateway.routes", "gateway.contexts", "observability.targets"]


@pytest.mark.parametrize("earlier", ["{", "[]", '{"claims": [1]}', '{"history": 3}', '{"claims": [{"status": "fails"}]}'])
def test_a_report_that_cannot_be_read_is_said_to_be_lost(earlier):
    found = history.with_history({"host": "h", "claims": []}, earlier)
    assert found["history"] == [] and "could not be read" in found["history_lost"]
    assert "its history is lost" in page.render(found)


def test_before_the_first_run_there_is_no_history():
    assert history.with_history({"host": "h"}, " ") == {"host": "h", "history": []}


def test_what_was_seen_of_machine_and_image():
    layers = [{"made_by": "RUN make", "size": 12}]
    found = facts_filter.report_facts({"cpu": {"model": "m"}}, {"tags": ["a:b"], "id": "sha256:1", "size": 3}, layers)
    assert found["image"] == {"name": "a:b", "id": "sha256:1", "size": 3, "layers": layers}
    assert found["machine"] == {"cpu": {"model": "m", "sockets": None, "cores": None, "threads": None},
                                "memory": {"total": None, "available": None, "bandwidth": None}, "gpus": []}
    assert facts_filter.report_facts({}, {}, [])["image"] == {"name": "", "id": "", "size": None, "layers": []}


def test_measurements_that_cannot_be_read_count_as_none():
    assert page_filter.report_page(report(), "{") == page_filter.report_page(report()) == page_filter.report_page(report(), "[]")
