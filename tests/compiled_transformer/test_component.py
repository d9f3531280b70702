"""The compiled transformer as a spaCy component: streams, settings, and who may train."""

import threading
from typing import List

import pytest
import spacy
from numpy.testing import assert_allclose, assert_array_equal
from spacy.cli.train import train
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config
from thinc.api import Adam

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer import engines

from .. import helpers
from .checks import assert_same, read_component, read_files

# Batches in a stream


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_is_the_callers(compiled_path, texts, threads):
    """With more, the next batch is encoded beside the components downstream."""
    nlp = spacy.load(compiled_path, config={"components.transformer.threads": threads})
    component = nlp.get_pipe("transformer")
    predict, used = component.predict, set()

    def predict_and_note(docs):
        used.add(threading.get_ident())
        return predict(docs)

    component.predict = predict_and_note
    entities = [[str(ent) for ent in doc.ents] for doc in nlp.pipe(texts, batch_size=2)]
    assert (used == {threading.get_ident()}) == (threads == 1)
    assert entities == [[str(ent) for ent in nlp(text).ents] for text in texts]


@pytest.mark.parametrize("threads", [1, 2])
def test_failed_batch_goes_to_the_error_handler(compiled_path, texts, threads):
    """The others come out, in order."""
    config = {"components.transformer.spans": "sent", "components.transformer.threads": threads}
    nlp = spacy.load(compiled_path, config=config, exclude=["sentencizer"])
    failed = []
    nlp.get_pipe("transformer").set_error_handler(lambda *arguments: failed.append(arguments))
    whole = [
        Doc(nlp.vocab, words=text.split(), sent_starts=[True] + [False] * (len(text.split()) - 1)) for text in texts
    ]
    without_sentences = Doc(nlp.vocab, words=["no", "sentences"])
    docs = list(nlp.pipe([*whole[:4], without_sentences, *whole[4:]], batch_size=2))
    ((name, _, batch, error),) = failed
    assert name == "transformer"
    assert without_sentences in batch and len(batch) == 2
    assert "E030" in str(error)
    assert docs == [doc for doc in whole if doc not in batch]
    assert all(doc.tensor.any() for doc in docs)


def test_errors_of_a_batch_and_of_the_stream_are_raised(compiled_path, texts):
    nlp = spacy.load(compiled_path, config={"components.transformer.spans": "sent"}, exclude=["sentencizer"])
    with pytest.raises(ValueError, match="E030"):
        list(nlp.pipe(texts, batch_size=2))

    def broken_stream():
        yield from texts[:5]
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        list(spacy.load(compiled_path).pipe(broken_stream(), batch_size=2))


def test_stream_may_be_left_early(compiled_path, texts, expected):
    nlp = spacy.load(compiled_path)
    docs = nlp.pipe(texts, batch_size=2)
    assert_same([next(docs)], expected[:1], atol=1e-5)
    docs.close()
    for doc, other in zip(nlp.pipe(texts, batch_size=3), expected):
        assert helpers.get_entities(doc) == helpers.get_entities(other)


# Settings


@pytest.mark.parametrize(
    "config",
    [{"components": {"transformer": {"threads": 1}}}, {"components.transformer.threads": 1}],
    ids=["nested", "dotted"],
)
def test_settings_can_be_overridden_at_load(compiled_path, texts, monkeypatch, config):
    started = []

    def start(manifest, files, device, threads, *others):
        started.append((device, threads))
        return engines.start_engine(manifest, files, device, threads, *others)

    monkeypatch.setattr("scripts.compiled_transformer.encoder.start_engine", start)
    monkeypatch.setattr("scripts.compiled_transformer.cpu.available_cores", lambda: 7)
    spacy.load(compiled_path)(texts[0])
    spacy.load(compiled_path, config=config)(texts[0])
    assert started == [("cpu", 7), ("cpu", 1)]


def test_settings_are_saved(compiled_path, tmp_path):
    config = {"components.transformer.batch_wordpieces": 99, "components.transformer.stride": 50}
    spacy.load(compiled_path, config=config).to_disk(tmp_path / "saved")
    attrs = spacy.load(tmp_path / "saved").get_pipe("transformer").model.attrs
    assert attrs["batch_wordpieces"] == 99
    assert attrs["stride"] == 50
    assert attrs["window"] == spacy.load(compiled_path).get_pipe("transformer").model.attrs["window"]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"spans": "paragraph"}, ["'spans'", "'paragraph'", "strided, doc, sent"]),
        ({"device": "tpu"}, ["'device'", "'tpu'", "cpu, cuda"]),
        ({"window": 0}, ["'window'", "is 0", "from 1 up"]),
        ({"stride": -3}, ["'stride'", "is -3", "from 1 up"]),
        ({"batch_wordpieces": 0}, ["'batch_wordpieces'", "is 0", "from 1 up"]),
        ({"threads": 0}, ["'threads'", "is 0", "from 1 up"]),
        ({"warm_up_lengths": [16, 20]}, ["'warm_up_lengths'", "has 20", "multiples of 16"]),
        ({"warm_up_lengths": [0]}, ["'warm_up_lengths'", "has 0", "multiples of 16"]),
        ({"window": 10, "stride": 11}, ["'stride'", "(11)", "'window'", "(10)"]),
        ({"window": "many"}, ["window", "many"]),
        ({"threads": 1.5}, ["threads", "1.5"]),
        ({"threads": True}, ["threads", "True"]),
    ],
    ids=str,
)
def test_invalid_settings_are_named(compiled_path, settings, message):
    with pytest.raises(ValueError) as error:
        spacy.load(compiled_path, config={"components": {"transformer": settings}})
    for part in message:
        assert part in str(error.value)


# Training


def make_examples(nlp: Language, docs: List[Doc]) -> List[Example]:
    """RETURNS (List[Example]): Examples with the entities that are in the Docs."""
    return [Example(helpers.bare(doc, nlp.vocab), doc) for doc in docs]


def test_training_is_refused(compiled_path, dev_corpus):
    nlp = spacy.load(compiled_path)
    examples = make_examples(nlp, helpers.read_docs(dev_corpus, nlp.vocab))
    assert not nlp.get_pipe("transformer").is_trainable
    with pytest.raises(ValueError, match="can't be trained.*frozen_components.*annotating_components"):
        nlp.update(examples, sgd=Adam())
    with pytest.raises(ValueError, match="can't be trained"):
        nlp.get_pipe("transformer").model.begin_update([example.x for example in examples])


def test_others_can_be_trained_on_its_vectors(compiled_path, dev_corpus, texts):
    """As a second ner, which reads the same vectors and starts from nothing."""
    nlp = spacy.load(compiled_path)
    docs = helpers.read_docs(dev_corpus, nlp.vocab)
    before = [nlp(text).tensor for text in texts]
    examples = make_examples(nlp, docs)
    nlp.remove_pipe("ner")
    config = load_config(compiled_path / "config.cfg")["components"]["ner"]
    factory = config.pop("factory")
    nlp.add_pipe(factory, name="ner", config=config)
    optimizer = nlp.get_pipe("ner").initialize(lambda: examples, nlp=nlp) or Adam(0.005)
    losses = []
    for _ in range(15):
        losses.append(nlp.update(examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"])["ner"])
    assert losses[-1] < 0.5 * losses[0]
    for text, tensor in zip(texts, before):
        assert_array_equal(nlp(text).tensor, tensor)


def test_spacy_train_with_the_component_frozen(compiled_path, dev_corpus, texts, expected, tmp_path):
    """As users do it: `spacy train` with the compiled transformer sourced, frozen and annotating."""
    config = load_config(compiled_path / "config.cfg")
    config["components"]["transformer"] = {"source": str(compiled_path)}
    config["components"]["ner"] = {"source": str(compiled_path)}
    config["paths"].update(train=str(dev_corpus), dev=str(dev_corpus))
    reader = {"@readers": "spacy.Corpus.v1", "path": str(dev_corpus)}
    config["corpora"] = {"train": reader, "dev": reader}
    before_ner = ["sentencizer", "transformer"]
    config["training"].update(
        frozen_components=before_ner, annotating_components=before_ner, max_steps=4, eval_frequency=2
    )
    config.to_disk(tmp_path / "config.cfg")
    train(tmp_path / "config.cfg", tmp_path / "training")
    trained = tmp_path / "training" / "model-last"
    assert read_component(trained / "transformer") == read_component(compiled_path / "transformer")
    nlp = spacy.load(trained)
    ner = spacy.load(compiled_path).get_pipe("ner").to_bytes(exclude=["vocab"])
    assert nlp.get_pipe("ner").to_bytes(exclude=["vocab"]) != ner
    for text, doc in zip(texts, expected):
        assert_allclose(nlp(text).tensor, doc.tensor, rtol=0, atol=1e-5)


# The whole pipeline


def test_all_components_of_a_pipeline_read_the_same_vectors(multi_head_path, texts, tmp_path):
    reference, compiled = spacy.load(multi_head_path), spacy.load(helpers.compile_reference(multi_head_path, tmp_path))
    assert compiled.pipe_names == ["sentencizer", "transformer", "tagger", "textcat", "ner"]
    all_texts = [example[0] for example in helpers.MULTI_HEAD_EXAMPLES] + texts
    docs, expected = list(compiled.pipe(all_texts)), list(reference.pipe(all_texts))
    for doc, expected_doc in zip(docs, expected):
        assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
        assert [token.tag_ for token in doc] == [token.tag_ for token in expected_doc]
        assert doc.cats == pytest.approx(expected_doc.cats, abs=1e-4)
    assert any(doc.ents for doc in docs)
    assert len({token.tag_ for doc in docs for token in doc}) > 3
    assert len({max(doc.cats, key=doc.cats.get) for doc in docs}) == 2


def test_compiling_leaves_the_reference_as_it_was(reference_path, tmp_path):
    before = read_files(reference_path)
    times = {path: path.stat().st_mtime_ns for path in reference_path.rglob("*")}
    helpers.compile_reference(reference_path, tmp_path)
    assert read_files(reference_path) == before
    assert {path: path.stat().st_mtime_ns for path in reference_path.rglob("*")} == times


def test_component_without_an_encoder_is_refused():
    nlp = spacy.blank("en")
    nlp.add_pipe("compiled_transformer")
    with pytest.raises(ValueError, match="no encoder yet"):
        nlp("Ada met Karl.")
