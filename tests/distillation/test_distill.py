"""`scripts.distill`: students with fewer layers and without a transformer, and which of them is kept."""

import bz2
import random

import pytest
import spacy
import srsly
import torch
from spacy.tokens import Doc, DocBin

from scripts import compiled_transformer  # noqa: F401
from scripts.common.console import UserError
from scripts.compilation.reference import load_reference
from scripts.distill import distill_cli
from scripts.distillation.compiling import compile_cnn
from scripts.distillation.labelling import join_corpora, label_text
from scripts.distillation.layers import choose_layers, drop_layers, find_stack, parse_layers, save_encoder
from scripts.distillation.once import make_once
from scripts.distillation.settings import DistillationSettings, StudentRequirements, VectorTraining
from scripts.distillation.student_selection import choose_student
from scripts.distillation.student_training import train_cnn
from scripts.distillation.vectors import make_batches, tokenize_windows, train_vectors

from ..encoders import FAMILIES, initialize, make_config
from ..encoders import save_encoder as save_family
from ..helpers import ROOT, assert_refused, bare, get_entities, read_docs, run_with_overrides

CNN = ROOT / "configs" / "cnn.cfg"
TINY_CNN = {
    "components.ner.model.tok2vec.encode.width": 32,
    "components.ner.model.tok2vec.encode.depth": 1,
    "training.optimizer.learn_rate": 0.01,
}


@pytest.fixture(scope="module")
def corpus(train_corpus, dev_corpus, test_corpus, tmp_path_factory):
    """A folder with few Docs of each corpus. Those of dev and test are what the reference was trained on."""
    folder = tmp_path_factory.mktemp("distill_corpus")
    for name, path, n_docs in (("train", train_corpus, 20), ("dev", dev_corpus, 12), ("test", test_corpus, 12)):
        DocBin(docs=read_docs(path)[:n_docs]).to_disk(folder / f"{name}.spacy")
    return folder


# Layers


@pytest.mark.parametrize("n_layers, kept", [(7, [0, 2, 4, 6]), (6, [1, 3, 5]), (2, [1]), (1, [0])])
def test_every_second_layer(n_layers, kept):
    assert choose_layers(n_layers) == kept


def test_layers_by_name(reference_path):
    reference = load_reference(reference_path)
    assert parse_layers("", reference) == [1]
    assert parse_layers("1", reference) == [0]
    assert parse_layers(" 1, 2", reference) == [0, 1]


@pytest.mark.parametrize("text", ["0", "3", "2,1", "1,1", "one", "1,,2", "-1"])
def test_layers_that_are_not_there(text, reference_path):
    with pytest.raises(UserError, match="The teacher's encoder has 2: give those to keep in ascending order"):
        parse_layers(text, load_reference(reference_path))


def test_student_computes_what_its_layers_do(reference_path, tmp_path):
    """The first of two layers alone: the teacher's vectors between them, wherever the student is read from."""
    teacher, student = load_reference(reference_path), load_reference(reference_path)
    inputs = teacher.tokenizer("Ada Byron left Bergen.", return_tensors="pt")
    with torch.inference_mode():
        expected = teacher.encoder.eval()(**inputs, output_hidden_states=True).hidden_states[1]
    drop_layers(student, [0])
    save_encoder(student, tmp_path / "encoder")
    files = {path.name for path in (tmp_path / "encoder").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    student.nlp.to_disk(tmp_path / "pipeline")
    saved = load_reference(tmp_path / "pipeline")
    for reference in (student, saved):
        with torch.inference_mode():
            found = reference.encoder.eval()(**inputs).last_hidden_state
        torch.testing.assert_close(found, expected)
    heads = [reference.nlp.get_pipe("ner").model.to_bytes() for reference in (teacher, saved)]
    assert heads[0] == heads[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, sample_path, tmp_path):
    """Half of the layers of any encoder give a pipeline that can be saved and loaded, or there is a clear error."""
    save_family(family, sample_path, tmp_path / "encoder")
    initialize(make_config(tmp_path / "encoder")).to_disk(tmp_path / "teacher")
    student = load_reference(tmp_path / "teacher")
    if find_stack(student.encoder) is None:
        with pytest.raises(UserError, match="no list of 2 layers with weights of their own.*--no-encoder"):
            parse_layers("", student)
        return
    drop_layers(student, parse_layers("1", student))
    save_encoder(student, tmp_path / "student-encoder")
    student.nlp.to_disk(tmp_path / "student")
    text = "Ada Byron left Bergen."
    docs = [nlp(text) for nlp in (student.nlp, spacy.load(tmp_path / "student"))]
    vectors = [doc._.trf_data.model_output.last_hidden_state for doc in docs]
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-5)
    assert load_reference(tmp_path / "student").encoder.config.num_hidden_layers == 1


# Vectors


def test_vectors_come_closer(reference_path, corpus):
    teacher, student = load_reference(reference_path), load_reference(reference_path)
    drop_layers(student, [1])
    windows = tokenize_windows(teacher, read_docs(corpus / "train.spacy"))
    before = {name: values.clone() for name, values in teacher.encoder.state_dict().items()}
    settings = VectorTraining(epochs=6, learning_rate=2e-3, batch_wordpieces=400)
    errors = train_vectors(student.encoder, teacher.encoder, windows, settings)
    assert errors[-1] < 0.7 * errors[0]
    assert all(torch.equal(values, before[name]) for name, values in teacher.encoder.state_dict().items())


def test_vectors_that_explode(reference_path, corpus):
    teacher, student = load_reference(reference_path), load_reference(reference_path)
    drop_layers(student, [1])
    windows = tokenize_windows(teacher, read_docs(corpus / "dev.spacy"))
    with pytest.raises(UserError, match="Train with a lower --vector-rate than 1e[+]30"):
        train_vectors(student.encoder, teacher.encoder, windows, VectorTraining(epochs=3, learning_rate=1e30))


def test_windows_are_those_of_the_pipeline(reference_path, corpus):
    """The default pipeline reads sentences."""
    reference, docs = load_reference(reference_path), read_docs(corpus / "dev.spacy")
    windows = tokenize_windows(reference, docs)
    assert len(windows) == sum(1 for doc in docs for _ in doc.sents)
    assert reference.tokenizer.decode(windows[0], skip_special_tokens=True).split()[0] in docs[0].text


def test_windows_of_docs_without_sentences(reference_path, corpus):
    """They are cut by length; no token is in two windows or in none."""
    reference, docs = load_reference(reference_path), read_docs(corpus / "dev.spacy")
    words = [token.text for doc in docs for token in doc] * 5
    long = Doc(reference.nlp.vocab, words=words)
    texts = reference.cut_texts([docs[0], long])
    n_sentences = len(list(docs[0].sents))
    size = reference.max_length // 2
    assert texts[:n_sentences] == [sent.text for sent in docs[0].sents]
    assert [len(text.split()) for text in texts[n_sentences:-1]] == [size] * (len(words) // size)
    assert " ".join(texts[n_sentences:]) == long.text.strip()


def test_batches():
    generator = random.Random(0)
    windows = [[number] * generator.randint(1, 90) for number in range(5000)] + [[7] * 300]
    batches = make_batches(windows, 256, random.Random(1))
    assert sorted(window for batch in batches for window in batch) == sorted(windows)
    assert all(len(batch) == 1 or len(batch) * max(map(len, batch)) <= 256 for batch in batches)
    assert batches == make_batches(windows, 256, random.Random(1)) != make_batches(windows, 256, random.Random(2))


# Labels


def test_labels_of_text(compiled_path, corpus, tmp_path):
    nlp = spacy.load(compiled_path)
    texts = [doc.text.strip() for doc in read_docs(corpus / "test.spacy")]
    with bz2.open(tmp_path / "text.txt.bz2", "wt", encoding="utf8") as file_:
        file_.write("\n\n".join(texts))
    n_words = label_text(nlp, tmp_path / "text.txt.bz2", tmp_path / "labelled.spacy")
    labelled = read_docs(tmp_path / "labelled.spacy")
    assert [doc.text for doc in labelled] == texts and n_words == sum(map(len, labelled))
    assert [get_entities(doc) for doc in labelled] == [get_entities(nlp(text)) for text in texts]
    assert sum(len(doc.ents) for doc in labelled) > 5
    assert all(doc.has_annotation("SENT_START") for doc in labelled)


def test_labels_of_docs(compiled_path, corpus, tmp_path):
    """The tokens of a corpus are kept, its entities are not."""
    nlp = spacy.load(compiled_path)
    label_text(nlp, corpus / "train.spacy", tmp_path / "labelled.spacy")
    gold, labelled = read_docs(corpus / "train.spacy"), read_docs(tmp_path / "labelled.spacy")
    assert [[token.text for token in doc] for doc in labelled] == [[token.text for token in doc] for doc in gold]
    expected = [get_entities(nlp(bare(doc, nlp.vocab))) for doc in gold]
    assert [get_entities(doc) for doc in labelled] == expected != [get_entities(doc) for doc in gold]


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "holds no text"),
        (b"\n \n", "holds no text"),
        ("Ada left.\nKøln\n".encode("latin1"), "line 2: byte 2 is not UTF-8. Convert the file to UTF-8.$"),
        (b"a" * 1_000_001, "line 1: 1,000,001 characters"),
    ],
)
def test_text_that_is_none(content, expected, compiled_path, tmp_path):
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(UserError, match=expected):
        label_text(spacy.load(compiled_path), tmp_path / "text.txt", tmp_path / "labelled.spacy")
    assert not (tmp_path / "labelled.spacy").exists()


def test_corpora_are_joined(corpus, tmp_path):
    sources = [corpus / "dev.spacy", corpus / "test.spacy"]
    join_corpora(sources, tmp_path / "joined.spacy")
    expected = [doc for source in sources for doc in read_docs(source)]
    joined = read_docs(tmp_path / "joined.spacy")
    assert [doc.text for doc in joined] == [doc.text for doc in expected]
    assert [get_entities(doc) for doc in joined] == [get_entities(doc) for doc in expected]
    assert [len(list(doc.sents)) for doc in joined] == [len(list(doc.sents)) for doc in expected]


# CNN


def test_cnn(corpus, tmp_path):
    """It learns, compiling it changes no entity, and the same seed gives the same weights."""
    corpora = {split: corpus / f"{split}.spacy" for split in ("train", "dev")}
    settings = DistillationSettings(config=CNN, cnn_steps=20, seed=3, overrides=TINY_CNN)
    trained = {name: train_cnn(corpora, tmp_path / name, settings, lang="en") for name in ("one", "two")}
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one", "two"]
    pipelines = [spacy.load(tmp_path / name) for name in trained]
    weights = [nlp.get_pipe("ner").model.to_bytes() for nlp in pipelines]
    assert weights[0] == weights[1]
    assert trained["one"]["evaluations"][-1]["losses"]["ner"] < trained["one"]["evaluations"][1]["losses"]["ner"]
    compile_cnn(tmp_path / "one", tmp_path / "compiled")
    compiled = spacy.load(tmp_path / "compiled")
    assert compiled.get_pipe_meta("ner").factory == "greedy_ner"
    texts = [doc.text for doc in read_docs(corpus / "dev.spacy")]
    found = [[get_entities(doc) for doc in nlp.pipe(texts)] for nlp in (pipelines[0], compiled)]
    assert found[0] == found[1] and any(found[0])


# Choice

STUDENTS = [
    {"name": "large", "speedup": 2.0, "dev": {"ents_f": 0.84, "drop": 0.01}},
    {"name": "small", "speedup": 4.5, "dev": {"ents_f": 0.75, "drop": 0.10}},
    {"name": "smaller", "speedup": 5.0, "dev": {"ents_f": 0.70, "drop": 0.15}},
]


@pytest.mark.parametrize(
    "requirements, chosen",
    [
        (StudentRequirements(), None),
        (StudentRequirements(target_speed=1.5), "large"),
        (StudentRequirements(target_speed=4.0), "small"),
        (StudentRequirements(max_f1_drop=0.02), "large"),
        (StudentRequirements(max_f1_drop=0.2), "smaller"),
        (StudentRequirements(target_speed=3.0, max_f1_drop=0.2), "small"),
    ],
)
def test_choice(requirements, chosen):
    assert choose_student(requirements, STUDENTS) == chosen


@pytest.mark.parametrize(
    "requirements, expected",
    [
        (
            StudentRequirements(target_speed=6.0),
            "No student is 6 times as fast as.*The fastest, smaller, is 5.00 times",
        ),
        (StudentRequirements(max_f1_drop=0.0), "No student loses at most 0 F1 on dev.*the best, large, loses 0.0100"),
        (
            StudentRequirements(target_speed=3.0, max_f1_drop=0.02),
            "3 times as fast as the compiled teacher and loses at most 0.02",
        ),
    ],
)
def test_requirements_that_none_meets(requirements, expected):
    with pytest.raises(UserError, match=expected):
        choose_student(requirements, STUDENTS)


def test_made_once(tmp_path):
    made = []

    def make():
        made.append(True)
        (tmp_path / "thing").write_text("made")
        return {"times": len(made)}

    for about, times in (({"seed": 0}, 1), ({"seed": 0}, 1), ({"seed": 1}, 2), ({"seed": 1}, 2)):
        assert make_once(tmp_path / "thing", about, make) == {"times": times}
    (tmp_path / "thing").unlink()
    assert make_once(tmp_path / "thing", {"seed": 1}, make) == {"times": 3}


# Command


def run_distill(reference_path, compiled_path, corpus, folder, *options):
    arguments = (reference_path, compiled_path, corpus, folder / "training", folder / "metrics", "--config", CNN)
    sizes = [part for name, value in TINY_CNN.items() for part in (f"--{name}", value)]
    small = ("--vector-epochs", 1, "--steps", 4, "--cnn-steps", 5, "--budget", 0, *sizes)
    return run_with_overrides(distill_cli, *arguments, *small, *options)


@pytest.mark.slow
def test_distill(reference_path, compiled_path, corpus, tmp_path):
    (tmp_path / "text.txt").write_text("Ada Byron left Bergen .\nKarl met Ada in Oslo .\n", encoding="utf8")
    options = ("--text", tmp_path / "text.txt")
    result = run_distill(reference_path, compiled_path, corpus, tmp_path, *options, "--target-speed", 0.01)
    assert result.exit_code == 0, repr(result.exception) + result.output
    report = srsly.read_json(tmp_path / "metrics" / "distill.json")
    rows = {row["name"]: row for row in report["pipelines"]}
    assert list(rows) == ["teacher", "teacher-compiled", "encoder-1", "cnn-gold", "cnn"]
    assert rows["teacher"]["test"]["ents_f"] == pytest.approx(rows["teacher-compiled"]["test"]["ents_f"], abs=0.01)
    for row in rows.values():
        assert row["words_per_second"] > 0 and row["p50_ms"] > 0 and row["size_mb"] > 0
        assert 0 <= row["dev"]["ents_f"] <= 1 and 0 <= row["test"]["ents_f"] <= 1
        drop = rows["teacher-compiled"]["test"]["ents_f"] - row["test"]["ents_f"]
        assert row["test"]["drop"] == pytest.approx(drop, abs=1e-9)
    assert rows["teacher-compiled"]["speedup"] == 1.0
    students = [rows[name] for name in ("encoder-1", "cnn-gold", "cnn")]
    assert report["chosen"] == max(students, key=lambda row: (row["dev"]["ents_f"], row["speedup"]))["name"]
    assert "labelled by the teacher" in rows["cnn"]["about"] and "labelled" not in rows["cnn-gold"]["about"]
    table = (tmp_path / "metrics" / "distill.md").read_text(encoding="utf8")
    assert all(f"| {name}" in table for name in rows)
    assert (tmp_path / "metrics" / "distill.png").read_bytes().startswith(b"\x89PNG")
    assert len(spacy.load(tmp_path / "training" / "model-student")("Ada met Karl .")) == 4
    assert spacy.load(rows["encoder-1"]["path"]).pipe_names == ["sentencizer", "transformer", "ner"]

    # The second time nothing is trained, and none is fast enough: the student that was kept stays.
    notes = sorted((tmp_path / "training" / "students").glob("*.json"))
    times = [path.stat().st_mtime_ns for path in notes]
    kept = (tmp_path / "training" / "model-student" / "meta.json").stat().st_mtime_ns
    result = run_distill(reference_path, compiled_path, corpus, tmp_path, *options, "--target-speed", 1e6)
    assert_refused(result, "No student is 1e+06 times as fast", "Ask for less")
    assert [path.stat().st_mtime_ns for path in notes] == times and len(notes) == 6
    assert (tmp_path / "training" / "model-student" / "meta.json").stat().st_mtime_ns == kept
    assert srsly.read_json(tmp_path / "metrics" / "distill.json")["chosen"] is None


@pytest.mark.slow
def test_cnn_alone_on_the_train_text(reference_path, compiled_path, corpus, tmp_path):
    result = run_distill(reference_path, compiled_path, corpus, tmp_path, "--no-encoder")
    assert result.exit_code == 0, repr(result.exception) + result.output
    report = srsly.read_json(tmp_path / "metrics" / "distill.json")
    assert [row["kind"] for row in report["pipelines"]] == ["teacher", "teacher", "cnn", "cnn"]
    assert "train.spacy, labelled by the teacher" in report["pipelines"][-1]["about"]
    assert report["chosen"] is None and not (tmp_path / "training" / "model-student").exists()


def test_missing_text(reference_path, compiled_path, corpus, tmp_path):
    result = run_distill(reference_path, compiled_path, corpus, tmp_path, "--text", tmp_path / "no.txt")
    assert_refused(result, tmp_path / "no.txt", "--text")


def test_missing_config(reference_path, compiled_path, corpus, tmp_path):
    result = run_distill(reference_path, compiled_path, corpus, tmp_path, "--config", tmp_path / "no.cfg")
    assert_refused(result, tmp_path / "no.cfg", "--config")


def test_missing_teacher(compiled_path, corpus, tmp_path):
    result = run_distill(tmp_path / "none", compiled_path, corpus, tmp_path)
    assert_refused(result, tmp_path / "none", "project run train")
