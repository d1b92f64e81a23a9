"""A rolling change of three members under load: playbooks/rolling.yml, the real role, real HAProxy. What is deployed and the claims are stand-ins, and so are
the members' gateways: deploying one is to kill it and to start it anew.
"""
import http.server
import threading
import time

import pytest
from integration.isolated.test_pool import LOST, turns
from support.pool_rack import PACE, Rack
from support.rolling_play import RollingPlay

MEMBERS = {"north": ["oracle", "executor"], "south": ["oracle", "executor"], "west": ["oracle"]}
ASK = "---\n- name: Ask the test to do it\n  ansible.builtin.uri: {url: '%s/STEP/{{ inventory_hostname }}', timeout: 60}\n"


class Deployed:
    """What the play does by asking for /deploy/HOST and /claims/HOST; both can be made to fail."""

    def __init__(self, rack):
        self.rack, self.done, self.bad, self.seen = rack, [], set(), {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One step of the play."""

            def do_GET(self):  # pylint: disable=invalid-name # http.server's name
                step, host = self.path.strip("/").split("/")
                self.send_response(500 if outer.does(step, host) else 200)
                self.end_headers()

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin # http.server's name
                """Says nothing."""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def does(self, step, host):
        """Whether a step fails."""
        self.done.append("%s %s" % (step, host))
        if step == "deploy" and host in MEMBERS:
            self.seen[host] = self.rack.state(host)
            self.rack.processes[host + "-gateway"].kill()
            self.rack.processes[host + "-gateway"].wait()
            time.sleep(0.5)  # a service that is loading
            self.rack.start_gateway(host)
        return "%s %s" % (step, host) in self.bad


class Load:
    """Clients that stream all the time, one request after the other, within a ``with``."""

    def __init__(self, rack, clients):
        self.rack, self.answered, self.lost, self.over = rack, [], [], threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(number,), daemon=True) for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def ask(self, number):
        """One client."""
        count = 0
        while not self.over.is_set():
            count += 1
            try:
                # Every other client asks for streams of ten seconds: longer than it takes from the hold to the deployment.
                words = 10 * PACE if number % 2 else 40
                status, member, body = self.rack.chat(next(turns(1, "client %d, %d" % (number, count))), stream=True, max_tokens=words)
            except LOST as error:
                self.lost.append(repr(error))
                continue
            (self.answered if status == 200 and b"[DONE]" in body else self.lost).append(member or body)


@pytest.fixture(name="rack", scope="module")
def of_three(tmp_path_factory):
    """The pool, for all tests of it: each leaves it whole."""
    made = Rack(tmp_path_factory.mktemp("rolling"), MEMBERS)
    try:
        made.start_all()
        yield made
    finally:
        made.stop()


@pytest.fixture(name="deployed")
def by_the_play(rack, tmp_path):
    """Runs the play: (exit status, what was printed)."""
    made = Deployed(rack)
    play = RollingPlay(tmp_path / "play", {step: ASK.replace("STEP", step) % made.url for step in ("deploy", "claims")})
    forced = {"_pool_hold": "%s/{{ inventory_hostname }}/hold" % rack.folder, "_pool_run": str(rack.folder / "door")}
    made.run = lambda *words: play.run({name: {} for name in [*MEMBERS, "door"]}, rack.variables, forced, *words)
    yield made
    made.server.shutdown()


def holds(rack):
    """Who is held back."""
    return [name for name in MEMBERS if (rack.folder / name / "hold").exists()]


def become(rack, states):
    """Wait until the door thinks so of the members. One that was started anew is first "DOWN 1/2": two checks in turn have to pass."""
    for member, state in states.items():
        rack.wait_for(member, state)
        assert rack.state(member) == state


def test_a_rolling_change_loses_no_answer(rack, deployed):
    with Load(rack, 6) as load:
        status, said = deployed.run()
    assert status == 0, said
    assert deployed.done == ["%s %s" % (step, host) for host in [*MEMBERS, "door"] for step in ("deploy", "claims")]
    assert deployed.seen == dict.fromkeys(MEMBERS, "DRAIN (agent)") and holds(rack) == []
    assert load.lost == [] and set(load.answered) == set(MEMBERS) and len(load.answered) > 20, load.lost
    become(rack, dict.fromkeys(MEMBERS, "UP"))


def test_a_bad_one_stops_it_and_is_the_first_of_the_next_run(rack, deployed):
    with Load(rack, 6) as load:
        deployed.bad = {"claims south"}
        status, said = deployed.run()
        assert status == 2 and deployed.done == ["deploy north", "claims north", "deploy south", "claims south"], said
        assert "Not touched: west, door." in said and holds(rack) == ["south"]
        become(rack, {"north": "UP", "south": "DRAIN (agent)", "west": "UP"})
        deployed.bad, deployed.done[:] = set(), []
        status, said = deployed.run("--limit", "south,west")
    assert (status, deployed.done) == (0, ["deploy south", "claims south", "deploy west", "claims west"]), said
    assert holds(rack) == [] and load.lost == [], load.lost


def test_the_last_that_answers_is_not_taken_out_and_what_a_person_holds_back_stays(rack, deployed):
    (rack.folder / "south/hold").write_text("by hand", encoding="utf-8")
    rack.wait_for("south", "DRAIN")
    status, said = deployed.run("--limit", "north")
    assert (status, deployed.done, holds(rack)) == (2, [], ["south"]), said
    assert "north is the last that answers for model_executor (south DRAIN (agent))" in said
    status, said = deployed.run("--limit", "south")
    assert (status, deployed.done, holds(rack)) == (0, ["deploy south", "claims south"], ["south"]), said
    (rack.folder / "south/hold").unlink()
    rack.wait_for("south", "UP")
