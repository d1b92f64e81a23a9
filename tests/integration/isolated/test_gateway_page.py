"""The page to talk to: what the door says of it, and in a headless Chromium (--full) a question, a streamed answer, a picture for a model that sees.

The Oracle and the third service are tests/stand_ins/model_server.py, which says words and breaks when told to; the Executor is the golden image's own
llama-server with a projector of random weights, which shows that it takes the picture as the page sends it.
"""
import base64
import hashlib
import json
import re
import struct
import zlib

import pytest
from support import browser, real_services


@pytest.fixture(scope="module")
def page_door(door):
    door.deploy(gateway_page=True).assert_ok()
    return door


def test_the_page_loads_nothing_from_elsewhere_and_runs_its_own_script_alone(page_door):
    with page_door.http(key=None) as client:
        answer = client.get("/chat")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        for element in ("script", "style"):
            (inner,) = re.findall("<%s>(.*?)</%s>" % (element, element), answer.text, re.DOTALL)
            assert policy[element + "-src"] == "'sha256-%s'" % base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert (policy["default-src"], policy["connect-src"], policy["img-src"], policy["frame-ancestors"]) == ("'none'", "'self'", "data:", "'none'")
        assert (policy["base-uri"], policy["form-action"], policy["require-trusted-types-for"]) == ("'none'", "'none'", "'script'")
        assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert not re.search("https?://|innerHTML|localStorage|document.cookie|oracle", answer.text)
        assert client.head("/chat").headers["content-length"] == str(len(answer.content)) and client.post("/chat").status_code == 405
        assert {client.get(path).status_code for path in ("/chat/", "/chat.html", "/chat/x", "/chat%00", "/page.lua")} <= {400, 404}


@pytest.fixture(scope="module")
def seeing(door):
    """A door with its page, an Oracle that chats, an Executor that sees, and a service that makes vectors."""
    real_services.bring(door)
    real_services.start(door, "executor", "chat.gguf", "--mmproj", real_services.MODELS + "/projector.gguf", "--ctx-size", 4096)
    for name in ("oracle", "embedder"):
        real_services.stop(door, name)
        door.sh("ip address replace %s/32 dev lo" % real_services.ADDRESSES[name].split(":", maxsplit=1)[0])
        door.stand_in(name, real_services.ADDRESSES[name], 20)
    door.deploy(gateway_page=True, bunker_services=real_services.services(oracle="chat", executor="auto", embedder="embeddings"),
                gateway_parameters=[{"model": "executor", "defaults": {"max_tokens": 24}}]).assert_ok()
    yield door
    for name in real_services.ADDRESSES:
        real_services.stop(door, name)


@pytest.fixture
def tab(seeing):
    """The page in a browser, into which alice has entered her key."""
    with browser.chromium() as page:
        page.open(seeing.url + "/chat")
        enter(page, seeing.keys["alice"])
        page.until("document.querySelector('#model').length === 2")
        yield page


def enter(page, key):
    page.type("#key", key)
    page.click("#enter")


def choose(page, model):
    page.run("{const box = document.querySelector('#model'); box.value = %s; box.dispatchEvent(new Event('change'))}" % json.dumps(model))


def ask(page, question):
    page.type("#question", question)
    page.click("#ask")


def articles(page):
    return page.run("[...document.querySelectorAll('#talk article')].map((one) => [one.dataset.who, one.textContent])")


def ended(page):
    page.until("document.querySelector('#stop').hidden && !document.querySelector('#question').disabled")


def square(path):
    """A red picture of 32 x 32 pixels, PNG."""
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + b"\xff\0\0" * 32 for _row in range(32))
    head = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


@pytest.mark.full
def test_a_question_and_a_streamed_answer(seeing, tab, tmp_path):
    assert tab.run("[...document.querySelector('#model').options].map((one) => one.value)") == ["executor", "oracle"]  # who makes vectors does not chat
    choose(tab, "oracle")
    assert tab.run("document.querySelector('#seeing').hidden")
    ask(tab, "Who are <b>you</b>?")
    tab.until("document.querySelectorAll('#talk article').length === 2")
    growing = tab.until("document.querySelectorAll('#talk article')[1].textContent")
    ended(tab)
    (who, asked), (answerer, answer) = articles(tab)
    assert (who, asked, answerer) == ("You", "Who are <b>you</b>?", "oracle")
    assert answer.startswith("oracle heard ") and len(growing) < len(answer) and answer.startswith(growing)
    ask(tab, "And now?")
    tab.until("document.querySelectorAll('#talk article').length === 4")
    ended(tab)
    tab.picture(tmp_path / "page.png")
    # The whole talk is sent each time: the question, the answer, and the next one.
    assert not tab.complaints()
    assert {url.split("/", maxsplit=3)[2] for url in tab.asked() if url.startswith("http")} == {"%s:%d" % (seeing.address, seeing.port)}
    assert {url.split("/", maxsplit=3)[3] for url in tab.asked() if url.startswith("http")} == {"chat", "v1/models", "v1/chat/completions"}


@pytest.mark.full
def test_a_picture_for_a_model_that_sees(tab, tmp_path):
    square(tmp_path / "red.png")
    choose(tab, "executor")
    assert not tab.run("document.querySelector('#seeing').hidden")
    tab.choose_file("#picture", tmp_path / "red.png")
    ask(tab, "What is that?")
    tab.until("document.querySelectorAll('#talk article').length === 2")
    ended(tab)
    assert tab.run("document.querySelector('#talk article img').naturalWidth") == 32
    assert articles(tab)[1][0] == "executor" and len(articles(tab)[1][1]) > 5
    assert not tab.complaints() and not tab.run("document.querySelector('#state').classList.contains('wrong')")


@pytest.mark.full
def test_the_key_stays_in_the_tab(seeing, tab):
    assert tab.run("[Object.keys(localStorage).length, document.cookie, Object.keys(sessionStorage).join()]") == [0, "", "key"]
    assert seeing.keys["alice"] not in tab.run("document.documentElement.outerHTML + document.querySelector('#key').value")
    tab.open(seeing.url + "/chat#again")
    tab.run("location.reload()")
    tab.until("document.querySelector('#model') && document.querySelector('#model').length === 2")
    tab.click("#leave")
    assert tab.run("[document.querySelector('#model').length, Object.keys(sessionStorage).length, document.querySelector('#door').hidden]") == [0, 0, False]


@pytest.mark.full
def test_what_the_door_refuses_and_what_breaks_is_said(seeing):
    with browser.chromium() as page:
        page.open(seeing.url + "/chat")
        enter(page, "0" * 64)
        page.until("document.querySelector('#state').textContent === 'This key is unknown or revoked.'")
        enter(page, seeing.keys["bob"])
        page.until("document.querySelector('#model').length === 2")
        choose(page, "oracle")
        # The page's own fetch, told to order a fault of the stand-in.
        page.run("{const plain = window.fetch; window.fetch = (path, more) => plain(path, more && more.body ? {...more, body: JSON.stringify("
                 "{...JSON.parse(more.body), ...window.order})} : more)}")
        for order, words in (({"breaks": 2}, "oracle stopped in the middle of its answer"),
                             ({"fails": 400, "overflows": 5}, "exceeds the available context size"),
                             ({"fails": 500, "plain": "oops"}, "oracle answered with 500.")):
            page.run("window.order = %s" % json.dumps(order))
            ask(page, "Who are you?")
            page.until("document.querySelector('#state').classList.contains('wrong') && document.querySelector('#state').textContent.includes(%s)" % (
                json.dumps(words)))
            ended(page)
        page.run("window.order = {max_tokens: 4000}")
        ask(page, "Who are you?")
        page.until("!document.querySelector('#stop').hidden && [...document.querySelectorAll('#talk article')].pop().textContent.includes('word word')")
        page.click("#stop")
        page.until("document.querySelector('#state').textContent.startsWith('Stopped')")
        with seeing.control() as control:
            assert control.get("/services").json()["oracle"]["in_flight"] <= 1
