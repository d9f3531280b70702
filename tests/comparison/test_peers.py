"""`scripts.peers`: the peers that need no other environment, the table, and mistakes."""

import importlib.util

import numpy
import pytest
import spacy
import srsly

from scripts.benchmarking.process import PipelineError
from scripts.common.machine import describe_machine
from scripts.comparison import compare as script
from scripts.comparison.compare import choose_setting, compare, get_texts
from scripts.comparison.peer_process import PeerProcess
from scripts.comparison.peer_report import make_markdown
from scripts.comparison.peer_runtimes import (
    DOCUMENTS,
    PEERS,
    SENTENCES,
    find_transformer,
    make_classifier,
    replace_encoder,
)
from scripts.peers import peers_cli

from ..helpers import assert_refused, get_entities, read_docs, run_command

HAS_PACKAGES = all(importlib.util.find_spec(package) for package in script.PACKAGES)


@pytest.fixture
def made_up():
    def make_peer(title, ratio):
        return {
            "title": title, "words_per_second": 1000 * ratio, "ratio": ratio,
            "ratio_interval": [ratio - 0.1, ratio + 0.1], "unit": DOCUMENTS, "batch_size": 32, "peak_memory_mb": 700.0,
        }  # fmt: skip

    return {
        "machine": {**describe_machine(), "cpu": "Made Up CPU", "cores": 2},
        "measured": {"corpus": "test.spacy", "documents": 40, "words": 10010, "rounds": 3},
        "peers": {"compiled": make_peer("Compiled", 6.0), "spacy-transformers": make_peer("Stock", 1.0)},
        "failed": {"optimum": "RuntimeError: no export"},
    }


def test_table_goes_from_the_slowest_to_the_fastest(made_up):
    markdown = make_markdown(made_up)
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert lines[2:] == [
        "| Stock | 1,000 | 1.00× (0.90–1.10) | 32 documents | 700 |",
        "| Compiled | 6,000 | 6.00× (5.90–6.10) | 32 documents | 700 |",
    ]
    assert "optimum does not run: RuntimeError: no export" in markdown
    assert "40 documents (10,010 words) of test.spacy" in markdown


@pytest.mark.parametrize("name", ["spacy-transformers", "transformers", "compiled"])
def test_peer_runs(name, reference_path, compiled_path, dev_corpus):
    docs = read_docs(dev_corpus)
    with PeerProcess(name, compiled_path if name == "compiled" else reference_path) as process:
        assert process.throughput(get_texts(docs, DOCUMENTS), 4)["seconds"] > 0
        assert process.peak_memory() > 50
        setting = choose_setting(process, PEERS[name].units, docs)
    assert setting.unit in PEERS[name].units and setting.batch_size in script.BATCH_SIZES


def test_peer_that_can_not_run(reference_path, tmp_path):
    with pytest.raises(PipelineError, match="nowhere"):
        PeerProcess("transformers", tmp_path / "nowhere")


def test_classifier_has_the_encoder_and_finds_nothing(reference_path):
    classifier, tokenizer = make_classifier(reference_path)
    nlp = spacy.load(reference_path)
    trained = find_transformer(nlp).transformer.state_dict()
    copied = classifier.base_model.state_dict()
    assert all(tensor.equal(trained[name]) for name, tensor in copied.items())
    labels = {f"{prefix}-{label}" for label in nlp.get_pipe("ner").labels for prefix in "BI"}
    assert set(classifier.config.label2id) == {"O", *labels}
    scores = classifier(**tokenizer("Ada met Karl in Bergen.", return_tensors="pt")).logits
    assert scores.argmax(axis=-1).unique().tolist() == [0]


def test_one_window_at_a_time_finds_the_same_entities(reference_path, compiled_path, dev_corpus):
    texts = get_texts(read_docs(dev_corpus), DOCUMENTS)
    nlp = spacy.load(reference_path)
    expected = [get_entities(doc) for doc in nlp.pipe(texts)]
    engine = spacy.load(compiled_path).get_pipe("transformer").encoder.get_engine("cpu", 1, 1)
    calls = []

    def counting(inputs):
        ids = inputs["input_ids"]
        assert len(ids) == 1 and inputs["attention_mask"].all()
        calls.append(ids)
        # The compiled encoder takes packed windows: here one that fills its row.
        return engine(
            {"input_ids": ids, "position_ids": numpy.arange(ids.size)[None], "segments": numpy.ones_like(ids)}
        )

    replace_encoder(find_transformer(nlp), counting)
    docs = list(nlp.pipe(texts))
    assert [get_entities(doc) for doc in docs] == expected and any(expected)
    assert len(calls) == sum(len(list(doc.sents)) for doc in docs)


def test_texts_of_both_units(dev_corpus):
    docs = read_docs(dev_corpus)
    assert get_texts(docs, DOCUMENTS) == [doc.text for doc in docs]
    sentences = get_texts(docs, SENTENCES)
    assert len(sentences) == sum(len(list(doc.sents)) for doc in docs)
    assert sentences[0] == next(docs[0].sents).text


@pytest.mark.skipif(HAS_PACKAGES, reason="the packages are installed")
def test_missing_packages(reference_path, compiled_path, dev_corpus, tmp_path):
    result = run_command(peers_cli, reference_path, compiled_path, dev_corpus, tmp_path)
    assert_refused(result, "optimum", "pip install")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not HAS_PACKAGES, reason="needs the environment that `scripts.peers --help` describes")
def test_all_peers(reference_path, compiled_path, dev_corpus, tmp_path):
    metrics = compare(reference_path, compiled_path, dev_corpus, tmp_path, rounds=1, n_words=60)
    assert set(metrics["peers"]) == set(PEERS) and metrics["failed"] == {}
    assert metrics["peers"]["spacy-transformers"]["ratio"] == pytest.approx(1)
    assert srsly.read_json(tmp_path / "peers.json") == metrics
    assert (tmp_path / "peers.md").read_text(encoding="utf8") == make_markdown(metrics)
