"""What the tests share: hosts and how plays are run on them, the image they use, and in which order and how the tests run.

Importable as ``support`` (pytest.ini names this folder's parent). No test stands here.
"""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
"""The checkout."""
