# Copyright: Contributors to protocol_omni.bunker
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: screen
type: stdout
short_description: A screen that shows how a host is taken to answering services
version_added: 0.6.0
author: Protocol OMNI maintainers (@protocol-omni)
description:
  - Shows the phases of C(site.yml) with the time that each takes, about how long the run will still take, the present step with the last line of its log,
    and at the end the claims as a table (by role, what fails first), who answers where, and a call that can be pasted.
  - Where standard output is no terminal, where C(TERM) is V(dumb), with O(plain), or with C(-v), it writes lines for logs instead. Steps and failures are
    not cut in them; the table of claims at the end cuts what holds.
  - A step that fails is told with its cause first. Steps that change nothing are counted and not told.
  - The time that remains is told by earlier runs of the same kind (playbook, hosts, tags, names of extra variables; see O(cache)), before there are any by
    first values. It is said with C(about), and not at all where nothing is known of such a run.
  - Warnings and what tasks print stay above the region that is drawn.
  - Colour is left out where E(NO_COLOR) is set. Letters outside ASCII are left out where the encoding of standard output is no Unicode.
options:
  plain:
    description: Lines for logs, also on a terminal.
    type: bool
    default: false
    env: [{name: BUNKER_PLAIN}]
  ascii:
    description: Write ASCII alone.
    type: bool
    default: false
    env: [{name: BUNKER_ASCII}]
  cache:
    description:
      - Folder whose file C(durations.json) remembers how long each phase took, in seconds; the last five runs of each of forty kinds.
      - Without it nothing is remembered. C(./bunker) sets it.
    type: path
    env: [{name: BUNKER_CACHE}]
  refresh:
    description: Seconds between two pictures of the screen.
    type: float
    default: 0.5
    env: [{name: BUNKER_REFRESH}]
notes:
  - Set as the standard output of C(ansible-playbook) with C(ANSIBLE_STDOUT_CALLBACK=protocol_omni.bunker.screen); C(./bunker deploy) and C(./bunker demo) do.
"""

import atexit
import os
import signal
import sys
import threading
import time

from ansible import constants, context
from ansible.plugins.callback import CallbackBase

from ansible_collections.protocol_omni.bunker.plugins.plugin_utils.screen import (
    duration_file, durations, failure, live, plain, run, style, summary, terminal,
)

OWN_REPORT = "/playbooks/tasks/report.yml"  # what its tasks print is told at the end
REBOOT = "the host restarts; the run goes on when it answers"


def entry_of(task):
    """(role, file) that the play takes: of the outermost role that a task was included by."""
    found, parent = (task._role.get_name().rpartition(".")[2], "main") if task._role else ("", ""), task._parent
    while parent is not None:
        if getattr(parent, "_role_name", None):
            found = parent._role_name.rpartition(".")[2], os.path.splitext(parent._from_files.get("tasks", "main"))[0]
        parent = getattr(parent, "_parent", None)
    return found


def parts(result):
    """(name of the host, task, dict) of a task's result. Its names were private until they became properties of a callback's own class."""
    if hasattr(result, "result"):
        return result.host.get_name(), result.task, result.result
    return result._host.get_name(), result._task, result._result


def is_unicode(stream):
    """Whether a stream can say what the screen draws."""
    try:
        "✓●─…".encode(stream.encoding or "ascii")
    except (LookupError, UnicodeError):
        return False
    return True


class CallbackModule(CallbackBase):
    """Turns Ansible's events into the state of a run, and draws it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "protocol_omni.bunker.screen"

    def __init__(self, display=None, options=None):
        super().__init__(display=display, options=options)
        self.lock, self.stopped = threading.RLock(), threading.Event()
        self.run, self.process, self.variables, self.spoke, self.handlers = None, None, {}, 0.0, {}
        self.playbook, self.kind = "", ""

    def _begin(self, title):
        self.out, self.error = sys.stdout, sys.stderr
        self.process = os.getpid()
        self.live = (self.out.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not self.get_option("plain") and self._display.verbosity == 0)
        self.unicode = is_unicode(self.out) and not self.get_option("ascii")
        self.colour = self.out.isatty() and not os.environ.get("NO_COLOR") and not constants.ANSIBLE_NOCOLOR and os.environ.get("TERM", "dumb") != "dumb"
        self.terminal = terminal.Terminal(self.out.fileno()) if self.live else None
        self.run = run.Run(title, time.monotonic(), check=bool(context.CLIARGS.get("check")))
        atexit.register(self._left)
        for ending in (signal.SIGTERM, signal.SIGHUP):  # which end a process without its atexit
            if threading.current_thread() is threading.main_thread() and signal.getsignal(ending) is not signal.SIG_IGN:
                self.handlers[ending] = signal.signal(ending, self._ended)
        # Whatever else is printed (warnings, how far a long task is) comes here, or it would be drawn over.
        sys.stdout, sys.stderr = terminal.Catcher(self._said, self.out.encoding), terminal.Catcher(self._said, self.error.encoding)
        threading.Thread(target=self._tick, daemon=True).start()

    def _durations(self):
        """Path of the file that remembers; empty where none is wanted."""
        folder = self.get_option("cache")
        return os.path.join(folder, "durations.json") if folder else ""

    def _expect(self, hosts):
        """Looks up what is known of such runs. What cannot be read is said, and does not end the run."""
        asked, records = context.CLIARGS, {}
        self.kind = durations.kind(self.playbook, hosts, asked)
        try:
            records = duration_file.read(self._durations()) if self._durations() else {}
        except ValueError as error:
            self._said("What earlier runs took is not known, and first values are told: %s. Remove that file; it is made anew." % error)
        part = bool(set(asked.get("tags") or ()) - {"all"} or asked.get("skip_tags") or asked.get("start_at_task"))
        variables = next(iter(self.variables.values()), {})
        self.run.expected = durations.expected(records, self.playbook, self.kind, variables, self.run.check, part)

    def _remember(self):
        if not self._durations() or not self.kind:
            return
        try:
            try:
                records = duration_file.read(self._durations())  # anew: another run may have ended meanwhile
            except ValueError:
                records = {}  # said at the beginning
            duration_file.write(self._durations(), durations.remember(records, self.kind, self.run))
        except OSError as error:
            self._write(["How long this run took is not remembered: %s" % error])

    def _look(self):
        return style.Style(self.terminal.size()[0] if self.live else plain.WIDTH, self.colour, self.unicode)

    def _write(self, lines):
        """Lines that stay."""
        self.spoke = time.monotonic()
        if self.live:
            self.terminal.above(lines)
            return
        try:
            self.out.write("".join(line + "\n" for line in lines))
            self.out.flush()
        except OSError:
            pass  # a pipe that nobody reads any more does not end the run

    def _said(self, text):
        if os.getpid() != self.process:
            return
        with self.lock:
            notes, now = self.run.said(text), time.monotonic()
            if self.run.ended is not None:
                self._write(text.splitlines())
            elif self.live:
                if notes:
                    self._write([line for note in notes for line in live.note_lines(note, self._look())])
                    self._draw()
            else:
                self._write([plain.said(self.run, line, now, self._look()) for line in text.splitlines() if line.strip()])

    def _draw(self):
        if self.live and self.run.ended is None:
            self.terminal.draw(live.lines(self.run, time.monotonic(), self._look(), self.terminal.size()[1]))

    def _tick(self):
        while not self.stopped.wait(self.get_option("refresh") if self.live else 5):
            with self.lock:
                now = time.monotonic()
                if self.live:
                    self._draw()
                elif self.run.ended is None and self.run.step.name and now - self.spoke >= plain.QUIET:
                    self._write([plain.still(self.run, now, self._look())])

    def _end(self):
        """The last picture: all of it stays."""
        self.stopped.set()
        self._remember()
        hosts = [host for host, _rows in self.run.claims()]
        where = os.path.join(self._report_folder(hosts), "%s.html" % hosts[0]) if hosts else ""
        self._write(summary.lines(self.run, self._look(), self.variables, where))
        if self.live:
            self.terminal.close()
        sys.stdout, sys.stderr = self.out, self.error

    def _report_folder(self, hosts):
        return str((self.variables.get(hosts[0]) or {}).get("bunker_report_path") or "reports") if hosts else ""

    def _left(self):
        """The process ends: where the run has not, it was interrupted."""
        if self.run is None or os.getpid() != self.process or self.stopped.is_set():
            return
        with self.lock:
            self.run.interrupt(time.monotonic())
            self._end()

    def _ended(self, ending, frame):
        """Says that the run was interrupted, then does what would have been done: Ansible's own handler ends its workers."""
        self._left()
        signal.signal(ending, self.handlers[ending] or signal.SIG_DFL)
        if callable(self.handlers[ending]):
            self.handlers[ending](ending, frame)
        else:
            os.kill(os.getpid(), ending)

    def v2_playbook_on_start(self, playbook):
        self.playbook = os.path.basename(playbook._file_name)
        self._begin(self.playbook)

    def v2_playbook_on_play_start(self, play):
        with self.lock:
            manager = play.get_variable_manager()
            names = [host.get_name() for host in manager._inventory.get_hosts(play.hosts)] if manager else []
            if manager and not self.variables:
                options = {"ansible_connection": context.CLIARGS.get("connection"), "ansible_user": context.CLIARGS.get("remote_user")}
                given = {name: value for name, value in options.items() if value}
                self.variables = {host.get_name(): {**given, **manager.get_vars(host=host, include_hostvars=False)}
                                  for host in manager._inventory.get_hosts(play.hosts)}
                self.run.title = "%s on %s" % (self.run.title, ", ".join(names))
                if not self.live:
                    self._write([plain.began(self.run, self._look())])  # not before it is known on which hosts
                self._expect(names)
            self.run.play(play.get_name(), names, time.monotonic())
            self._draw()

    def v2_playbook_on_task_start(self, task, is_conditional):
        with self.lock:
            role, entry = entry_of(task)
            now, note = time.monotonic(), REBOOT if task.action.rpartition(".")[2] == "reboot" else ""
            begun = self.run.task(task.get_name().rpartition(" : ")[2].strip(), role, entry, now, note)
            if begun and not self.live:
                self._write([plain.phase(self.run, begun, now, self._look())])
            self._draw()

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result):
        with self.lock:
            host, task, found = parts(result)
            self._handle_warnings_and_exception(result)
            now, changed = time.monotonic(), bool(found.get("changed"))
            self.run.result(host, changed, found.get("ansible_facts"))
            line = plain.step(self.run, host, now, changed, self._look())
            if line and not self.live:
                self._write([line])
            if task.action.rpartition(".")[2] == "debug" and OWN_REPORT not in (task.get_path() or "") and "results" not in found:
                self._debugged(host, found)

    def v2_runner_retry(self, result):
        with self.lock:
            host, _task, found = parts(result)
            self.run.tried(host, found.get("attempts", "?"), found.get("retries", "?"))
            self._draw()

    def v2_runner_item_on_ok(self, result):
        host, task, found = parts(result)
        with self.lock:
            if not found.get("_ansible_no_log") and "censored" not in found:
                self.run.item(host, found.get("_ansible_item_label", ""))
                self._draw()
        if task.action.rpartition(".")[2] == "debug":
            with self.lock:
                self._debugged(host, found)

    def _debugged(self, host, found):
        message = found.get("msg")
        for line in message if isinstance(message, list) else str(message or "").splitlines():
            self._said("%s: %s" % (host, line))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        with self.lock:
            host, _task, found = parts(result)
            if not ignore_errors:
                self.run.failed(host, failure.cause(found))
            if not self.live:
                told = self.run.failures[-1] if not ignore_errors else run.Failure(host, self.run.phase, self.run.step.name, failure.cause(found))
                self._write(plain.failed(self.run, told, time.monotonic(), ignore_errors, self._look()))

    def v2_runner_on_unreachable(self, result):
        self.v2_runner_on_failed(result)

    def v2_on_file_diff(self, result):
        host, task, found = parts(result)
        for one in found.get("results") or [found] if task.loop else [found]:
            if isinstance(one, dict) and one.get("diff") and (one.get("changed") or context.CLIARGS.get("check")):
                with self.lock:
                    self._write(["%s: %s" % (host, task.get_name())] + [style.clean(line) for line in self._get_diff(one["diff"]).splitlines()])
                    self._draw()

    def v2_playbook_on_no_hosts_matched(self):
        self._said("no host of the inventory matched")

    def v2_playbook_on_stats(self, stats):
        with self.lock:
            counts = {host: {key: getattr(stats, word).get(host, 0) for key, word in (
                ("failures", "failures"), ("unreachable", "dark"), ("rescued", "rescued"), ("changed", "changed"))} for host in stats.processed}
            self.run.finish(time.monotonic(), counts)
            self._end()
