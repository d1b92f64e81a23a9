"""daemon.json as people leave it: refused by its line, with what was found, what is needed and a command; never a traceback."""
import codecs

import pytest

from ansible_collections.protocol_omni.bunker.plugins.module_utils import daemon_config

PATH = "/etc/docker/daemon.json"


@pytest.mark.parametrize("content, options", [
    (b"", {}), (b"{}", {}), (b'{"data-root": "/nvme/docker", "debug": true}\n', {"data-root": "/nvme/docker", "debug": True}),
    ('{"labels": ["Küche"]}'.encode(), {"labels": ["Küche"]}), (b'\r\n{"log-driver": "local"}\r\n', {"log-driver": "local"}),
    (b'{"data-root": null}', {"data-root": None}), (b'{"a": {"b": 1.5}, "b": {"a": 2e3}}', {"a": {"b": 1.5}, "b": {"a": 2000.0}}),
    (b'{"registry-mirrors": ["https://mirror.example/#a", "http://b//c"]}',
     {"registry-mirrors": ["https://mirror.example/#a", "http://b//c"]})])
def test_sound_ones(content, options):
    assert daemon_config.options_of(content) == options


REFUSED = {
    "a byte order mark": (codecs.BOM_UTF8 + b"{}", "%s, line 1: found a byte order mark; needed UTF-8 without one. Remove it: sed -i" % PATH),
    "UTF-16, as an editor of Windows writes it": (
        '{"debug": true}'.encode("utf-16"), "line 1: found UTF-16; needed UTF-8. Convert it: iconv -f UTF-16 -t UTF-8 " + PATH),
    "UTF-32": ("{}".encode("utf-32"), "found UTF-32; needed UTF-8"),
    "Latin-1": (
        '{\n "labels": ["x"],\n "data-root": "/K\xfcche"\n}'.encode("latin-1"), "line 3: found the byte 0xfc, which is no UTF-8; needed UTF-8. Correct"),
    "a comment above": (b'// written by hand\n{"debug": true}', "line 1: found a comment (// written by hand); needed JSON"),
    "a comment of a shell": (b'{\n  # more to come\n  "debug": true\n}', "line 2: found a comment (# more to come)"),
    "a comment behind a value": (b'{\n  "debug": true, // for now\n  "ip": "127.0.0.1"\n}', "line 2: found a comment (// for now)"),
    "a comment in the middle": (b'{\n  "debug": /* why */ true\n}', "line 2: found a comment (/* why */ true)"),
    "a comment behind it": (b'{"debug": true}\n// the end\n', "line 2: found a comment (// the end)"),
    "a comma too many": (b'{\n  "debug": true,\n}', "line 2"),
    "a comma too few": (b'{\n  "debug": true\n  "ip": "x"\n}', "line 3: found '\"ip\": \"x\"' (Expecting ',' delimiter, column 3); needed a JSON object"),
    "single quotes": (b"{'debug': true}", "line 1: found \"{'debug': true}\""),
    "cut off": (b'{\n  "debug": tr', "line 2: found"),
    "cut off at a line's end": (b'{\n', "line 2: found its end"),
    "spaces alone": (b" \n\n", "line 3: found its end (Expecting value, column 1); needed a JSON object"),
    "a list": (b"[]", "line 1: found a list; needed a JSON object. It is merged into, never overwritten"),
    "null": (b"null", "found null;"), "a number": (b"7", "found a number"), "a text": (b'"x"', "found a text"), "a word": (b"true", "found a word"),
    "no number": (b'{"shutdown-timeout": NaN}', "found the word NaN, which is no JSON"),
    "a number that no file can hold": (b'{"shutdown-timeout": 1e999}', "found the number 1e999, which is larger than any that can be written back; needed"),
    "a name twice": (
        b'{"debug": true,\n "features": {"cdi": true},\n "features": {"containerd-snapshotter": false}}', 'the name "features" twice in one object'),
    "a name twice, deeper": (b'{"features": {"cdi": true, "cdi": false}}', 'the name "cdi" twice in one object'),
    "too deep": (b"[" * 100000, "objects in objects without end"),
    "a root that is no path": (b'{"data-root": 5}', "a data-root that is no text; needed a path"),
    "zeros after a crash": (b"\0" * 64, "line 1: found"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_merged_into_is_refused_by_line_with_a_remedy(name):
    content, part = REFUSED[name]
    with pytest.raises(daemon_config.Refused) as refused:
        daemon_config.options_of(content)
    said = str(refused.value)
    assert part in said and said.startswith(PATH) and said.count("\n") == 0 and "; needed " in said
    assert any(remedy in said for remedy in ("python3 -m json.tool", "sed -i", "iconv"))


@pytest.mark.parametrize("name", REFUSED)
def test_the_remedy_does_something_about_it(name):
    """python3 -m json.tool alone only says once more that it is wrong."""
    with pytest.raises(daemon_config.Refused) as refused:
        daemon_config.options_of(REFUSED[name][0])
    said = str(refused.value)
    assert "sed -i" in said or "iconv" in said or said.endswith("Or set it aside, and its options are written anew: mv %s %s.aside" % (PATH, PATH))


def test_the_remedy_for_a_byte_order_mark_works(tmp_path):
    import subprocess
    path = tmp_path / "daemon.json"
    path.write_bytes(codecs.BOM_UTF8 + b'{"debug": true}\n')
    with pytest.raises(daemon_config.Refused) as refused:
        daemon_config.options_of(path.read_bytes(), str(path))
    subprocess.run(str(refused.value).partition("Remove it: ")[2], shell=True, check=True)
    assert daemon_config.options_of(path.read_bytes(), str(path)) == {"debug": True}


def test_containerds_configuration_is_read_as_strictly():
    assert daemon_config.text_of('root = "/ü"\n'.encode(), "/etc/containerd/config.toml") == 'root = "/ü"\n'
    with pytest.raises(daemon_config.Refused, match=r"^/etc/containerd/config.toml, line 2: found the byte 0xff"):
        daemon_config.text_of(b"version = 2\nroot = '\xff'\n", "/etc/containerd/config.toml")
