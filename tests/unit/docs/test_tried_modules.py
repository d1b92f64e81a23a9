"""README says how many modules that run on hosts no old Python has run: tests/targets/modules.yml calls the others."""
import re

from support import ROOT

NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def test_the_modules_that_are_only_compiled_are_as_many_as_readme_says():
    played = set(re.findall(r"(?m)^ +protocol_omni\.bunker\.(\w+):", (ROOT / "tests" / "targets" / "modules.yml").read_text(encoding="utf-8")))
    on_controllers = {path.stem for path in (ROOT / "plugins" / "action").glob("*.py")}
    left = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} - on_controllers - played
    assert len(played) > 20 and {"gpu_placement", "service_speed"} <= left
    said = "%s, such as `gpu_placement` and `service_speed`, are compiled there and no more" % NUMBERS[len(left)]
    assert said in (ROOT / "README.md").read_text(encoding="utf-8"), sorted(left)
