"""What axe-core finds on a page of a report, in headless Chromium.

python tests/accessibility/axe.py PAGE.html ... prints the findings of each page. It needs Chromium and npm (Debian's packages of these names). npm fetches
axe-core by the hash in package-lock.json, from the registry of its own configuration, into BUNKER_CACHE.
"""
import hashlib
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
WIDTHS = {"phone": (390, 844), "desk": (1280, 900)}
SCHEMES = {"dark": 0, "light": 1}  # of Chromium's setting preferredColorScheme
SERIOUS = ("serious", "critical")
# All of the page is looked at: what is folded is opened first. The result goes into an element of its own, which is what Chromium prints.
LOOK = """
document.querySelectorAll('details').forEach(function (one) { one.open = true; });
axe.run(document, {resultTypes: ['violations']}).then(function (found) {
  var told = document.createElement('pre');
  told.id = 'axe-found';
  told.textContent = JSON.stringify({rules: found.passes.length + found.violations.length, found: found.violations.map(function (one) {
    return {rule: one.id, impact: one.impact, help: one.help, places: one.nodes.map(function (node) { return node.html.slice(0, 300); })};
  })});
  document.body.appendChild(told);
});
"""


def source():
    """Text of axe-core, fetched once for each lock."""
    lock = (HERE / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("BUNKER_CACHE") or tempfile.gettempdir()) / ("axe-" + hashlib.sha256(lock).hexdigest()[:16])
    file = cache / "node_modules" / "axe-core" / "axe.min.js"
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, cache / name)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=cache, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError("npm could not fetch axe-core: %s" % done.stderr[-1000:])
    return file.read_text(encoding="utf-8")


def instrumented(page):
    """The page with axe-core in it. Its policy, which forbids every other script, is taken out; nothing of what is looked at changes by that."""
    bare, policies = POLICY.subn("", page)
    if policies != 1 or bare.count("</body>") != 1:
        raise ValueError("a page of a report has one policy and one body; this one has %d and %d" % (policies, bare.count("</body>")))
    return bare.replace("</body>", "<script>%s</script><script>%s</script></body>" % (source().replace("</script", "<\\/script"), LOOK))


def look(page, size=WIDTHS["desk"], scheme=SCHEMES["light"], timeout=180):
    """(number of rules that applied, list of findings) of a page: findings are dicts with ``rule``, ``impact``, ``help``, ``places``.

    :param page: HTML of a report.
    :param size: (width, height) of the window, in CSS pixels.
    :param timeout: seconds of real time.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "page.html"
        file.write_text(instrumented(page), encoding="utf-8")
        done = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + folder + "/profile",
             "--window-size=%d,%d" % size, "--blink-settings=preferredColorScheme=%d" % scheme, "--virtual-time-budget=60000", "--dump-dom", file.as_uri()],
            capture_output=True, text=True, check=False, timeout=timeout)
    told = re.search(r'<pre id="axe-found">(.*?)</pre>', done.stdout, re.DOTALL)
    if not told:
        raise OSError("Chromium showed no result of axe-core (exit status %d): %s" % (done.returncode, done.stderr[-1000:]))
    read = json.loads(html.unescape(told.group(1)))
    return read["rules"], read["found"]


def serious(findings):
    """Those that keep somebody from reading or using the page."""
    return [one for one in findings if one["impact"] in SERIOUS]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for where, window in WIDTHS.items():
            for words, colours in SCHEMES.items():
                count, seen = look(pathlib.Path(name).read_text(encoding="utf-8"), window, colours)
                sys.stdout.write("%s, %s, %s: %d rules applied, %d findings\n" % (name, where, words, count, len(seen)))
                for one in seen:
                    sys.stdout.write("  %s %s: %s\n    %s\n" % (one["impact"], one["rule"], one["help"], "\n    ".join(one["places"][:5])))
