"""Token classification models of transformers: what is compiled finds the same spans as transformers' own pipeline."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import spacy
import transformers

pytest.importorskip("spacy_huggingface_pipelines")

from scripts.common.console import UserError
from scripts.common.pipelines import get_folder_digest
from scripts.compilation.huggingface_model import TokenPipeSettings, find_reference
from scripts.compilation.reference import load_reference
from scripts.compiled_transformer.aggregation import STRATEGIES
from scripts.compiled_transformer.token_classification import TITLE
from scripts.optimize import optimize_cli

from .. import classifiers
from ..helpers import assert_refused, get_entities, read_sentences, run_command
from .test_curated import ODD

QUICK = ("bert",)
# What both say of entities that don't begin and end with spaCy's tokens.
NOT_ALIGNED = pytest.mark.filterwarnings("ignore:Skipping annotation", f"ignore:Some spans of the {TITLE}")


class Pair:
    """A pipeline with a `hf_token_pipe` and what it was compiled to.

    folder (Path): Has the model, and gets both.
    """

    def __init__(self, folder, stride=8):
        self.model = folder / "model"
        self.path = folder / "reference"
        self.original = classifiers.make_token_pipe(self.model, self.path, stride=stride)
        self.compiled_path = classifiers.compile_token_pipe(self.path, folder / "work")
        self.compiled = spacy.load(self.compiled_path)

    @property
    def component(self):
        return self.compiled.get_pipe("ner")


@pytest.fixture(scope="module")
def texts(sample_path):
    """Odd ones, sentences, documents of several windows, and a long one."""
    sentences = [" ".join(word for word, _, _ in sentence) for sentence in read_sentences(sample_path)]
    return [*ODD, *sentences[:6], " ".join(sentences[6:9]), "  ".join(sentences[9:24])]


@pytest.fixture(scope="module")
def pair(sample_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    classifiers.save_classifier("bert", sample_path, folder / "model")
    return Pair(folder)


def assert_same_spans(pair, texts, strategy):
    """Start, end and label of each span are equal, and the scores nearly."""
    component = pair.component
    component.model.attrs["aggregation_strategy"] = strategy
    found = component.predict([pair.compiled.make_doc(text) for text in texts])
    # In one list, as users have them: what differs by the batch would show.
    expected = pair.original.get_pipe("ner").hf_pipeline(texts, aggregation_strategy=strategy)
    assert sum(map(len, expected)) > 50
    for text, spans, wanted in zip(texts, found, expected, strict=True):
        assert [span[:3] for span in spans] == [
            (span["start"], span["end"], span["entity_group"]) for span in wanted
        ], text
        assert [span.score for span in spans] == pytest.approx([span["score"] for span in wanted], abs=1e-4)


# Parity


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in classifiers.FAMILIES],
)
def test_spans_are_those_of_transformers(name, sample_path, texts, tmp_path):
    classifiers.save_classifier(name, sample_path, tmp_path / "model")
    pair = Pair(tmp_path)
    for strategy in STRATEGIES:
        assert_same_spans(pair, texts, strategy)


def test_windows_of_a_tokenizer_that_adds_a_space(sample_path, texts, tmp_path):
    """Such a tokenizer counts the space before the first wordpiece of a window as a part of it."""
    classifiers.save_classifier("roberta", sample_path, tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model", add_prefix_space=True)
    tokenizer.save_pretrained(tmp_path / "model")
    assert_same_spans(Pair(tmp_path), texts[-2:], "first")


@NOT_ALIGNED
@pytest.mark.parametrize("annotate, mode", [("ents", "strict"), ("spans", "expand"), ("tag", "contract")])
def test_annotations_are_those_of_hf_token_pipe(pair, texts, annotate, mode):
    original, component = pair.original.get_pipe("ner"), pair.component
    component.model.attrs["aggregation_strategy"] = "average"
    original.annotate, original.annotate_spans_key, original.alignment_mode = annotate, "found", mode
    component.model.attrs.update(annotate=annotate, annotate_spans_key="found", alignment_mode=mode)
    found, expected = (list(nlp.pipe(texts)) for nlp in (pair.compiled, pair.original))
    assert [doc.to_json() for doc in found] == [doc.to_json() for doc in expected]
    assert any(token.ent_type or token.tag or token.doc.spans for doc in found for token in doc)
    if annotate == "spans":
        for doc, wanted in zip(found, expected):
            scores = wanted.spans["found"].attrs["scores"]
            assert doc.spans["found"].attrs["scores"] == pytest.approx(scores, abs=1e-4)


@pytest.fixture
def as_compiled(pair):
    """The pair, with the settings that it was compiled with."""
    pair.component.model.attrs.update(annotate="ents", alignment_mode="strict", aggregation_strategy="average")
    return pair


def test_entities_depend_on_no_batch(as_compiled, texts):
    nlp = as_compiled.compiled
    alone = [get_entities(nlp(text)) for text in texts]
    for batch_size in (3, 128):
        assert [get_entities(doc) for doc in nlp.pipe(texts, batch_size=batch_size)] == alone
    nlp.get_pipe("ner").model.attrs["batch_wordpieces"] = 64
    assert [get_entities(doc) for doc in nlp.pipe(texts)] == alone


def test_threads_share_a_pipeline(as_compiled, texts):
    expected = [get_entities(doc) for doc in as_compiled.compiled.pipe(texts)]
    nlp = spacy.load(as_compiled.compiled_path)
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda text: get_entities(nlp(text)), texts))
    assert found == expected


def test_pipeline_that_was_copied_finds_the_same(as_compiled, texts, tmp_path):
    nlp = as_compiled.compiled
    expected = [get_entities(doc) for doc in nlp.pipe(texts)]
    nlp.to_disk(tmp_path / "copy")
    from_bytes = spacy.util.load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())
    for copy in (spacy.load(tmp_path / "copy"), from_bytes):
        assert [get_entities(doc) for doc in copy.pipe(texts)] == expected
        assert copy.pipe_labels["ner"] == ["LOC", "OF-ART", "ORG", "PER"]
    component = pickle.loads(pickle.dumps(nlp.get_pipe("ner")))
    docs = [nlp.make_doc(text) for text in texts]
    assert component.predict(docs) == nlp.get_pipe("ner").predict(docs)


def test_text_that_is_cut_off_without_a_stride(pair, texts, tmp_path):
    """The original cuts it off. Compiled it is annotated to its end, as with the stride that is the default."""
    classifiers.make_token_pipe(pair.model, tmp_path / "reference", stride=None)
    reference = load_reference(tmp_path / "reference")
    assert get_entities(reference.nlp(texts[-1]))[-1][1] < 50
    nlp = spacy.load(classifiers.compile_token_pipe(tmp_path / "reference", tmp_path / "work"))
    expected = spacy.load(pair.compiled_path, config={"components.ner.stride": 16})(texts[-1])
    assert get_entities(nlp(texts[-1])) == get_entities(expected)
    assert expected.ents[-1].end > 200


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("aggregation_strategy", "none", "simple, first, average, max"),
        ("alignment_mode", "loose", "strict, contract, expand"),
        ("annotate", "spans", "annotate_spans_key"),
        ("stride", -1, "from 0 up"),
        ("threads", 0, "from 1 up"),
    ],
)
def test_wrong_setting(pair, name, value, message):
    with pytest.raises(ValueError, match=message) as error:
        spacy.load(pair.compiled_path, config={f"components.ner.{name}": value})
    assert TITLE in str(error.value)


def test_stride_that_the_encoder_has_no_room_for(pair):
    nlp = spacy.load(pair.compiled_path, config={"components.ner.stride": classifiers.LONGEST - 2})
    with pytest.raises(ValueError, match="Set at most 37"):
        nlp("Ada")


# Models without a pipeline


@NOT_ALIGNED
def test_model_becomes_a_pipeline(pair, texts, tmp_path):
    """A tokenizer that does not know how long a text may be learns it from the model."""
    model = shutil.copytree(pair.model, tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    tokenizer.model_max_length = int(1e30)
    tokenizer.save_pretrained(model)
    output = tmp_path / "compiled"
    path = find_reference(str(model), output, TokenPipeSettings("en", "first", "expand", 4))
    assert path == tmp_path / "compiled-reference"
    digest = get_folder_digest(path)
    assert find_reference(str(model), output, TokenPipeSettings("en", "first", "expand", 4)) == path
    assert get_folder_digest(path) == digest  # Else a search that was stopped would begin again.
    reference = load_reference(path)
    assert reference.nlp.lang == "en"
    assert reference.max_length == 512
    assert {
        "aggregation_strategy": "first",
        "alignment_mode": "expand",
        "stride": 4,
    }.items() <= reference.settings.items()
    compiled = spacy.load(classifiers.compile_token_pipe(path, tmp_path / "work"))
    docs = list(spacy.load(path).pipe(texts))
    assert [get_entities(doc) for doc in compiled.pipe(texts)] == [get_entities(doc) for doc in docs]
    assert sum(len(doc.ents) for doc in docs) > 20


def test_slow_tokenizer_that_can_be_converted(pair, texts, tmp_path):
    """Older models have a vocabulary only, which transformers makes a fast tokenizer of."""
    model = shutil.copytree(pair.model, tmp_path / "model")
    tokenizer = transformers.BertTokenizer(str(model / "vocab.txt"), model_max_length=classifiers.LONGEST)
    for path in model.glob("*tokenizer*"):
        path.unlink()
    tokenizer.save_pretrained(model)
    reference = load_reference(find_reference(str(model), tmp_path / "compiled", TokenPipeSettings()))
    assert reference.tokenizer(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    assert (tmp_path / "compiled-reference" / "hf_model" / "tokenizer.json").is_file()


def refuse(model, tmp_path, *options, expected):
    result = run_command(optimize_cli, model, tmp_path / "compiled", "--text", tmp_path / "texts.txt", *options)
    assert_refused(result, *expected)
    assert not (tmp_path / "compiled").exists()


def test_model_that_labels_no_tokens(tiny_encoder, tmp_path):
    refuse(tiny_encoder, tmp_path, expected=[tiny_encoder, "BertModel", "...ForTokenClassification"])


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_damaged_model(name, pair, tmp_path):
    model = shutil.copytree(pair.model, tmp_path / "model")
    (model / name).write_bytes((model / name).read_bytes()[:100])
    refuse(model, tmp_path, expected=[f"Can't read the model in {model} (", "save_pretrained"])


def test_model_of_an_architecture_that_is_not_known(sample_path, tmp_path):
    config = transformers.FunnelConfig(vocab_size=100, d_model=32, n_head=2, d_head=16, d_inner=32, block_sizes=[1])
    transformers.FunnelForTokenClassification(config).save_pretrained(tmp_path / "model")
    classifiers.FAMILIES["bert"].make_tokenizer(["Ada met Karl"]).save_pretrained(tmp_path / "model")
    refuse(tmp_path / "model", tmp_path, expected=["FunnelForTokenClassification", "BERT, RoBERTa", "can be."])


def test_slow_tokenizer_that_cannot_be_converted(pair, tmp_path):
    model = shutil.copytree(pair.model, tmp_path / "model")
    tokenizer = transformers.BertJapaneseTokenizer(
        str(model / "vocab.txt"), word_tokenizer_type="basic", subword_tokenizer_type="character"
    )
    (model / "tokenizer.json").unlink()
    tokenizer.save_pretrained(model)
    refuse(model, tmp_path, expected=[model, "slow tokenizer (BertJapaneseTokenizer)", "tokenizer.json"])


def test_hub_that_is_not_reached(tmp_path):
    """The tests are offline."""
    refuse("nobody/no-such-ner", tmp_path, expected=["nobody/no-such-ner", "no model of this name", "the network."])


def test_language_that_spacy_does_not_have(pair, tmp_path):
    refuse(pair.model, tmp_path, "--lang", "tlh", expected=["--lang is 'tlh'", "xx"])


def test_folder_that_is_not_a_models_pipeline_is_kept(pair, tmp_path):
    (tmp_path / "compiled-reference").mkdir()
    (tmp_path / "compiled-reference" / "notes.txt").write_text("mine")
    refuse(pair.model, tmp_path, expected=["compiled-reference", "something else", "Move it away."])
    assert (tmp_path / "compiled-reference" / "notes.txt").read_text() == "mine"


def test_pipeline_with_two_models(pair, tmp_path):
    nlp = spacy.blank("en")
    for name in ("ner", "pos"):
        nlp.add_pipe("hf_token_pipe", name=name, config={"model": str(pair.model)})
    nlp.to_disk(tmp_path / "two")
    with pytest.raises(UserError, match="2 models"):
        load_reference(tmp_path / "two")


def test_package_that_is_not_installed(pair, monkeypatch):
    monkeypatch.setattr("scripts.compilation.huggingface.PACKAGE", "not_installed_anywhere")
    with pytest.raises(UserError, match="hf_token_pipe.*which is not installed: pip install"):
        load_reference(pair.path)
