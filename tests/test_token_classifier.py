"""A token classification model of transformers on its way to a wheel: the search, the package, and where it is used."""

from email.parser import Parser
from zipfile import ZipFile

import pytest
import spacy
import srsly
from packaging.requirements import Requirement

pytest.importorskip("spacy_huggingface_pipelines")

from scripts.benchmarking.stages import profile
from scripts.common.console import UserError
from scripts.common.pipelines import find_pipeline
from scripts.compiled_transformer.token_classification import FACTORY
from scripts.evaluate import evaluate_cli
from scripts.optimize import optimize_cli
from scripts.package import package
from scripts.service.served_pipeline import find_served_pipeline

from . import classifiers
from .compilation.searches import HARMFUL, SAFE, make_quick
from .helpers import get_entities, read_docs, run_command
from .isolation import BUILD_TOOLS, install, run_isolated

pytestmark = pytest.mark.slow

# Two wheels, each with a copy of the runtime; all texts are annotated only after both were loaded.
PROGRAM = """
import spacy

names, texts = json.load(sys.stdin)
pipelines = [spacy.load(name) for name in names]
found = [[[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in nlp.pipe(texts)] for nlp in pipelines]
print(json.dumps([found, [name for name in BLOCKED if name in sys.modules]]))
"""


@pytest.fixture(scope="module")
def workspace(sample_path, test_corpus, tmp_path_factory):
    """A folder with what a search makes of a model and texts alone."""
    folder = tmp_path_factory.mktemp("search")
    classifiers.save_classifier("bert", sample_path, folder / "model")
    (folder / "texts.txt").write_text("\n".join(doc.text for doc in read_docs(test_corpus)), encoding="utf8")
    options = ("--text", folder / "texts.txt", "--lang", "en", "--alignment", "expand")
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch, [SAFE, HARMFUL])
        result = run_command(optimize_cli, folder / "model", folder / "compiled", *options)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def texts(test_corpus):
    return [doc.text for doc in read_docs(test_corpus)]


@pytest.fixture(scope="module")
def expected(workspace, texts):
    """What the model finds in transformers' pipeline."""
    docs = spacy.load(workspace / "compiled-reference").pipe(texts)
    entities = [[list(entity) for entity in get_entities(doc)] for doc in docs]
    assert sum(map(len, entities)) > 50
    return entities


def test_search_keeps_what_agrees_with_the_model(workspace):
    report = srsly.read_json(workspace / "compiled-metrics" / "optimize.json")
    rows = {row["name"]: row for row in report["candidates"]}
    assert report["chosen"].startswith("safe")
    assert rows["safe"]["agreement"]["entities"]["value"] == 1.0
    assert rows["harmful"]["status"] == "rejected"
    assert "entities agree in" in rows["harmful"]["reason"]
    assert report["reference"]["path"] == str(workspace / "compiled-reference")


def test_compiled_pipeline_finds_what_the_model_does(workspace, texts, expected):
    nlp = spacy.load(workspace / "compiled")
    assert nlp.get_pipe_meta("ner").factory == FACTORY
    assert [[list(entity) for entity in get_entities(doc)] for doc in nlp.pipe(texts)] == expected
    assert [[list(entity) for entity in get_entities(doc)] for doc in nlp.pipe(texts, n_process=2)] == expected


def test_both_are_evaluated(workspace, test_corpus):
    arguments = (workspace / "compiled-reference", workspace / "compiled", test_corpus, workspace / "metrics")
    result = run_command(evaluate_cli, *arguments)
    assert result.exit_code == 0, result.output
    scores = [srsly.read_json(workspace / "metrics" / f"{name}.json") for name in ("reference", "compiled")]
    assert scores[0]["ents_f"] == scores[1]["ents_f"] is not None


def test_stages_are_told(workspace, texts):
    found = profile(spacy.load(workspace / "compiled"), texts, 8)
    assert {"make_doc", "wordpieces", "encoder", "ner"} <= found["seconds"].keys()
    assert 0 < found["load"]["distinct"] <= found["load"]["text"] < found["load"]["real"]


def test_it_is_served_but_not_as_an_encoder(workspace):
    name = str(workspace / "compiled")
    assert find_pipeline(name).compiled == ["ner"]
    assert find_served_pipeline(name).transformer == "ner"
    with pytest.raises(UserError, match="gives no token vectors.*without --encoder-only"):
        find_served_pipeline(name, encoder_only=True)


def test_wheel_needs_no_torch_and_works_beside_another(workspace, texts, expected, compiled_path, tmp_path):
    wheels = [
        package(path, tmp_path / "packages", name, "1.0.0")
        for name, path in (("en_hub_ner", workspace / "compiled"), ("en_trained", compiled_path))
    ]
    with ZipFile(wheels[0]) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        required = Parser().parsestr(archive.read(metadata).decode("utf8")).get_all("Requires-Dist")
    assert {Requirement(line).name for line in required} == {"onnxruntime", "spacy", "tokenizers"}
    site = install(wheels, tmp_path / "site")
    trained = [[list(entity) for entity in get_entities(doc)] for doc in spacy.load(compiled_path).pipe(texts)]
    for names, wanted in (
        (["en_hub_ner", "en_trained"], [expected, trained]),
        (["en_trained", "en_hub_ner"], [trained, expected]),
    ):
        found, imported = run_isolated(tmp_path, PROGRAM, [names, texts], blocked=BUILD_TOOLS, places=[site])
        assert found == wanted
        assert imported == []
