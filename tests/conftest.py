"""Lets the tests import the collection from the checkout by its full name. Which hooks there are stands in tests/support."""
import pathlib

from ansible.plugins.loader import init_plugin_loader

pytest_plugins = ["support.hosts", "support.ordering", "support.quiet", "support.reporting", "support.skips"]

init_plugin_loader([str(pathlib.Path(__file__).resolve().parents[1] / "collections")])
