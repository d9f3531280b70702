"""Texts with spans, a record a line."""

import json

import pytest
import spacy

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.convert import SPLITS, convert
from scripts.formats.detect import read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import CorpusSettings, ReaderSettings

from ..helpers import read_docs, run_command
from .samples import DOCCANO, PRODIGY, SHARES, as_doc, assert_broken, change, cut, detect, read, write, write_json


def test_spaces_of_texts_are_kept(tmp_path):
    text = " Ada  met\nKarl. "
    (sentence,) = read(write_json(tmp_path, text=text, spans=[{"start": 1, "end": 4, "label": "PER"}]), "jsonl")
    doc = as_doc(sentence)
    assert doc.text == text
    assert [ent.text for ent in doc.ents] == ["Ada"]
    assert [token.text for token in doc] == [token.text for token in spacy.blank("en")(text)]


def test_tokens_of_prodigy_are_kept(tmp_path):
    tokens = [{"text": "new", "start": 0, "end": 3}, {"text": "-", "start": 3, "end": 4}]
    tokens += [{"text": "born", "start": 4, "end": 8}, {"text": "Adas", "start": 9, "end": 13}]
    spans = [{"start": 9, "end": 13, "label": "PER"}]
    (sentence,) = read(write_json(tmp_path, text="new-born Adas", tokens=tokens, spans=spans), "jsonl")
    assert sentence.words == ["new", "-", "born", "Adas"]
    assert as_doc(sentence).text == "new-born Adas"


def test_texts_are_not_grouped(tmp_path):
    source = write(tmp_path, "doccano.jsonl", DOCCANO.encode("utf8"))
    counts = convert(source, tmp_path / "corpus", CorpusSettings(n_sents=10, **SHARES))
    assert {split: counts["splits"][split]["docs"] for split in SPLITS} == dict.fromkeys(SPLITS, 2)
    for split in SPLITS:
        for doc in read_docs(tmp_path / "corpus" / f"{split}.spacy"):
            assert doc.text.endswith(".") and " ." not in doc.text


def test_rejected_texts_are_left_out_and_counted(tmp_path):
    source = write(tmp_path, "prodigy.jsonl", PRODIGY.encode("utf8"))
    result = run_command(corpus_cli, source, tmp_path / "corpus", "--dev-share", 0.34, "--test-share", 0.34)
    assert "Left out 1 rejected texts" in result.output


def test_skipped_spans_leave_their_tokens_without_annotation(tmp_path):
    """Without, not with "no entity": spaCy learns nothing from such tokens."""
    text = "Adas sister met Karl"
    spans = [[0, 3, "PER"], [16, 20, "PER"]]
    source = write_json(tmp_path, text=text, label=spans)
    notes, settings = Notes(), ReaderSettings(misaligned="skip")
    (sentence,) = read_sentences(source, "jsonl", settings, notes)
    assert sentence.tags == [None, "O", "O", "B-PER"]
    assert notes.skipped["misaligned spans"] == 1
    doc = as_doc(sentence)
    assert [token.ent_iob_ for token in doc] == ["", "O", "O", "B"]


MISALIGNED = {
    "inside a token": ("Adas sister", (0, 3), "the span 0-3 PER 'Ada' does not", "the nearest are 0-4 PER 'Adas'"),
    "a space after it": ("Ada sang", (0, 4), "the span 0-4 PER 'Ada ' does not", "the nearest are 0-3 PER 'Ada'"),
    "a space before it": ("so Ada sang", (2, 6), "the span 2-6 PER ' Ada' does not", "the nearest are 3-6 PER 'Ada'"),
    "only a space": ("Ada  sang", (4, 5), "the span 4-5 PER ' ' does not", "the nearest are 5-9 PER 'sang'"),
}


@pytest.mark.parametrize("text, span, expected, nearest", MISALIGNED.values(), ids=MISALIGNED.keys())
def test_misaligned_span_names_the_nearest_borders(tmp_path, text, span, expected, nearest):
    source = write_json(tmp_path, text=text, label=[[*span, "PER"]])
    with pytest.raises(UserError) as raised:
        read(source, "jsonl")
    assert f"{source}, line 1: {expected}" in str(raised.value)
    assert nearest in str(raised.value)


def test_rejected_spans_are_left_out(tmp_path):
    spans = [{"start": 0, "end": 3, "label": "PER"}, {"start": 9, "end": 13, "label": "PER", "answer": "reject"}]
    notes = Notes()
    source = write_json(tmp_path, text="Ada left Oslo.", spans=spans, answer="accept")
    (sentence,) = read_sentences(source, "jsonl", ReaderSettings(), notes)
    assert sentence.tags == ["B-PER", "O", "O", "O"]
    assert notes.skipped["rejected spans"] == 1


SPANS = [[0, 3, "PER"], [9, 13, "LOC"]]
# What a record has beside its text, which means SPANS.
KEYS = {
    "empty spans beside a label": {"spans": [], "label": SPANS},
    "empty labels beside entities": {"label": [], "entities": SPANS},
    "classes of the text": {"label": ["news"], "entities": SPANS},
    "one class of the text": {"label": "news", "spans": SPANS},
    "no answer yet": {"spans": SPANS, "answer": None},
    "a span twice": {"spans": [*SPANS, SPANS[0]]},
    "whole numbers of pandas": {"label": [[0.0, 3.0, "PER"], [9.0, 13.0, "LOC"]]},
    "texts of spans": {"label": [[0, 3, "PER", "Ada"], [9, 13, "LOC", "Oslo"]]},
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS.keys())
def test_spans_are_found(tmp_path, keys):
    (sentence,) = read(write_json(tmp_path, text="Ada left Oslo.", **keys), "jsonl")
    assert sentence.tags == ["B-PER", "O", "B-LOC", "O"]


@pytest.mark.parametrize("keys", [{"spans": None}, {"label": ["news"], "entities": []}, {"answer": "accept"}])
def test_no_spans_are_no_entities(tmp_path, keys):
    (sentence,) = read(write_json(tmp_path, text="It rained.", **keys), "jsonl")
    assert sentence.tags == ["O", "O", "O"]


# What a record is left out for.
LEFT_OUT = {
    "an ignored text that is odd": ({"text": 7, "spans": "none", "answer": "ignore"}, "ignored texts"),
    "a rejected text with odd spans": (
        {"text": "Ada", "spans": [[0, 2, "A"], [1, 3, "B"]], "answer": "reject"},
        "rejected texts",
    ),
    "a blank": ({"text": " ", "spans": []}, "blank texts"),
}


@pytest.mark.parametrize("record, what", LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_records_are_left_out_and_counted(tmp_path, record, what):
    source = write(tmp_path, "source.jsonl", f"{json.dumps(record)}\n{json.dumps(TWO_KARLS)}".encode())
    notes = Notes()
    (sentence,) = read_sentences(source, "jsonl", ReaderSettings(), notes)
    assert sentence.words == ["Karl"]
    assert {name: n for name, n in notes.skipped.items() if n} == {what: 1}


TWO_KARLS = {"text": "Karl", "spans": [[0, 4, "PER"], [0, 4, "PER"]]}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("is_array", [True, False])
def test_json_on_any_lines_is_read_as_jsonl(tmp_path, indent, is_array):
    records = [json.loads(line) for line in DOCCANO.splitlines()]
    lines = [json.dumps(record, indent=indent) for record in records]
    source = write(tmp_path, "all.json", (f"[{','.join(lines)}]" if is_array else "\n".join(lines)).encode("utf8"))
    assert detect(source) == "jsonl"
    expected = read(write(tmp_path, "doccano.jsonl", DOCCANO.encode("utf8")), "jsonl")
    assert [sentence[:4] for sentence in read(source, "jsonl")] == [sentence[:4] for sentence in expected]


def test_errors_of_indented_json_name_the_line(tmp_path):
    records = [json.loads(line) for line in DOCCANO.splitlines()]
    records[2]["label"] = [[0, 400, "PER"]]
    text = json.dumps(records, indent=1)
    line = next(n for n, line in enumerate(text.splitlines(), start=1) if '"id": 3' in line) - 1  # Its brace.
    with pytest.raises(UserError, match=f"line {line}: the span 0-400"):
        read(write(tmp_path, "all.json", text.encode()), "jsonl")
    with pytest.raises(UserError, match=r"line \d+: this is no JSON"):
        read(write(tmp_path, "all.json", json.dumps(records[:2], indent=1)[:-40].encode()), "jsonl")


def test_long_values_are_cut_in_messages(tmp_path):
    with pytest.raises(UserError) as raised:
        read(write_json(tmp_path, text="a" * 5_000, spans=[[0, "z" * 5_000, "PER"]]), "jsonl")
    assert len(str(raised.value)) < 500 + len(str(tmp_path))
    with pytest.raises(UserError) as raised:
        read(write(tmp_path, "source.conll", b"Ada B-PER\nKarl O " + b"z" * 5_000), "conll")
    assert len(str(raised.value)) < 500 + len(str(tmp_path))


def with_spans(*spans) -> str:
    return change(DOCCANO, 4, json.dumps({"text": "Norsk Hydro hired Ada.", "label": spans}))


def with_tokens(*words: str) -> str:
    tokens, start = [], 0
    for word in words:
        tokens.append({"text": word, "start": start, "end": start + len(word)})
        start += len(word) + 1
    return change(PRODIGY, 2, json.dumps({"text": "Ada sang .", "spans": [], "tokens": tokens}))


BROKEN = {
    "jsonl, cut line": ("doccano", cut(DOCCANO, 9), "line 6: this is no JSON, or it is cut short"),
    "jsonl, no object": (
        "doccano",
        change(DOCCANO, 2, "[1, 2]"),
        "line 2: expected an object with a text and its spans, got [1, 2]",
    ),
    "jsonl, a list": ("doccano", "[\n" + DOCCANO, "line 3: this is no JSON"),
    "jsonl, other keys": (
        "doccano",
        change(DOCCANO, 2, '{"content": "Ada", "annotation": []}'),
        "line 2: expected a \"text\", got the keys 'content, annotation'",
    ),
    "jsonl, two lists of spans": (
        "doccano",
        change(DOCCANO, 2, '{"text": "Ada", "label": [[0, 3, "PER"]], "spans": [[0, 3, "ORG"]]}'),
        "line 2: there are spans in spans and in label",
    ),
    "jsonl, offsets of UTF-16": (
        "doccano",
        change(DOCCANO, 2, '{"text": "\U0001f389 Ada sang", "label": [[3, 6, "PER"]]}'),
        "line 2: the span 3-6 PER 'da ' does not start and end at token borders",
    ),
    "jsonl, another text": (
        "doccano",
        change(DOCCANO, 2, '{"text": "\U0001f389 Ada sang", "label": [[2, 5, "PER", "Karl"]]}'),
        "line 2: the span 2-5 PER 'Ada' says that its text is 'Karl'. Offsets must count characters",
    ),
    "jsonl, no text": ("doccano", change(DOCCANO, 2, '{"label": []}'), 'line 2: expected a "text"'),
    "jsonl, half a character": (
        "doccano",
        change(DOCCANO, 2, '{"text": "a\\ud83d", "label": []}'),
        "line 2: character 1 of the text is half of a surrogate pair",
    ),
    "jsonl, no spans": ("doccano", change(DOCCANO, 2, '{"text": "Ada"}'), "line 2: expected one of spans, labels"),
    "jsonl, class": (
        "doccano",
        change(DOCCANO, 2, '{"text": "Ada", "label": "good"}'),
        "line 2: expected a list of spans",
    ),
    "jsonl, classes": (
        "doccano",
        change(DOCCANO, 2, '{"text": "Ada", "label": ["good"]}'),
        "line 2: expected a list of spans in \"label\", got ['good']",
    ),
    "jsonl, no label": ("doccano", with_spans([0, 5, ""]), "line 4: expected a span with start, end and label"),
    "jsonl, text as offset": ("doccano", with_spans(["0", 5, "ORG"]), "line 4: expected a span with start, end"),
    "jsonl, truth as offset": ("doccano", with_spans([False, 5, "ORG"]), "line 4: expected a span with start, end"),
    "jsonl, crossing": (
        "doccano",
        with_spans([6, 17, "PER"], [0, 11, "ORG"]),
        "line 4: the spans 0-11 ORG 'Norsk Hydro' and 6-17 PER 'Hydro hired' overlap",
    ),
    "jsonl, nested": (
        "doccano",
        with_spans([0, 11, "ORG"], [0, 5, "LOC"]),
        "line 4: the spans 0-5 LOC 'Norsk' and 0-11 ORG 'Norsk Hydro' overlap",
    ),
    "jsonl, outside": (
        "doccano",
        with_spans([18, 23, "PER"]),
        "line 4: the span 18-23 PER is empty or outside the text",
    ),
    "jsonl, negative": ("doccano", with_spans([-1, 5, "ORG"]), "line 4: the span -1-5 ORG is empty or outside"),
    "jsonl, empty": ("doccano", with_spans([5, 5, "ORG"]), "line 4: the span 5-5 ORG is empty or outside"),
    "jsonl, backwards": ("doccano", with_spans([5, 0, "ORG"]), "line 4: the span 5-0 ORG is empty or outside"),
    "jsonl, misaligned": (
        "doccano",
        with_spans([0, 9, "ORG"]),
        "line 4: the span 0-9 ORG 'Norsk Hyd' does not start and end at token borders; the nearest are 0-11 ORG",
    ),
    "jsonl, other tokens": ("prodigy", with_tokens("Ada", "song", "."), "line 2: the \"tokens\" make up 'Ada song .'"),
    "jsonl, no tokens": (
        "prodigy",
        change(PRODIGY, 2, '{"text": "Ada", "spans": [], "tokens": ["Ada"]}'),
        'line 2: expected "tokens" with text, start and end',
    ),
    "jsonl, encoding": ("doccano", DOCCANO.encode("latin1"), "line 5: byte 22 is not UTF-8"),
    "jsonl, all rejected": ("prodigy", PRODIGY.replace("accept", "ignore"), "holds no sentences"),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
