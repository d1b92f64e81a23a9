"""A headless Chromium for tests of pages, driven through its DevTools protocol over two pipes: no further package is needed.

The protocol is Chromium's own (--remote-debugging-pipe): messages of JSON that end with a NUL, read on file descriptor 3, written on 4.
"""
import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class Page:
    """A tab.

    :param process: the browser.
    :param incoming: file descriptor of what it says.
    :param outgoing: file descriptor of what it is told.
    """

    def __init__(self, process, incoming, outgoing):
        self.process, self.incoming, self.outgoing = process, incoming, outgoing
        self.count, self.rest, self.session, self.events = 0, b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def _next(self, ends):
        while b"\0" not in self.rest:
            ready, _writable, _failed = select.select([self.incoming], [], [], max(0, ends - time.monotonic()))
            part = os.read(self.incoming, 1 << 16) if ready else b""
            if not part:
                raise TimeoutError("Chromium says nothing; it has %s" % ("ended" if self.process.poll() is not None else "not ended"))
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, seconds=30, **parameters):
        """A command of the protocol; returns its result, raises RuntimeError for an error and TimeoutError after so many seconds."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.outgoing, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + seconds
        while True:
            said = self._next(ends)
            if said.get("id") == self.count:
                if "error" in said:
                    raise RuntimeError("%s: %s" % (method, said["error"]))
                return said["result"]
            self.events.append(said)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href.startsWith(%s)" % json.dumps(url.split("#", maxsplit=1)[0]))

    def run(self, script, seconds=30):
        """The value of a JavaScript expression; a promise is waited for."""
        found = self.call("Runtime.evaluate", seconds, expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"].get("exception", found["exceptionDetails"])))
        return found["result"].get("value")

    def until(self, script, seconds=20):
        """Waits until the expression is true; returns its value."""
        ends = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value:
                return value
            assert time.monotonic() < ends, "not within %d s: %s; the page: %s; %s" % (
                seconds, script, self.run("document.body && document.body.innerText"), self.complaints())
            time.sleep(0.05)

    def type(self, selector, text):
        """Types into an element as a person does."""
        self.run("document.querySelector(%s).focus()" % json.dumps(selector))
        self.call("Input.insertText", text=text)

    def click(self, selector):
        self.run("document.querySelector(%s).click()" % json.dumps(selector))

    def choose_file(self, selector, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"])

    def picture(self, path):
        """A picture of what it shows, PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def complaints(self):
        """What the browser logged as an error, violations of the page's policy among it, and exceptions that nobody caught."""
        return [event["params"] for event in self.events if event.get("method") == "Runtime.exceptionThrown"
                or event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"]

    def asked(self):
        """The addresses that it asked for, in order."""
        return [event["params"]["request"]["url"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]


@contextlib.contextmanager
def chromium():
    """A :class:`Page` of a fresh Chromium, which takes self-signed certificates. Debian's package chromium has it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "This test needs Chromium. Remedy: apt-get install chromium"
    folder = tempfile.mkdtemp(prefix="bunker-chromium-")
    told, heard = os.pipe(), os.pipe()

    # The shell puts the pipes at the two numbers that the protocol names.
    process = subprocess.Popen(
        ["bash", "-c", 'exec "$0" "$@" 3<&%d 4>&%d' % (told[0], heard[1]), program, "--headless=new", "--no-sandbox", "--disable-gpu",
         "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run", "--disable-component-update", "--ignore-certificate-errors",
         "--no-proxy-server", "--remote-debugging-pipe", "--user-data-dir=" + folder, "about:blank"],
        pass_fds=(told[0], heard[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(told[0])
    os.close(heard[1])
    try:
        yield Page(process, heard[0], told[1])
    finally:
        os.close(told[1])
        os.close(heard[0])
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
