"""Counts what sealed containers get out while something happens on their host. Run there, as root; Python 3.12 or newer, iproute2.

    leak_meter.py PID|CONTAINER FRAME COMMAND...

An outside (198.51.100.0/24, documentation addresses) and an unrestricted caller on br-omni are made for it and removed again. From a second before
COMMAND until three after it, a datagram leaves each millisecond for the outside: from the network namespace of PID by a socket, from there as a
whole frame (FRAME, hexadecimal, to 198.51.100.2 port 4242), and from the caller. Prints JSON: what was sent and what the outside heard of each, and
in how many lives: a container that is named is followed into each new one.
"""
import collections
import json
import os
import socket
import subprocess
import sys
import threading
import time

OUTSIDE, PORT = "198.51.100.2", 4242
LONGEST = int(os.environ.get("LEAK_METER_SECONDS", "120"))  # for COMMAND
SETUP = """
netns add leak-outside
netns add leak-caller
link add leak-o type veth peer name outside0 netns leak-outside
link add leak-c type veth peer name caller0 netns leak-caller
address add 198.51.100.1/24 dev leak-o
link set leak-o up
link set leak-c master br-omni
link set leak-c up
-n leak-outside address add 198.51.100.2/24 dev outside0
-n leak-outside link set outside0 up
-n leak-outside route add default via 198.51.100.1
-n leak-caller address add 172.30.255.250/16 dev caller0
-n leak-caller link set caller0 up
-n leak-caller route add default via 172.30.0.1
"""


def ip(words, check=True):
    subprocess.run(["ip", *words.split()], check=check, stderr=None if check else subprocess.DEVNULL)


def opened_in(namespace, *kind):
    """A socket of another network namespace."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(namespace, os.O_RDONLY)
    os.setns(there, os.CLONE_NEWNET)
    try:
        return socket.socket(*kind)
    finally:
        os.setns(here, os.CLONE_NEWNET)
        os.close(here)
        os.close(there)


def way_out(pid):
    """The interface of the default route; its name changes when a container is connected anew."""
    with open("/proc/%s/net/route" % pid, encoding="ascii") as stream:
        return next(line.split()[0] for line in stream if line.split()[1] == "00000000")


def process_of(container):
    """The first process of a container that runs; "" for none."""
    done = subprocess.run(["docker", "inspect", "--format", "{{.State.Pid}}", container], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.stdout.strip() != "0" else ""


class Inside:
    """Who sends from the network namespace of a process, or of a container whatever its process is.

    :ivar lives: how many processes that were.
    """

    def __init__(self, who):
        self.container = "" if who.isdigit() else who
        self.pid, self.lives, self.datagrams, self.frames = who if who.isdigit() else "", 0, None, None
        if self.pid:
            self.enter()

    def enter(self):
        namespace = "/proc/%s/ns/net" % self.pid
        self.datagrams = opened_in(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        self.frames = opened_in(namespace, socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.frames.bind((way_out(self.pid), 0))
        self.lives += 1

    def followed(self):
        """Itself, in the next life of the container once this one is over.

        :raises OSError: there is none yet, or it has no way out yet.
        """
        if self.container and not os.path.exists("/proc/%s/ns/net" % (self.pid or "none")):
            self.pid = process_of(self.container)
            if not self.pid:
                raise OSError("it does not run")
            try:
                self.enter()
            except (OSError, StopIteration) as error:
                self.pid = ""
                raise OSError("it has no way out yet") from error
        return self


def measure(who, frame, command):
    ear = opened_in("/run/netns/leak-outside", socket.AF_INET, socket.SOCK_DGRAM)
    ear.bind((OUTSIDE, PORT))
    ear.settimeout(0.2)
    inside = Inside(who)
    caller = opened_in("/run/netns/leak-caller", socket.AF_INET, socket.SOCK_DGRAM)
    sent, heard, done = collections.Counter(), collections.Counter(), threading.Event()
    senders = {"socket": lambda: inside.followed().datagrams.sendto(b"socket", (OUTSIDE, PORT)), "frame": lambda: inside.followed().frames.send(frame),
               "caller": lambda: caller.sendto(b"caller", (OUTSIDE, PORT))}

    def send():
        while not done.is_set():
            for name, sender in senders.items():
                try:
                    sender()
                    sent[name] += 1
                except OSError:
                    pass  # refused by the container's own rules, or its devices are gone
            time.sleep(0.001)

    def listen():
        while not done.is_set():
            try:
                heard[ear.recv(64).decode()] += 1
            except TimeoutError:
                pass

    threads = [threading.Thread(target=send), threading.Thread(target=listen)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    try:
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=LONGEST).returncode
        time.sleep(3)
    finally:
        done.set()
    for thread in threads:
        thread.join()
    return {"command_rc": code, "lives": inside.lives, "sent": sent, "heard": heard}


def main():
    try:
        for line in SETUP.strip().splitlines():
            ip(line)
        print(json.dumps(measure(sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3:])))
    finally:
        for words in ("netns delete leak-caller", "netns delete leak-outside"):
            ip(words, check=False)


if __name__ == "__main__":
    main()
