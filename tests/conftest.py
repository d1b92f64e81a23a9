"""Lets the tests import the collection from the checkout by its full name."""
import pathlib

from ansible.plugins.loader import init_plugin_loader

ROOT = pathlib.Path(__file__).resolve().parents[1]

init_plugin_loader([str(ROOT / "collections")])
