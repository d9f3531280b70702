"""`scripts.train`: a short training, and what is kept when one fails."""

import io
import itertools
import math
import re
import shutil

import numpy
import pytest
import spacy
import srsly
from safetensors.torch import load_file, save_file
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as spacy_train
from spacy.util import load_config
from spacy.vocab import Vocab

from scripts.distill import distill_cli
from scripts.sweep import sweep_cli
from scripts.train import train_cli
from scripts.train_distributed import train_distributed_cli
from scripts.training.loop import Trainer
from scripts.training.parameters import walk_parameters
from scripts.training.progress import describe_drop

from ..helpers import ROOT, assert_refused, has_gpu, run_with_overrides

CONFIG = ROOT / "configs" / "default.cfg"
STEPS = ("--training.max_steps", 2, "--training.eval_frequency", 1)


def run_train(*arguments):
    return run_with_overrides(train_cli, *arguments)


@pytest.fixture
def old_training(tmp_path):
    """A training folder with the models of an earlier run."""
    folder = tmp_path / "training"
    for name in ("model-best", "model-last"):
        (folder / name).mkdir(parents=True)
        (folder / name / "meta.json").write_text("old")
    return folder


def assert_same_weights(one, other, *, atol):
    """Two pipelines have the same weights, within a tolerance."""
    expected, found = (walk_parameters(nlp, ["transformer", "ner"]) for nlp in (one, other))
    assert [parameter.name for parameter in expected] == [parameter.name for parameter in found]
    for mine, theirs in zip(expected, found):
        numpy.testing.assert_allclose(
            theirs.weights.numpy(), mine.weights.numpy(), rtol=0, atol=atol, err_msg=mine.name
        )


def assert_untouched(folder):
    for name in ("model-best", "model-last"):
        assert {path.name: path.read_text() for path in (folder / name).iterdir()} == {"meta.json": "old"}


def test_config_for_gpus_trains_a_little_on_the_cpu(tiny_corpus, tiny_encoder, tmp_path):
    """In overlapping windows, with accumulated gradients, and without the mixed precision that takes a GPU."""
    arguments = (ROOT / "configs" / "full.cfg", tiny_corpus, tiny_encoder, tmp_path / "training", *STEPS)
    option = "--components.transformer.model.mixed_precision"
    assert_refused(run_train(*arguments), "full.cfg trains in mixed precision, which takes a GPU", f"{option} false")
    result = run_train(*arguments, option, "false")
    assert result.exit_code == 0, result.output
    nlp = spacy.load(tmp_path / "training" / "model-best")
    assert nlp.pipe_names == ["transformer", "ner"]
    assert set(nlp.get_pipe("ner").labels) == {"LOC", "MISC", "ORG", "PER"}
    tokens = " ".join(["word"] * 150)  # More than one window.
    assert nlp(tokens)._.trf_data.model_output.last_hidden_state.shape[0] == 2


def test_training_replaces_the_models(tiny_corpus, tiny_encoder, old_training):
    options = (*STEPS, "--system.seed", 3, "--training.dropout", 0.25, "--learn-rate", "2e-4")
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *options)
    assert result.exit_code == 0, result.output
    assert {path.name for path in old_training.iterdir()} == {"model-best", "model-last"}
    for name in ("model-best", "model-last"):
        config = load_config(old_training / name / "config.cfg", interpolate=True)
        assert config["training"]["max_steps"] == 2
        assert config["training"]["eval_frequency"] == 1
        assert config["training"]["dropout"] == 0.25
        assert config["training"]["seed"] == 3
        assert config["training"]["optimizer"]["learn_rate"]["initial_rate"] == 2e-4
        assert config["paths"]["encoder"] == str(tiny_encoder)
        assert config["corpora"]["train"]["path"] == str(tiny_corpus / "train.spacy")
        assert config["corpora"]["dev"]["path"] == str(tiny_corpus / "dev.spacy")
    nlp = spacy.load(old_training / "model-best")
    assert nlp.pipe_names == ["sentencizer", "transformer", "ner"]
    assert nlp.get_pipe("transformer").model.transformer.config.num_hidden_layers == 2  # The encoder that was given.
    assert len(nlp("Ada met Karl in Bergen .")) == 6


def test_training_starts_after_one_that_was_killed(tiny_corpus, tiny_encoder, old_training):
    (old_training / "in-progress" / "model-best").mkdir(parents=True)
    (old_training / "in-progress" / "model-best" / "meta.json").write_text("half")
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *STEPS)
    assert result.exit_code == 0, result.output
    assert {path.name for path in old_training.iterdir()} == {"model-best", "model-last"}
    assert spacy.util.load_meta(old_training / "model-best" / "meta.json")["pipeline"] == [
        "sentencizer",
        "transformer",
        "ner",
    ]


def test_metrics(tiny_corpus, tiny_encoder, old_training, tmp_path):
    options = ("--training.max_steps", 4, "--training.eval_frequency", 2, "--metrics", tmp_path / "metrics")
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *options)
    assert result.exit_code == 0, result.output
    assert result.output.count("words/s") == 3
    metrics = srsly.read_json(tmp_path / "metrics" / "training.json")
    assert (tmp_path / "metrics" / "training.png").read_bytes().startswith(b"\x89PNG")
    evaluations = metrics["evaluations"]
    assert [evaluation["step"] for evaluation in evaluations] == [0, 2, 4]
    assert metrics["steps"] == 5  # As spaCy counts: max_steps is the number of the last one.
    assert metrics["settings"]["training"]["max_steps"] == 4
    assert metrics["settings"]["ranks"] == 1
    assert metrics["machine"]["cores"] >= 1
    assert metrics["words"] == evaluations[-1]["words"] > evaluations[0]["words"] > 0
    for evaluation in evaluations:
        assert evaluation["words_per_second"] > evaluation["samples_per_second"] > 0
        assert set(evaluation["losses"]) == {"transformer", "ner"}
        assert 0 <= evaluation["scores"]["ents_f"] <= 1
    assert metrics["best"]["score"] == max(evaluation["score"] for evaluation in evaluations)
    best = spacy.util.load_meta(old_training / "model-best" / "meta.json")
    assert best["performance"]["ents_f"] == pytest.approx(metrics["best"]["ents_f"])


@pytest.mark.parametrize("accumulate", [1, 3])
def test_weights_are_those_of_spacys_own_loop(accumulate, tiny_corpus, tiny_encoder, tmp_path):
    """In float32, with dropout and random cuts."""
    overrides = {
        "paths.train": str(tiny_corpus / "train.spacy"),
        "paths.dev": str(tiny_corpus / "dev.spacy"),
        "paths.encoder": str(tiny_encoder),
        "training.max_steps": 3,
        "training.eval_frequency": 2,
        "training.batcher.size": 200,
        "training.accumulate_gradient": accumulate,
    }
    trained = []
    for name, run in (
        ("spacy", lambda nlp, folder: spacy_train(nlp, folder, stdout=io.StringIO())),
        ("own", lambda nlp, folder: Trainer(nlp, folder).run()),
    ):
        nlp = init_nlp(load_config(CONFIG, overrides=overrides))
        (tmp_path / name).mkdir()
        run(nlp, tmp_path / name)
        trained.append(nlp)
    assert_same_weights(*trained, atol=0.0)
    for name in ("model-best", "model-last"):
        assert_same_weights(*(spacy.load(tmp_path / run / name) for run in ("spacy", "own")), atol=0.0)
        metas = [spacy.util.load_meta(tmp_path / run / name / "meta.json") for run in ("spacy", "own")]
        for value in ("ents_f", "ner_loss", "transformer_loss"):
            assert metas[1]["performance"][value] == pytest.approx(metas[0]["performance"][value])


def test_few_steps_see_sentences_of_all_lengths(corpus_dir):
    """spaCy sorts what is in a buffer from long to short: with a large one, a training swings from one to the other."""
    batch = spacy.registry.resolve({"batcher": load_config(CONFIG)["training"]["batcher"]})["batcher"]
    sentences = Corpus(corpus_dir / "train.spacy", gold_preproc=True)(spacy.blank("en"))
    lengths = [[len(example) for example in examples] for examples in batch(sentences)]
    mean = numpy.mean(sum(lengths, []))
    assert len(lengths) > 10
    for start in range(len(lengths) - 3):
        assert numpy.mean(sum(lengths[start : start + 4], [])) == pytest.approx(mean, rel=0.2)


def test_loss_that_is_not_finite(tiny_corpus, tiny_encoder, old_training, tmp_path):
    rate = ("--training.optimizer.learn_rate.initial_rate", 1e30, "--training.optimizer.learn_rate.warmup_steps", 1)
    options = ("--training.max_steps", 20, "--training.eval_frequency", 50, "--metrics", tmp_path / "metrics", *rate)
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *options)
    assert_refused(result, "at step", "Lower the learning rate", "wrote no pipeline")
    assert_untouched(old_training)
    assert {path.name for path in old_training.iterdir()} == {"model-best", "model-last"}
    assert not (tmp_path / "metrics").exists()


def test_message_names_the_rate_of_the_step_that_broke_the_weights(tiny_corpus, tiny_encoder, old_training):
    """The rate of step 0 is 0, that of step 1 breaks the weights, and step 2 sees it, with a rate of its own."""

    @spacy.registry.schedules("tests.OneHighRate.v1")
    def make_rates():
        return iter([0.0, 1e35, 1e-5, 1e-5])

    rate = ("--training.optimizer.learn_rate", '{"@schedules": "tests.OneHighRate.v1"}')
    options = ("--training.max_steps", 5, "--training.eval_frequency", 10, *rate)
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *options)
    assert_refused(result, "at step 2", "Lower the learning rate, which was 1e+35 at the step before")


def test_weights_that_are_not_finite_from_the_start(tiny_corpus, tiny_encoder, old_training, tmp_path):
    shutil.copytree(tiny_encoder, tmp_path / "encoder")
    weights = load_file(tmp_path / "encoder" / "model.safetensors")
    weights["encoder.layer.0.output.dense.weight"][0, 0] = math.nan
    save_file(weights, tmp_path / "encoder" / "model.safetensors", metadata={"format": "pt"})
    result = run_train(CONFIG, tiny_corpus, tmp_path / "encoder", old_training, *STEPS)
    assert_refused(result, "at step 0", "look for NaN or infinity in the weights of the encoder")
    assert "learning rate" not in result.output


def test_collapse_is_said_while_training(tiny_corpus, tiny_encoder, old_training):
    """A rate that the pipeline learns with, then one that it forgets all with."""

    @spacy.registry.schedules("tests.Collapse.v1")
    def make_rates():
        return itertools.chain([4e-3] * 13, itertools.repeat(1.0))

    rate = ("--training.optimizer.learn_rate", '{"@schedules": "tests.Collapse.v1"}')
    options = ("--training.max_steps", 18, "--training.eval_frequency", 6, "--training.dropout", 0.0, *rate)
    dev = ("--corpora.dev.path", tiny_corpus / "train.spacy", "--fp32")
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *options, *dev)
    assert result.exit_code == 0, result.output
    printed = " ".join(result.output.split())
    assert re.search("The score on dev fell from [01].[0-9]+ at step 12 to 0.[0-9]+ at step 18", printed), printed
    assert printed.count("The score on dev fell") == 1


@pytest.mark.parametrize(
    "results, is_said",
    [
        ([], False),
        ([(0.6, 0)], False),
        ([(0.6, 0), (0.31, 50)], False),
        ([(0.6, 0), (0.3, 50)], True),
        ([(0.247, 50), (0.021, 100)], True),
        ([(0.247, 50), (0.021, 100), (0.02, 150)], False),
        ([(0.02, 0), (0.0, 50)], False),
    ],
)
def test_drop_by_half(results, is_said):
    assert (describe_drop(results) is not None) == is_said


def make_corpus(folder, train, dev):
    """Make a corpus of (text, entities) pairs."""
    folder.mkdir()
    for split, rows in (("train", train), ("dev", dev)):
        docs = []
        for text, entities in rows:
            words = text.split()
            doc = Doc(Vocab(), words=words, sent_starts=[True] + [False] * (len(words) - 1))
            doc.ents = [Span(doc, start, end, label) for start, end, label in entities]
            docs.append(doc)
        DocBin(docs=docs).to_disk(folder / f"{split}.spacy")
    return folder


ADA = ("Ada met Karl in Bergen .", [(0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC")])
KARL = ("Karl saw Ada .", [(0, 1, "PER"), (2, 3, "PER")])
NOBODY = ("The river floods often .", [])


@pytest.mark.parametrize(
    "train, labels",
    [
        pytest.param([ADA, KARL], {"LOC", "PER"}, id="two Docs"),
        pytest.param([KARL, KARL, NOBODY], {"PER"}, id="one label"),
        pytest.param([NOBODY] * 40 + [ADA], {"LOC", "PER"}, id="imbalanced"),
    ],
)
def test_unusual_corpora(train, labels, tiny_encoder, tmp_path):
    corpus = make_corpus(tmp_path / "corpus", train, [ADA])
    options = (*STEPS, "--metrics", tmp_path / "metrics")
    result = run_train(CONFIG, corpus, tiny_encoder, tmp_path / "training", *options)
    assert result.exit_code == 0, result.output
    assert set(spacy.load(tmp_path / "training" / "model-best").get_pipe("ner").labels) == labels
    metrics = srsly.read_json(tmp_path / "metrics" / "training.json")
    assert all(math.isfinite(loss) for evaluation in metrics["evaluations"] for loss in evaluation["losses"].values())


def test_override_that_is_wrong(tiny_corpus, tiny_encoder, old_training):
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *STEPS, "--training.max_steps", "many")
    assert result.exit_code == 1
    assert "'many' is not <class 'int'>" in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert_untouched(old_training)


@pytest.mark.parametrize(
    "command, n_folders", [(train_cli, 4), (train_distributed_cli, 4), (sweep_cli, 5), (distill_cli, 5)]
)
def test_mistyped_option(command, n_folders, tmp_path):
    result = run_with_overrides(command, *[tmp_path / "no"] * n_folders, "--typo", 3)
    assert_refused(result, "There is no option --typo", "`--help`")


def test_entity_that_a_sentence_border_cuts(tiny_corpus, tiny_encoder, old_training, tmp_path):
    """The sentencizer ends a sentence after the first of its tokens."""
    corpus = shutil.copytree(tiny_corpus, tmp_path / "corpus")
    words = ["Ada", "sang", "it", ".", "(", "You", "Bring", ")", *["so"] * 150, "."]
    tags = ["B-PER", "O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", *["O"] * 151]
    DocBin(docs=[Doc(Vocab(), words=words, ents=tags)] * 4).to_disk(corpus / "train.spacy")
    options = (*STEPS, "--corpora.train.gold_preproc", "false")
    result = run_train(CONFIG, corpus, tiny_encoder, old_training, *options)
    assert_refused(result, "entity '( You Bring )' has a sentence border inside", "--corpora.train.gold_preproc true")
    assert_untouched(old_training)


@pytest.mark.parametrize("command", [train_cli, train_distributed_cli])
@pytest.mark.parametrize("rate", ["0", "-1e-4", "nan", "inf", "high"])
def test_learning_rate_that_is_none(command, rate, tmp_path):
    result = run_with_overrides(command, *[tmp_path / "no"] * 4, "--learn-rate", rate)
    assert_refused(result, f"--learn-rate is '{rate}'", "3e-4")


@pytest.mark.parametrize("missing", ["train", "dev"])
def test_missing_corpus(missing, tiny_corpus, tiny_encoder, old_training, tmp_path):
    shutil.copytree(tiny_corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / f"{missing}.spacy").unlink()
    result = run_train(CONFIG, tmp_path / "corpus", tiny_encoder, old_training, *STEPS)
    assert_refused(result, tmp_path / "corpus" / f"{missing}.spacy", "project run corpus")
    assert_untouched(old_training)


@pytest.mark.parametrize("empty, purpose", [("train", "learned from"), ("dev", "compared on")])
def test_corpus_without_entities(empty, purpose, tiny_encoder, old_training, tmp_path):
    corpora = {"train": [ADA], "dev": [ADA], empty: [NOBODY]}
    corpus = make_corpus(tmp_path / "corpus", **corpora)
    result = run_train(CONFIG, corpus, tiny_encoder, old_training, *STEPS)
    assert_refused(result, f"{corpus / empty}.spacy holds no entities, so nothing can be {purpose} it.")
    assert_untouched(old_training)


def test_missing_config(tiny_corpus, tiny_encoder, old_training, tmp_path):
    result = run_train(tmp_path / "no.cfg", tiny_corpus, tiny_encoder, old_training, *STEPS)
    assert_refused(result, tmp_path / "no.cfg", "--vars.config")
    assert_untouched(old_training)


@pytest.mark.parametrize("name", ["file", "file/training"])
def test_file_as_output_folder(name, tmp_path):
    """The first check of all: nothing else that is named is there."""
    (tmp_path / "file").write_text("mine")
    result = run_train(tmp_path / "no.cfg", tmp_path / "corpus", tmp_path / "encoder", tmp_path / name)
    assert_refused(result, f"Can't write {tmp_path / name}", f"{tmp_path / 'file'} is a file, not a folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_missing_encoder(tiny_corpus, old_training, tmp_path):
    result = run_train(CONFIG, tiny_corpus, tmp_path / "encoder", old_training, *STEPS)
    assert_refused(result, tmp_path / "encoder", "project run encoder")
    assert_untouched(old_training)


def test_encoder_without_weights(tiny_corpus, tiny_encoder, old_training, tmp_path):
    shutil.copytree(tiny_encoder, tmp_path / "encoder")
    (tmp_path / "encoder" / "model.safetensors").unlink()
    result = run_train(CONFIG, tiny_corpus, tmp_path / "encoder", old_training, *STEPS)
    assert_refused(result, tmp_path / "encoder", "model.safetensors", "project run encoder")
    assert_untouched(old_training)


def test_corpus_of_another_format(tiny_corpus, tiny_encoder, old_training, tmp_path):
    shutil.copytree(tiny_corpus, tmp_path / "corpus")
    (tmp_path / "corpus" / "train.spacy").write_text("Ada met Karl .")
    result = run_train(CONFIG, tmp_path / "corpus", tiny_encoder, old_training, *STEPS)
    assert_refused(result, tmp_path / "corpus" / "train.spacy", "is not a .spacy corpus")
    assert_untouched(old_training)


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_gpu_where_there_is_none(tiny_corpus, tiny_encoder, old_training):
    result = run_train(CONFIG, tiny_corpus, tiny_encoder, old_training, *STEPS, "--gpu", 0)
    assert_refused(result, "GPU 0 was asked for", "--vars.gpu -1")
    assert_untouched(old_training)
