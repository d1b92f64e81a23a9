"""Files of a model by their roles."""
from ansible_collections.protocol_omni.bunker.plugins.module_utils import model_files

FILES = [{"name": "mmproj.gguf", "role": "projector"}, {"name": "m-00001-of-00002.gguf"}, {"name": "m.jinja", "role": "chat_template"},
         {"name": "a.gguf", "role": "adapter", "scale": 0.5}, {"name": "m-00002-of-00002.gguf", "role": "weights"}, {"name": "b.gguf", "role": "adapter"}]


def names(files):
    return [entry["name"] for entry in files]


def test_what_names_no_role_is_weights_wherever_it_stands():
    assert names(model_files.weights(FILES)) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert names(model_files.ordered(FILES)) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "mmproj.gguf", "m.jinja", "a.gguf", "b.gguf"]


def test_llama_server_is_given_each_by_its_option():
    assert model_files.server_words(FILES) == ["--mmproj", "/models/mmproj.gguf", "--chat-template-file", "/models/m.jinja",
                                               "--lora-scaled", "/models/a.gguf:0.5,/models/b.gguf:1"]
    assert model_files.server_words([{"name": "m.gguf"}]) == []


def test_a_scale_in_quotes_is_a_number_as_the_validation_has_it():
    """The catalogue comes as it was written; its types are only looked at."""
    files = [{"name": "a.gguf", "role": "adapter", "scale": "0.50"}, {"name": "b.gguf", "role": "adapter", "scale": "-1"}]
    assert model_files.server_words(files) == ["--lora-scaled", "/models/a.gguf:0.5,/models/b.gguf:-1"]


def test_a_projector_is_on_the_first_card_and_adapters_are_where_their_tensors_are():
    sizes = {"mmproj.gguf": 100, "a.gguf": 7, "b.gguf": 5}
    assert model_files.beside_weights(FILES, lambda entry: sizes[entry["name"]]) == {"first": 100, "each": 12}
    assert model_files.beside_weights([{"name": "m.gguf"}], lambda entry: sizes[entry["name"]]) == {"first": 0, "each": 0}
