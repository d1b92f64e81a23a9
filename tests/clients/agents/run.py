"""Runs programs that write code against the door, beside the node_modules of package-lock.json: each is to call a tool of its own and to answer.

    NODE_EXTRA_CA_CERTS=… python run.py URL KEY FOLDER [NAME …] > CELLS.json

:param URL: the gateway's, without /v1. Its model "executor" is tests/support/told_models.py's caller: offered tools, it calls one, and says that it is sunny
    only where a tool's result came back. The words of an answer are so the proof that all of it went through: tools, call, result.
:param KEY: a key of the gateway.
:param FOLDER: each program gets a home and a folder to work in below it; there is a file x there, which is what the model reads where it may only read.

Prints {name: {"version": text, "cells": {"tools": {"holds": bool, "said": text}}}}. Standard library only.
"""
import json
import os
import pathlib
import subprocess
import sys

URL, KEY, FOLDER = sys.argv[1:4]
QUESTION, SUNNY = "How is the weather?", "It is sunny there"
PACKAGES = pathlib.Path("node_modules").resolve()
LIMIT = 300
"""Seconds for one program. Some look for hosts of their maker when they start, which answer nobody here, and wait for that."""
CODEX = """model = "executor"
model_provider = "bunker"
model_context_window = 65536
[model_providers.bunker]
name = "bunker"
base_url = "%s/v1"
env_key = "BUNKER_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def lines(text):
    """The JSON objects that stand in lines of their own."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return [one for one in found if isinstance(one, dict)]


def claude_code(home):
    """Claude Code, by Anthropic's API."""
    program = PACKAGES / "@anthropic-ai/claude-code-linux-x64/claude"
    return [program, "--bare", "--print", QUESTION, "--model", "executor", "--tools", "Read", "--output-format", "json"], {
        "ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": KEY, "ANTHROPIC_SMALL_FAST_MODEL": "executor", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}, (
        lambda text: [one["result"] for one in lines(text) if one.get("type") == "result"])


def codex(home):
    """Codex, by the Responses API."""
    (home / "config.toml").write_text(CODEX % URL, encoding="utf-8")
    return [PACKAGES / ".bin/codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only", "--json", QUESTION], {
        "CODEX_HOME": str(home), "BUNKER_KEY": KEY, "CODEX_CA_CERTIFICATE": os.environ.get("NODE_EXTRA_CA_CERTS", "")}, (
        lambda text: [one["item"]["text"] for one in lines(text) if one.get("item", {}).get("type") == "agent_message"])


def opencode(home):
    """opencode, by the chat API."""
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps({
        "autoupdate": False, "share": "disabled", "model": "bunker/executor", "small_model": "bunker/executor", "provider": {"bunker": {
            "npm": "@ai-sdk/openai-compatible", "name": "bunker", "options": {"baseURL": URL + "/v1", "apiKey": KEY},
            "models": {"executor": {"name": "executor", "tool_call": True, "limit": {"context": 65536, "output": 200}}}}}}), encoding="utf-8")
    return [PACKAGES / "opencode-linux-x64/bin/opencode", "run", "--format", "json", QUESTION], {
        "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1"}, (
        lambda text: [one["part"]["text"] for one in lines(text) if one.get("type") == "text"])


def pi(home):
    """pi, by the chat API."""
    folder = home / ".pi" / "agent"
    folder.mkdir(parents=True)
    (folder / "models.json").write_text(json.dumps({"providers": {"bunker": {"baseUrl": URL + "/v1", "api": "openai-completions", "apiKey": KEY, "models": [
        {"id": "executor", "name": "executor", "reasoning": False, "input": ["text"], "contextWindow": 65536, "maxTokens": 200,
         "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}}]}}}), encoding="utf-8")
    return [PACKAGES / ".bin/pi", "--offline", "--no-session", "--model", "bunker/executor", "--tools", "read", "--mode", "json", "--print", QUESTION], {
        "PI_OFFLINE": "1", "PI_TELEMETRY": "0"}, (
        lambda text: [part["text"] for one in lines(text) if one.get("type") == "agent_end" for part in one["messages"][-1]["content"]])


def qwen_code(home):
    """qwen-code, by the chat API."""
    return [PACKAGES / ".bin/qwen", "--auth-type", "openai", "--model", "executor", "--core-tools", "read_file", "--output-format", "stream-json", QUESTION], {
        "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": URL + "/v1", "OPENAI_MODEL": "executor"}, (
        lambda text: [one["result"] for one in lines(text) if one.get("type") == "result" and "result" in one])


AGENTS = {"Claude Code": (claude_code, "@anthropic-ai/claude-code"), "Codex": (codex, "@openai/codex"), "opencode": (opencode, "opencode-ai"),
          "pi": (pi, "@mariozechner/pi-coding-agent"), "qwen-code": (qwen_code, "@qwen-code/qwen-code")}


def cell(name, make):
    """What came of one program."""
    home, work = pathlib.Path(FOLDER) / name.replace(" ", "-") / "home", pathlib.Path(FOLDER) / name.replace(" ", "-") / "work"
    for folder in (home, work):
        folder.mkdir(parents=True)
    (work / "x").write_text("sunny\n", encoding="ascii")
    command, variables, answers = make(home)
    environment = dict(os.environ, HOME=str(home), NO_PROXY="*", **variables)
    try:
        done = subprocess.run(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LIMIT)
        output, errors = done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        output, errors = ((text or b"").decode(errors="replace") for text in (late.stdout, late.stderr))
        errors += " (ended after %d seconds)" % LIMIT
    found = answers(output)
    if found and found[-1].strip() == SUNNY:
        return {"holds": True, "said": found[-1].strip()}
    return {"holds": False, "said": ("%s | %s" % (output[-600:], errors[-400:]))}


def main():
    found = {}
    for name in sys.argv[4:] or AGENTS:
        make, package = AGENTS[name]
        version = json.loads((PACKAGES / package / "package.json").read_text(encoding="utf-8"))["version"]
        found[name] = {"version": version, "how": make.__doc__.rstrip("."), "cells": {"tools": cell(name, make)}}
    print(json.dumps(found, indent=1))


main()
