"""A pool of three members behind a door: real HAProxy with the role's own configuration, certificates and agent. The members' gateways are stand-ins."""
import concurrent.futures
import http.client
import signal
import ssl

import pytest
from support.pool_rack import DOOR, PACE, Rack, run, wait_until

from ansible_collections.protocol_omni.bunker.plugins.module_utils.pool import certificates, survey

MEMBERS = {"north": ["oracle", "executor"], "south": ["oracle"], "west": ["oracle"]}
LOST = (http.client.HTTPException, OSError)


@pytest.fixture(scope="module", name="rack")
def of_three(tmp_path_factory):
    """The pool, for all tests of it: each leaves it whole."""
    made = Rack(tmp_path_factory.mktemp("pool"), MEMBERS)
    try:
        made.start_all()
        yield made
    finally:
        made.stop()


def turns(count, name):
    """A conversation's messages, turn by turn."""
    messages = [{"role": "system", "content": "You are brief. \"Quoted\", ünïcode\n"}, {"role": "user", "content": "Conversation %s" % name}]
    for turn in range(count):
        yield list(messages)
        messages += [{"role": "assistant", "content": "Answer %d" % turn}, {"role": "user", "content": "Question %d" % turn}]


def asked_by(rack, name):
    """Which member answers a conversation."""
    return rack.chat(next(turns(1, name)))[1]


SHAPES = {"texts": lambda messages: messages, "without a system prompt": lambda messages: messages[1:],
          "parts": lambda messages: [dict(message, content=[{"type": "text", "text": message["content"]}]) for message in messages]}


def test_ten_turns_of_a_conversation_go_to_one_member(rack):
    answering = set()
    for shape, shaped in SHAPES.items():
        for number in range(2):
            found = {rack.chat(shaped(messages), max_tokens=1)[:2] for messages in turns(10, "%s %d" % (shape, number))}
            assert len(found) == 1 and {status for status, _member in found} == {200}, (shape, found)
            answering |= found
    assert len(answering) > 1, "six conversations went to one member"


def test_a_model_is_asked_of_those_that_have_it(rack):
    assert {rack.chat(next(turns(1, str(number))), model="executor", max_tokens=1)[1] for number in range(6)} == {"north"}


class Streams:
    """Streams that run at the same time, until their threads are waited for.

    :param number: how many.
    :param words: of each.
    """

    def __init__(self, rack, number, words, name="stream"):
        self._rack, self.asked, self.said, self.at = rack, {}, {}, {}
        self._pool = concurrent.futures.ThreadPoolExecutor(number)
        for position in range(number):
            self.asked["%s %d" % (name, position)] = self._pool.submit(self._ask, "%s %d" % (name, position), words)

    def _ask(self, name, words):
        try:
            with self._rack.asked(next(turns(1, name)), stream=True, max_tokens=words) as answer:
                self.at[name] = answer.getheader("X-Bunker-Member")
                body = answer.read()
        except LOST as error:
            self.said[name] = repr(error)
            return "lost"
        self.said[name] = "%d %s" % (answer.status, body[-200:])
        return self.at[name] if answer.status == 200 and b"[DONE]" in body else "lost"

    def begun(self):
        """Waits until each is at a member; returns itself."""
        wait_until(lambda: len(self.at) == len(self.asked), 10, "the streams do not begin")
        return self

    def fate(self, victim):
        """What becomes of each when those at one member are lost: as :meth:`ended`. A member that has its share sends a stream elsewhere than its home."""
        assert victim in self.at.values() and set(self.at.values()) != {victim}
        return {name: "lost" if member == victim else member for name, member in self.at.items()}

    def ended(self):
        """Name of each to who answered it to its end, or "lost"."""
        self._pool.shutdown()
        return {name: asked.result() for name, asked in self.asked.items()}


def homes(rack, count, name):
    """Which member each of so many conversations is of."""
    return {"%s %d" % (name, number): asked_by(rack, "%s %d" % (name, number)) for number in range(count)}


def test_a_killed_member_loses_what_had_begun_there_and_nothing_else(rack):
    homed = homes(rack, 12, "killed")
    victim = max(MEMBERS, key=list(homed.values()).count)
    running = Streams(rack, 12, words=8 * PACE, name="killed").begun()
    rack.signal(victim, signal.SIGKILL)
    # What comes now finds another member, also where it is of a conversation of the one that is gone.
    later = Streams(rack, 12, words=3, name="killed")
    assert set(later.ended().values()) <= set(MEMBERS) - {victim}, later.said
    assert running.ended() == running.fate(victim), running.said
    # Down by the first request that found nobody, before a second look: no conversation was sent there twice.
    assert "Server model_oracle/%s is DOWN, reason: Health analyze" % victim in (rack.folder / "door.log").read_text(encoding="utf-8")
    rack.restart(victim)
    assert homes(rack, 12, "killed") == homed, "conversations do not come back to their member"


def test_a_gateway_that_is_killed_alone_loses_no_new_request(rack):
    homed = homes(rack, 12, "gateway")
    victim = max(MEMBERS, key=list(homed.values()).count)
    rack.processes[victim + "-gateway"].kill()
    later = Streams(rack, 12, words=3, name="gateway")
    assert set(later.ended().values()) <= set(MEMBERS) - {victim}, later.said
    rack.start_gateway(victim)
    rack.wait_for(victim, "UP")


def test_a_frozen_member_is_marked_down_and_loses_nothing_when_it_goes_on(rack):
    homed = homes(rack, 12, "frozen")
    victim = max(MEMBERS, key=list(homed.values()).count)
    running = Streams(rack, 12, words=2 * PACE, name="frozen").begun()
    rack.signal(victim, signal.SIGSTOP)
    rack.wait_for(victim, "DOWN", 30)  # two looks in vain, of two seconds each, and the pauses between them
    later = Streams(rack, 12, words=3, name="frozen")
    assert set(later.ended().values()) <= set(MEMBERS) - {victim}, later.said
    rack.signal(victim, signal.SIGCONT)
    assert running.ended() == running.at, running.said
    rack.wait_for(victim, "UP")


def test_a_frozen_gateway_is_marked_down_and_its_streams_end(rack):
    homed = homes(rack, 12, "gateway frozen")
    victim = max(MEMBERS, key=list(homed.values()).count)
    running = Streams(rack, 12, words=8 * PACE, name="gateway frozen").begun()
    rack.processes[victim + "-gateway"].send_signal(signal.SIGSTOP)
    rack.wait_for(victim, "DOWN", 30)
    # The member's own HAProxy closes them: nobody waits for a gateway that does not come back.
    assert running.ended() == running.fate(victim), running.said
    later = Streams(rack, 12, words=3, name="gateway frozen")
    assert set(later.ended().values()) <= set(MEMBERS) - {victim}, later.said
    rack.processes[victim + "-gateway"].send_signal(signal.SIGCONT)
    rack.wait_for(victim, "UP")


def test_a_member_that_is_held_back_ends_what_it_has_and_gets_nothing_new(rack):
    homed = homes(rack, 12, "held")
    victim = max(MEMBERS, key=list(homed.values()).count)
    running = Streams(rack, 12, words=2 * PACE, name="held").begun()
    (rack.folder / victim / "hold").touch()
    rack.wait_for(victim, "DRAIN")
    assert set(Streams(rack, 12, words=3, name="held").ended().values()) <= set(MEMBERS) - {victim}
    assert running.ended() == running.at, running.said
    (rack.folder / victim / "hold").unlink()
    rack.wait_for(victim, "UP")
    assert homes(rack, 12, "held") == homed


def test_one_request_that_fails_everywhere_takes_no_member_down(rack):
    for number in range(6):
        assert rack.chat(next(turns(1, "poison %d" % number)), fails=500)[0] == 500
    assert {rack.state(member)[:2] for member in MEMBERS} == {"UP"}


def test_a_request_is_tried_again_until_a_word_was_sent(rack):
    conversation = next(turns(1, "again"))
    home = asked_by(rack, "again")
    status, member, _body = rack.chat(conversation, dies=home)
    assert status == 200 and member != home, "nothing had been answered, and another member could have"
    before = rack.sent()
    with pytest.raises(LOST):
        rack.chat(conversation, stream=True, max_tokens=20, breaks=5)
    assert rack.sent() == before + 1, "the client had five words, and a second member began anew"


def stranger(rack, folder, name, authority=None, days=2, uses=("clientAuth",)):
    """A certificate with its key, which is not the door's: path."""
    made = certificates.Own(str(folder), run)
    made.keep((authority or rack.authority).sign(made.request(), ["DNS:" + name], list(uses), days), rack.ca)
    return folder / "host.pem"


def reaches(rack, certificate):
    """Whether somebody with this certificate, or none, gets an answer of a member's gateway."""
    connection = rack.client(rack.variables["pool_member_port"], rack.addresses["north"], certificate)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def test_a_member_lets_in_doors_alone(rack, tmp_path):
    folders = {}
    for name in ("good", "other authority", "its authority", "expired", "a member's"):
        folders[name] = tmp_path / name
        folders[name].mkdir()
    assert reaches(rack, stranger(rack, folders["good"], "door")), "the certificate of a door is refused, so refusals show nothing"
    other = certificates.Authority(str(folders["its authority"]), run)
    other.make()
    assert not reaches(rack, stranger(rack, folders["other authority"], "door", authority=other))
    assert not reaches(rack, stranger(rack, folders["expired"], "door", days=-1))
    assert not reaches(rack, stranger(rack, folders["a member's"], "south", uses=["serverAuth"]))
    assert survey.stranger(rack.addresses["north"], rack.variables["pool_member_port"]) == "refused"
    assert survey.stranger(DOOR, rack.variables["pool_port"]) == "let in", "a door asks clients for no certificate, so a refusal shows something"


def test_a_door_asks_no_member_with_an_expired_certificate(rack):
    rack.equip("west", days=-1)
    rack.restart_haproxy("west")
    rack.wait_for("west", "DOWN")
    assert set(homes(rack, 12, "expired").values()) <= {"north", "south"}
    rack.equip("west", days=2)
    rack.restart_haproxy("west")
    rack.wait_for("west", "UP")


BOTH = {"pool_doors": [{"name": "door", "address": DOOR}, {"name": "north", "address": "127.0.27.11"}], "pool_address": "127.0.27.100"}


@pytest.mark.parametrize("host, changes", [
    ("north", BOTH), ("door", BOTH), ("south", {"tls": "self_signed"}),
    ("door", {"pool_address": "::1", "pool_doors": [{"name": "door", "address": "::1"}]}),
    ("door", {"pool_members": [{"name": "a.example-1", "address": "fd00::2", "models": ["a/b", "a:b", "a_b", "gpt-4o@1+x"], "weight": 256, "streams": 1}]})])
def test_haproxy_takes_every_configuration(tmp_path, host, changes):
    made = Rack(tmp_path, MEMBERS, **changes)
    configuration = made.equip(host)
    run(["haproxy", "-c", "-f", str(configuration)])
    configuration.write_text(configuration.read_text(encoding="utf-8") + "    nosuch word\n", encoding="utf-8")
    with pytest.raises(ValueError, match="unknown keyword"):
        run(["haproxy", "-c", "-f", str(configuration)])


def test_without_affinity_the_turns_of_a_conversation_go_round(rack):
    """What the test of affinity would see without it."""
    rack.load_door(pool_affinity=False)
    assert {rack.chat(messages, max_tokens=1)[1] for messages in turns(10, "round")} == set(MEMBERS)
    rack.load_door(pool_affinity=True)
