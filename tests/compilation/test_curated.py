"""Pipelines of spacy-curated-transformers: what is compiled annotates as the original does."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pytest
import spacy
import srsly
from numpy.testing import assert_allclose
from spacy.tokens import Doc, DocBin

from scripts.annotation.long_documents import annotate_long, get_cutting
from scripts.common.console import UserError
from scripts.compilation import final, search, trial
from scripts.compilation import optimize as script
from scripts.compilation.candidates import get_candidates
from scripts.compilation.curated_listeners import LAST, WEIGHTED
from scripts.compilation.curated_pieces import describe_pieces
from scripts.compilation.reference import load_reference
from scripts.compiled_transformer import model as runtime
from scripts.compiled_transformer.artefact import MANIFEST, PADDED_INPUTS
from scripts.compiled_transformer.ner import FACTORY as GREEDY_NER
from scripts.evaluate import evaluate
from scripts.optimize import optimize_cli
from scripts.package import package

from .. import curated
from ..helpers import ROOT, get_entities, run_command

ODD = [
    "",
    " ",
    " \n ",
    "\n\nAda  met 😀😀 in 東京 \n\n and Zoe\u0308 's ﬁnance in İstanbul .  ",
    "Ada [SEP] met <s> Karl </s> in <pad> Bergen <unk> [UNK] . [MASK]<mask>",
    "I cannot say, we're gonna leave, don't wanna",
    "👩‍👩‍👧‍👦 family 🇳🇴🇸🇪 caf😀é a\u00a0b\u200bc\ufeffd \t tab",
    "x" * 200,
    "x😀" * 60,
    "\u0000\u0001 control \r\n lines \x1c \x85",
    "ÅÄÖ åäö ½ ² Ⅷ ㎏ ｆｕｌｌ ## ##a",
    "...",
    "-",
]
N_LONG = 3000  # Tokens


class Pair:
    """A pipeline and what it was compiled to.

    folder (Path): Gets both.
    kind (str): One of `curated.KINDS`.
    """

    def __init__(self, folder, kind, inputs=None, **settings):
        curated.make_pipeline(kind, folder / "reference", **settings)
        self.original = spacy.load(folder / "reference")
        self.reference_path = folder / "reference"
        options = {} if inputs is None else {"inputs": inputs}
        self.compiled_path = curated.compile_pipeline(self.reference_path, folder / "work", **options)
        self.compiled = spacy.load(self.compiled_path)

    def assert_same(self, make_docs):
        """Vectors and all annotations are those of the original; what it can't take gets zeros."""
        docs = make_docs(self.compiled)
        expected = [
            doc if not len(doc) or doc.text.isspace() else self.original(doc) for doc in make_docs(self.original)
        ]
        list(self.compiled.pipe(docs, batch_size=7))
        for doc, wanted in zip(docs, expected):
            if len(doc) and doc.text.isspace():
                assert len(doc.tensor) == len(doc)
            elif len(doc):
                assert_allclose(doc.tensor, self.get_vectors(wanted), atol=1e-4, rtol=0)
                assert doc.to_json() == wanted.to_json()
        return expected

    def get_vectors(self, doc):
        """RETURNS (Floats2d): What the first listener of the original reads."""
        component = next(name for name in self.original.pipe_names if name != "transformer")
        nodes = self.original.get_pipe(component).model.walk()
        return next(node for node in nodes if node.name in (LAST, WEIGHTED)).predict([doc])[0]


@pytest.fixture(scope="module", params=curated.KINDS)
def pair(request, tmp_path_factory) -> Pair:
    return Pair(tmp_path_factory.mktemp("pair"), request.param)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory) -> Pair:
    """A pair in the shape of the official English package."""
    return Pair(tmp_path_factory.mktemp("roberta"), "byte-bpe")


def make_docs(nlp):
    """RETURNS (List[Doc]): Odd ones, texts, and one of each length around the borders of windows."""
    texts = [*ODD, *curated.TEXTS, " ".join(curated.TEXTS)]
    borders = {
        border + step for border in (curated.STRIDE, curated.WINDOW, 2 * curated.STRIDE) for step in range(-4, 4)
    }
    return [nlp.make_doc(text) for text in texts] + [Doc(nlp.vocab, words=["is"] * n) for n in sorted(borders)]


def make_long_doc(nlp):
    words = curated.get_words()
    return Doc(nlp.vocab, words=[words[number % len(words)] for number in range(N_LONG)])


def test_all_annotations_are_those_of_the_original(pair):
    expected = pair.assert_same(make_docs)
    assert len({(token.tag_, token.dep_, token.ent_type_) for doc in expected for token in doc}) > 4


def test_a_document_of_many_windows(roberta):
    expected = roberta.assert_same(lambda nlp: [make_long_doc(nlp)])
    assert len(expected[0].ents) > 100 and len(list(expected[0].sents)) > 1


def test_a_document_is_streamed_in_groups(roberta, monkeypatch):
    doc = make_long_doc(roberta.compiled)
    component = roberta.compiled.get_pipe("transformer")
    (expected,) = component.predict([doc])
    monkeypatch.setattr(runtime, "WINDOWS_AT_ONCE", 5)
    parts = list(component.stream(doc))
    assert len(parts) > 20 and max(map(len, parts)) < 10 * curated.WINDOW
    assert_allclose(numpy.concatenate(parts), expected, atol=1e-5, rtol=0)


def test_listeners_and_ner_are_swapped(roberta):
    assert roberta.compiled.get_pipe_meta("ner").factory == GREEDY_NER
    assert "curated" not in (roberta.compiled_path / "config.cfg").read_text()
    manifest = srsly.read_json(roberta.compiled_path / "transformer" / MANIFEST)
    assert manifest["segmentation"]["pieces"] == "byte-bpe"


# spaCy imports the plugins that it finds in the metadata of what is installed.
WITHOUT_TORCH = """
import importlib.metadata as metadata, sys
blocked = ("torch", "transformers", "spacy_transformers", "curated_transformers", "spacy_curated_transformers", "spacy_huggingface_pipelines")
sys.modules.update(dict.fromkeys(blocked))
installed = metadata.distributions
metadata.distributions = lambda **options: (
    found for found in installed(**options) if found.name.replace("-", "_") not in blocked
)
path, code, text = sys.argv[1:]
sys.path.insert(0, code)
import spacy, scripts.compiled_transformer
print([(ent.text, ent.label_) for ent in spacy.load(path)(text).ents])
"""


@pytest.mark.parametrize("kind", ["byte-bpe", "xlm-r"])
def test_nothing_of_training_is_needed(tmp_path, kind):
    pair = Pair(tmp_path, kind, heads=["ner"])
    command = [sys.executable, "-c", WITHOUT_TORCH, str(pair.compiled_path), str(ROOT), curated.TEXTS[0]]
    result = subprocess.run(command, capture_output=True, text=True)
    expected = [(entity.text, entity.label_) for entity in pair.original(curated.TEXTS[0]).ents]
    assert expected and result.stdout.strip() == str(expected), result.stderr


def test_padded_windows(tmp_path):
    Pair(tmp_path, "byte-bpe", PADDED_INPUTS).assert_same(make_docs)


@pytest.mark.parametrize("kind", ["byte-bpe", "wordpiece"])
def test_a_weighted_sum_of_layers(tmp_path, kind):
    pair = Pair(tmp_path, kind, heads=["ner"], weighted=True)
    pair.assert_same(make_docs)
    (listeners,) = load_reference(pair.reference_path).listeners.values()
    weights = listeners[0].layer.layers[0].shims[0]._model.layer_weights
    assert weights.std() > 0.1, "layers that weigh the same prove nothing"


@pytest.mark.parametrize(
    "poolings, stride", [(("first", "last"), curated.WINDOW), (("sum",), 16), (("max",), curated.WINDOW)]
)
def test_other_poolings(tmp_path, poolings, stride):
    heads = ("tagger", "ner")[: len(poolings)]

    def change(config):
        config["components"]["transformer"]["model"]["with_spans"]["stride"] = stride
        for head, pooling in zip(heads, poolings):
            config["components"][head]["model"]["tok2vec"] = {
                **curated.make_listener(),
                "pooling": {"@layers": f"reduce_{pooling}.v1"},
            }

    pair = Pair(tmp_path, "wordpiece", heads=heads, change=change)
    # Of a token without pieces, as white space is, the original fails to take the first, last or largest.
    texts = [*curated.TEXTS, " ".join(curated.TEXTS)]
    for doc, expected in zip(pair.compiled.pipe(texts, batch_size=4), pair.original.pipe(texts)):
        assert_allclose(doc.tensor[:, : curated.WIDTH], pair.get_vectors(expected), atol=1e-4, rtol=0)
        assert doc.to_json() == expected.to_json()


def test_calibration_is_on_windows_of_pieces(roberta):
    """Also if the corpus' own vocabulary knows nothing of its words."""
    reference = load_reference(roberta.reference_path)
    docs = [Doc(spacy.vocab.Vocab(), words=[*text.split(), "\n"]) for text in curated.TEXTS] * 3
    windows = reference.cut_windows(docs, 8)
    assert len(windows.lengths) == 8 and windows.lengths.max() <= curated.WINDOW
    whole = reference.cut_windows(docs, 10**6)
    original = roberta.original.get_pipe("transformer").model.get_ref("piece_encoder")
    copies = [Doc(roberta.original.vocab, words=[token.text for token in doc]) for doc in docs]
    expected = original.predict(copies)
    assert set(whole.ids.tolist()) == {piece for ragged in expected for piece in ragged.dataXd.ravel().tolist()}


# What is refused


def use_albert(config):
    config["components"]["transformer"]["model"]["@architectures"] = f"{curated.PACKAGE}.AlbertTransformer.v1"


def use_last_pooling(config):
    config["components"]["ner"]["model"]["tok2vec"]["pooling"] = {"@layers": "reduce_last.v1"}


def use_large_windows(config):
    config["components"]["transformer"]["model"]["with_spans"].update(window=200, stride=150)


def use_no_listener(config):
    config["components"]["ner"]["model"]["tok2vec"] = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": 32,
        "depth": 1,
        "embed_size": 50,
        "window_size": 1,
        "maxout_pieces": 2,
        "subword_features": True,
    }


REFUSED = [
    (use_albert, ["AlbertEncoder", "BERT, RoBERTa, CamemBERT and XLM-R"]),
    (use_last_pooling, ["reduce_last", "windows overlap", "reduce_mean.v1"]),
    (use_large_windows, ["200 pieces", "takes 128"]),
    (use_no_listener, ["No component", "listens to 'transformer'"]),
]


@pytest.mark.parametrize("change, message", REFUSED, ids=[change.__name__ for change, _ in REFUSED])
def test_what_can_t_be_compiled_is_refused(tmp_path, change, message):
    curated.make_pipeline("wordpiece", tmp_path / "reference", heads=["ner"], change=change)
    assert_not_compiled(tmp_path / "reference", *message)


def assert_not_compiled(path, *message):
    with pytest.raises(UserError) as error:
        load_reference(path)
    for part in (*message, str(path)):
        assert part in str(error.value)
    assert str(error.value).endswith(".")


def test_different_sums_of_layers_are_refused(tmp_path):
    curated.make_pipeline("wordpiece", tmp_path / "reference", heads=["tagger", "ner"], weighted=True)
    assert_not_compiled(tmp_path / "reference", "tagger, ner", "different sums")


def test_words_that_are_preprocessed_otherwise_are_refused(tmp_path):
    nlp = curated.make_pipeline("wordpiece", heads=["ner"])
    pieces = nlp.get_pipe("transformer").model.get_ref("piece_encoder")
    pieces.attrs["preprocess"] = lambda text: [text[:2], text[2:]]
    with pytest.raises(UserError, match="preprocesses words in a way of its own"):
        describe_pieces(pieces, tmp_path)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    curated.make_config("byte-bpe", ["ner"]).to_disk(tmp_path / "config.cfg")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if "curated" in name else find_spec(name, *rest)
    )
    assert_not_compiled(
        tmp_path, "`curated_transformer` of spacy-curated-transformers, which is not installed: pip install"
    )


# The commands


@pytest.fixture
def package_name(roberta, tmp_path, monkeypatch) -> str:
    """The name of an installed package with the original pipeline."""
    name = "xx_curated_trf"
    folder = tmp_path / "site-packages" / name
    shutil.copytree(roberta.reference_path, folder / f"{name}-1.0.0")
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    return name


@pytest.mark.slow
def test_an_installed_package_becomes_a_wheel_without_torch(roberta, package_name, tmp_path, monkeypatch):
    """Through the commands, with int8 beside fp32; gold is what the original finds."""
    chosen = ("onnxruntime-fp32", "onnxruntime-int8", "openvino-int8")
    candidates = [candidate for candidate in get_candidates() if candidate.name in chosen]
    monkeypatch.setattr(script, "get_candidates", lambda: candidates)
    monkeypatch.setattr(search, "get_setting_changes", lambda trial, base: [{"stride": curated.WINDOW}])
    for name, value in {"ROUNDS": 1, "WORDS": 100, "SENTENCES": 2}.items():
        monkeypatch.setattr(trial, name, value)
    monkeypatch.setattr(final, "ROUNDS", 1)
    docs = [roberta.original(text) for text in curated.TEXTS]
    for split in ("train", "dev"):
        DocBin(docs=docs, store_user_data=False).to_disk(tmp_path / f"{split}.spacy")
    corpora = (tmp_path / "train.spacy", tmp_path / "dev.spacy")
    output, metrics = tmp_path / "compiled", tmp_path / "metrics"
    tolerant = ("--max-f1-drop", 1, "--max-label-drop", 1, "--min-agreement", 0)
    result = run_command(optimize_cli, package_name, output, *corpora, metrics, *tolerant, "--budget", 100)
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in srsly.read_json(metrics / "optimize.json")["candidates"]}
    assert rows["onnxruntime-fp32"]["drop"] == 0
    assert {rows[name]["status"] for name in chosen} <= {"passed", "chosen"}, rows
    scores = evaluate(Path(package_name), output, corpora[1], metrics)
    assert scores["reference"]["ents_f"] == 1.0
    wheel = package(output, tmp_path / "packages", "curated_trf", "1.0.0")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        required = archive.read(metadata).decode()
    assert "Requires-Dist: tokenizers" in required
    assert "torch" not in required and "curated" not in required.replace("curated_trf", "").replace("curated-trf", "")


def test_a_long_document_is_annotated_piece_by_piece(tmp_path):
    pair = Pair(tmp_path, "byte-bpe", heads=["ner"])
    doc = make_long_doc(pair.compiled)
    cutting = get_cutting(pair.compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "WINDOWS_AT_ONCE", 5)
        found = annotate_long(pair.compiled, doc, cutting)
    assert get_entities(found) == get_entities(pair.original(make_long_doc(pair.original)))
    assert len(found.ents) > 100


def test_sentencepiece_models_are_a_requirement(tmp_path):
    curated.make_pipeline("xlm-r", tmp_path / "reference", heads=["ner"])
    segments = load_reference(tmp_path / "reference").write_segmentation(tmp_path)
    assert segments.requirements == ["curated-tokenizers>=0.0.9,<0.1.0"]
