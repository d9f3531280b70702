"""A compiled transformer beside other components that write `doc.tensor`."""

from pathlib import Path
from typing import Any, Dict, List

import numpy
import pytest
import spacy
from numpy.testing import assert_array_equal
from spacy.language import Language
from spacy.tokens import Doc

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.listener import KEY

from .. import encoders, helpers

WIDTH = 64  # Of the tiny encoder
WINDOWS = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 32, "stride": 24}


@Language.component("tests_marks_tensor")
def marks_tensor(doc: Doc) -> Doc:
    """Write `doc.tensor` without saying so."""
    doc.tensor = doc.to_array(["LENGTH"]).reshape(-1, 1).repeat(WIDTH, axis=1).astype("float32")
    return doc


def make_reference(encoder: Path, pipeline: List[str], width: int, folder: Path) -> Path:
    """Save a pipeline with random weights: the tagger reads the tok2vec, the ner the transformer.

    RETURNS (Path): Its folder.
    """
    config: Dict[str, Any] = encoders.make_config(encoder, **WINDOWS)
    blocks = {
        "tok2vec": {
            "factory": "tok2vec",
            "model": {
                "@architectures": "spacy.HashEmbedCNN.v2",
                "width": width,
                "depth": 2,
                "embed_size": 300,
                "window_size": 1,
                "maxout_pieces": 2,
                "subword_features": True,
                "pretrained_vectors": None,
            },
        },
        "tagger": {
            "factory": "tagger",
            "model": {
                "@architectures": "spacy.Tagger.v2",
                "nO": None,
                "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": width, "upstream": "*"},
            },
        },
        "marks_tensor": {"factory": "tests_marks_tensor"},
    }
    config["components"].update({name: block for name, block in blocks.items() if name in pipeline})
    config["nlp"]["pipeline"] = pipeline
    nlp = encoders.initialize(config)
    # Untrained last layers give the same to all tokens, or nearly.
    last_layers = [nlp.get_pipe("ner").model.get_ref("lower")]
    if "tagger" in pipeline:
        last_layers += [node for node in nlp.get_pipe("tagger").model.walk() if node.name == "softmax"]
    for layer in last_layers:
        layer.set_param("W", numpy.random.default_rng(0).normal(size=layer.get_param("W").shape).astype("float32"))
    nlp.to_disk(folder)
    return folder


def annotate(docs) -> List[Any]:
    """RETURNS (List): Tags and entities of each Doc."""
    return [([token.tag_ for token in doc], helpers.get_entities(doc)) for doc in docs]


ORDERS = [
    (["tok2vec", "transformer", "tagger", "ner"], WIDTH),
    (["tok2vec", "transformer", "tagger", "ner"], 48),
    (["transformer", "tok2vec", "tagger", "ner"], 48),
    (["transformer", "marks_tensor", "ner"], WIDTH),
]


@pytest.mark.parametrize(
    "pipeline, width", ORDERS, ids=lambda value: "-".join(value) if isinstance(value, list) else value
)
def test_each_listener_reads_its_own_vectors(tiny_encoder, dev_corpus, tmp_path, pipeline, width):
    reference_path = make_reference(tiny_encoder, pipeline, width, tmp_path / "reference")
    texts = [doc.text for doc in helpers.read_docs(dev_corpus)]
    reference = spacy.load(reference_path)
    expected = [reference(text) for text in texts]
    assert sum(len(doc.ents) for doc in expected) > 3
    nlp = spacy.load(helpers.compile_reference(reference_path, tmp_path))
    assert nlp.config["components"]["transformer"]["vectors_in"] == "doc.user_data"
    assert annotate(map(nlp, texts)) == annotate(expected)
    for settings in ({"batch_size": 1}, {"batch_size": 5}, {"batch_size": 100}, {"batch_size": 4, "n_process": 2}):
        docs = list(nlp.pipe(texts, **settings))
        assert annotate(docs) == annotate(expected)
        for doc, expected_doc in zip(docs, expected):
            assert_array_equal(doc.tensor.shape, expected_doc.tensor.shape)
    if "tagger" in pipeline:
        assert len({tag for tags, _ in annotate(expected) for tag in tags}) > 2


def test_vectors_are_there_in_copies_and_bytes(tiny_encoder, dev_corpus, tmp_path):
    """A Doc may be sent to another process, or copied, before the components that listen."""
    pipeline, width = ORDERS[0]
    reference_path = make_reference(tiny_encoder, pipeline, width, tmp_path / "reference")
    nlp = spacy.load(helpers.compile_reference(reference_path, tmp_path))
    text = helpers.read_docs(dev_corpus)[0].text
    with nlp.select_pipes(disable=["ner"]):
        doc = nlp(text)
    recognizer = nlp.get_pipe("ner")
    expected = helpers.get_entities(nlp(text))
    for other in (doc.copy(), Doc(nlp.vocab).from_bytes(doc.to_bytes())):
        assert_array_equal(other.user_data[KEY], doc.user_data[KEY])
        assert helpers.get_entities(recognizer(other)) == expected
    with pytest.raises(ValueError, match="has no vectors of the compiled transformer.*Run the transformer before"):
        recognizer(nlp.make_doc(text))


def test_doc_tensor_has_them_where_nothing_else_writes_it(compiled_path, dev_corpus):
    nlp = spacy.load(compiled_path)
    doc = nlp(helpers.read_docs(dev_corpus)[0].text)
    assert doc.tensor.shape == (len(doc), WIDTH)
    assert not doc.user_data


def test_annotated_files_have_no_vectors(tmp_path):
    pytest.importorskip("pyarrow")
    from scripts.annotation.outputs import DocBinOutput
    from scripts.annotation.settings import RowSettings

    doc = spacy.blank("en")("Ada met Karl.")
    doc.user_data[KEY] = numpy.zeros((len(doc), WIDTH), dtype="float32")
    output = DocBinOutput(RowSettings(with_text=True))
    output.add("a", doc)
    output.write(tmp_path / "annotated.spacy")
    assert [kept.user_data for kept in helpers.read_docs(tmp_path / "annotated.spacy")] == [{"id": "a"}]
