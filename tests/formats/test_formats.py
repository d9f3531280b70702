# ruff: noqa: E501 (a record is a line)
"""Annotated corpora of every format: what is read from them, how they are told apart, and what is refused.

All samples were written for these tests and say the same six sentences.
"""

import bz2
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from spacy.training.converters import conll_ner_to_docs
from spacy.vocab import Vocab

from scripts.common.console import UserError
from scripts.corpus import corpus_cli
from scripts.formats.convert import SPLITS, convert, group_sentences, make_doc
from scripts.formats.detect import FORMATS, detect_format, read_sentences
from scripts.formats.labels import parse_labels
from scripts.formats.sentence import Settings
from scripts.formats.tags import to_iob2

from ..helpers import assert_refused, get_entities, read_docs, run_command

SHARES = {"dev": 0.34, "test": 0.34}

EXPECTED = [
    ("Ada Byron met Karl in Oslo .", [(0, 2, "PER"), (3, 4, "PER"), (5, 6, "LOC")]),
    ("Yesterday Ada Byron Karl slept .", [(1, 3, "PER"), (3, 4, "PER")]),
    ("It rained .", []),
    ("Norsk Hydro hired Ada .", [(0, 2, "ORG"), (3, 4, "PER")]),
    ("Zoë saw the Rhine .", [(0, 1, "PER"), (3, 4, "LOC")]),
    ("The Oslo Opera sang Carmen .", [(1, 3, "ORG"), (4, 5, "MISC")]),
]

WIKINER = """
Ada|NNP|I-PER Byron|NNP|I-PER met|VBD|O Karl|NNP|I-PER in|IN|O Oslo|NNP|I-LOC .|.|O

Yesterday|NN|O Ada|NNP|I-PER Byron|NNP|I-PER Karl|NNP|B-PER slept|VBD|O .|.|O

It|PRP|O rained|VBD|O .|.|O

Norsk|NNP|I-ORG Hydro|NNP|I-ORG hired|VBD|O Ada|NNP|I-PER .|.|O

Zoë|NNP|I-PER saw|VBD|O the|DT|O Rhine|NNP|I-LOC .|.|O

The|DT|O Oslo|NNP|I-ORG Opera|NNP|I-ORG sang|VBD|O Carmen|NNP|I-MISC .|.|O
"""

CONLL = """-DOCSTART- -X- -X- O

Ada NNP B-NP B-PER
Byron NNP I-NP I-PER
met VBD B-VP O
Karl NNP B-NP B-PER
in IN B-PP O
Oslo NNP B-NP B-LOC
. . O O

Yesterday NN B-NP O
Ada NNP B-NP B-PER
Byron NNP I-NP I-PER
Karl NNP B-NP B-PER
slept VBD B-VP O
. . O O

-DOCSTART- -X- -X- O

It PRP B-NP O
rained VBD B-VP O
. . O O

Norsk NNP B-NP B-ORG
Hydro NNP I-NP I-ORG
hired VBD B-VP O
Ada NNP B-NP B-PER
. . O O

Zoë NNP B-NP B-PER
saw VBD B-VP O
the DT B-NP O
Rhine NNP I-NP B-LOC
. . O O

-DOCSTART- -X- -X- O

The DT B-NP O
Oslo NNP I-NP B-ORG
Opera NNP I-NP I-ORG
sang VBD B-VP O
Carmen NNP B-NP B-MISC
. . O O
"""

INDEXED = """# newdoc id = first
# text = Ada Byron met Karl in Oslo.
0\tAda\tB-PER
1\tByron\tI-PER
2\tmet\tO
3\tKarl\tB-PER
4\tin\tO
5\tOslo\tB-LOC
6\t.\tO

0\tYesterday\tO
1\tAda\tB-PER
2\tByron\tI-PER
3\tKarl\tB-PER
4\tslept\tO
5\t.\tO

# newdoc id = second
0\tIt\tO
1\trained\tO
2\t.\tO

0\tNorsk\tB-ORG
1\tHydro\tI-ORG
2\thired\tO
3\tAda\tB-PER
4\t.\tO

0\tZoë\tB-PER
1\tsaw\tO
2\tthe\tO
3\tRhine\tB-LOC
4\t.\tO

0\tThe\tO
1\tOslo\tB-ORG
2\tOpera\tI-ORG
3\tsang\tO
4\tCarmen\tB-MISC
5\t.\tO
"""

KAGGLE = """Sentence #,Word,POS,Tag
Sentence: 1,Ada,NNP,B-per
,Byron,NNP,I-per
,met,VBD,O
,Karl,NNP,B-per
,in,IN,O
,Oslo,NNP,B-geo
,.,.,O
Sentence: 2,Yesterday,NN,B-tim
,Ada,NNP,B-per
,Byron,NNP,I-per
,Karl,NNP,B-per
,slept,VBD,O
,.,.,O
Sentence: 3,It,PRP,O
,rained,VBD,O
,.,.,O
Sentence: 4,Norsk,NNP,B-org
,Hydro,NNP,I-org
,hired,VBD,O
,Ada,NNP,B-per
,.,.,O
Sentence: 5,Zoë,NNP,B-per
,saw,VBD,O
,the,DT,O
,Rhine,NNP,B-geo
,.,.,O
Sentence: 6,The,DT,O
,Oslo,NNP,B-org
,Opera,NNP,I-org
,sang,VBD,O
,Carmen,NNP,B-art
,.,.,O
"""
KAGGLE_LABELS = "per=PER,geo=LOC,org=ORG,art=MISC,tim="

PRODIGY = """{"text":"Ada Byron met Karl in Oslo.","spans":[{"start":0,"end":9,"label":"PER"},{"start":14,"end":18,"label":"PER"},{"start":22,"end":26,"label":"LOC"}],"answer":"accept"}
{"text":"Yesterday Ada Byron Karl slept.","spans":[{"start":20,"end":24,"label":"PER"},{"start":10,"end":19,"label":"PER"}],"answer":"accept"}
{"text":"Ada is rejected.","spans":[{"start":0,"end":6,"label":"PER"}],"answer":"reject"}
{"text":"It rained.","answer":"accept"}
{"text":"Norsk Hydro hired Ada.","spans":[{"start":0,"end":11,"label":"ORG","token_start":0,"token_end":1},{"start":18,"end":21,"label":"PER"}],"answer":"accept"}

{"text":"Zo\\u00eb saw the Rhine.","spans":[{"start":0,"end":3,"label":"PER"},{"start":12,"end":17,"label":"LOC"}],"answer":"accept"}
{"text":"The Oslo Opera sang Carmen.","spans":[{"start":4,"end":14,"label":"ORG"},{"start":20,"end":26,"label":"MISC"}],"tokens":[{"text":"The","start":0,"end":3,"id":0,"ws":true},{"text":"Oslo","start":4,"end":8,"id":1,"ws":true},{"text":"Opera","start":9,"end":14,"id":2,"ws":true},{"text":"sang","start":15,"end":19,"id":3,"ws":true},{"text":"Carmen","start":20,"end":26,"id":4,"ws":false},{"text":".","start":26,"end":27,"id":5,"ws":false}],"answer":"accept"}
"""

DOCCANO = """{"id": 1, "text": "Ada Byron met Karl in Oslo.", "label": [[0, 9, "PER"], [14, 18, "PER"], [22, 26, "LOC"]]}
{"id": 2, "text": "Yesterday Ada Byron Karl slept.", "label": [[10, 19, "PER"], [20, 24, "PER"]]}
{"id": 3, "text": "It rained.", "label": []}
{"id": 4, "text": "Norsk Hydro hired Ada.", "labels": [[0, 11, "ORG"], [18, 21, "PER"]]}
{"id": 5, "text": "Zoë saw the Rhine.", "labels": [[0, 3, "PER"], [12, 17, "LOC"]]}
{"id": 6, "text": "The Oslo Opera sang Carmen.", "entities": [{"id": 7, "label": "ORG", "start_offset": 4, "end_offset": 14}, {"id": 8, "label": "MISC", "start_offset": 20, "end_offset": 26}], "relations": []}
"""


def make_docbin() -> bytes:
    docs = []
    for group in (EXPECTED[:2], EXPECTED[2:5], EXPECTED[5:]):
        words = [word for text, _ in group for word in text.split()]
        starts = [number == 0 for text, _ in group for number, _ in enumerate(text.split())]
        tags = []
        for text, entities in group:
            sentence = ["O"] * len(text.split())
            for start, end, label in entities:
                sentence[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
            tags.extend(sentence)
        docs.append(Doc(Vocab(), words=words, sent_starts=starts, ents=tags))
    return DocBin(docs=docs).to_bytes()


# The name of the file, the format, the sample.
SAMPLES = {
    "wikiner": ("aij-wikiner-xx-wp3.txt", "wikiner", WIKINER.encode("utf8")),
    "conll": ("eng.train", "conll", CONLL.encode("utf8")),
    "indexed": ("train.conllu", "indexed", INDEXED.encode("utf8")),
    "kaggle": ("ner_dataset.csv", "kaggle", KAGGLE.encode("latin1")),
    "prodigy": ("prodigy.jsonl", "jsonl", PRODIGY.encode("utf8")),
    "doccano": ("doccano.jsonl", "jsonl", DOCCANO.encode("utf8")),
    "docbin": ("corpus.spacy", "spacy", make_docbin()),
}
TEXT_SAMPLES = {name: sample for name, sample in SAMPLES.items() if name != "docbin"}
DOCUMENTS = {"wikiner": [6], "kaggle": [6], "conll": [2, 3, 1], "indexed": [2, 4], "docbin": [2, 3, 1]}


def get_labels(format_name: str) -> str:
    """RETURNS (str): What gives the sample the labels of EXPECTED."""
    return KAGGLE_LABELS if format_name == "kaggle" else ""


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def read(path: Path, format_name: str, **settings):
    return list(read_sentences(path, format_name, Settings(**settings)))


def read_text(tmp_path: Path, format_name: str, text: str, **settings):
    return read(write(tmp_path, "source.txt", text.encode("utf8")), format_name, **settings)


def as_doc(sentence) -> Doc:
    return make_doc(Vocab(), [sentence])


def summarize(sentences):
    """RETURNS (List): The words and the entities of each sentence, as EXPECTED has them."""
    return [(" ".join(sentence.words), get_entities(as_doc(sentence))) for sentence in sentences]


def summarize_corpus(folder: Path):
    """RETURNS (List): The same for the sentences of all three corpora."""
    found = []
    for split in SPLITS:
        for doc in read_docs(folder / f"{split}.spacy"):
            for sent in doc.sents:
                entities = [(ent.start - sent.start, ent.end - sent.start, ent.label_) for ent in sent.ents]
                found.append((" ".join(token.text for token in sent), entities))
    return sorted(found)


def read_files(folder: Path):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# What is read


@pytest.mark.parametrize("sample", SAMPLES)
def test_sample_is_converted(tmp_path, sample):
    """By its look alone, through the command, with the exact entities."""
    name, format_name, data = SAMPLES[sample]
    source = write(tmp_path, name, data)
    options = ["-n", 2, "--dev-share", 0.34, "--test-share", 0.34, "--labels", get_labels(format_name)]
    result = run_command(corpus_cli, source, tmp_path / "corpus", *options, "--metrics", tmp_path / "corpus.json")
    assert result.exit_code == 0, result.output
    assert summarize_corpus(tmp_path / "corpus") == sorted(EXPECTED)
    counts = json.loads((tmp_path / "corpus.json").read_text())
    assert counts["files"] == {"train": {"name": name, "format": format_name, "duplicates": 0}}
    labels = sum((Counter(counts["splits"][split]["entities"]) for split in SPLITS), Counter())
    assert labels == Counter(label for _, entities in EXPECTED for _, _, label in entities)


@pytest.mark.parametrize("sample", SAMPLES)
def test_format_is_detected(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    assert detect_format(write(tmp_path, name, data)) == format_name


@pytest.mark.parametrize("compress, suffix", [(bytes, ""), (bz2.compress, ".bz2"), (gzip.compress, ".gz")])
@pytest.mark.parametrize("sample", TEXT_SAMPLES)
def test_packed_and_plain_samples_are_equal(tmp_path, sample, compress, suffix):
    name, format_name, data = SAMPLES[sample]
    plain = write(tmp_path, name, data)
    packed = write(tmp_path, f"packed{suffix}", compress(data.replace(b"\n", b"\r\n")))
    assert detect_format(packed) == format_name
    assert read(packed, format_name) == read(plain, format_name)


@pytest.mark.parametrize("sample", DOCUMENTS)
def test_documents_of_the_sample(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    sentences = read(write(tmp_path, name, data), format_name)
    assert list(Counter(sentence.document for sentence in sentences).values()) == DOCUMENTS[sample]


@pytest.mark.parametrize("sample", ["conll", "indexed", "docbin"])
@pytest.mark.parametrize("n_sents", [2, 100])
def test_no_doc_spans_two_documents(tmp_path, sample, n_sents):
    name, format_name, data = SAMPLES[sample]
    sentences = read(write(tmp_path, name, data), format_name)
    groups = list(group_sentences(sentences, n_sents))
    assert sum(groups, []) == sentences
    assert all(len({sentence.document for sentence in group}) == 1 for group in groups)
    assert [len(group) for group in groups] == {
        ("conll", 2): [2, 2, 1, 1],
        ("conll", 100): [2, 3, 1],
        ("indexed", 2): [2, 2, 2],
        ("indexed", 100): [2, 4],
        ("docbin", 2): [2, 2, 1, 1],
        ("docbin", 100): [2, 3, 1],
    }[sample, n_sents]


@pytest.mark.parametrize("sample", ["wikiner", "conll", "kaggle"])
def test_parts_of_speech_are_kept(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    doc = as_doc(read(write(tmp_path, name, data), format_name)[0])
    assert [token.tag_ for token in doc] == ["NNP", "NNP", "VBD", "NNP", "IN", "NNP", "."]


def test_conll_as_spacy_reads_it(tmp_path):
    text = CONLL.replace("-DOCSTART- -X- -X- O", "-DOCSTART- -X- O O")  # The only spelling that spaCy knows.
    expected = [
        (" ".join(token.text for token in sent), [token.ent_iob_ + token.ent_type_ for token in sent])
        for doc in conll_ner_to_docs(text, no_print=True)
        for sent in doc.sents
    ]
    found = [
        (" ".join(sentence.words), [token.ent_iob_ + token.ent_type_ for token in as_doc(sentence)])
        for sentence in read_text(tmp_path, "conll", text)
    ]
    assert found == expected


@pytest.mark.parametrize(
    "lines, pos",
    [
        (["Ada B-PER", "sang O"], None),
        (["Ada\tB-PER", "sang\tO"], None),
        (["Ada NNP B-PER", "sang VBD O"], ["NNP", "VBD"]),
        (["Ada  NNP  I-NP  B-PER", "sang  VBD  I-VP  O"], ["NNP", "VBD"]),
        (["Ada Ada NNP I-NP B-PER", "sang sing VBD I-VP O"], ["NNP", "VBD"]),
    ],
    ids=["word tag", "tabs", "word POS tag", "several spaces", "lemma"],
)
def test_columns_of_conll(tmp_path, lines, pos):
    source = write(tmp_path, "source.txt", "\n".join(lines).encode("utf8"))
    assert detect_format(source) == "conll"
    (sentence,) = read(source, "conll")
    assert (sentence.words, sentence.pos, sentence.tags) == (["Ada", "sang"], pos, ["B-PER", "O"])


def test_white_space_in_words_of_tabbed_columns(tmp_path):
    (sentence,) = read_text(tmp_path, "conll", "New York\tB-LOC\n1\u00a0000\tO\n")
    assert sentence.words == ["New York", "1\u00a0000"]


def test_numbers_as_words_are_no_index(tmp_path):
    source = write(tmp_path, "source.txt", b"1 CD O\n000 CD O\nmen NNS O\n")
    assert detect_format(source) == "conll"
    assert read(source, "conll")[0].words == ["1", "000", "men"]


def test_index_may_start_at_one(tmp_path):
    text = "1 Ada B-PER\n2 sang O\n\n1 Karl B-PER\n"
    assert detect_format(write(tmp_path, "source.txt", text.encode())) == "indexed"
    assert summarize(read_text(tmp_path, "indexed", text)) == [("Ada sang", [(0, 1, "PER")]), ("Karl", [(0, 1, "PER")])]


def test_quotes_and_commas_of_kaggle(tmp_path):
    text = 'Sentence #,Word,POS,Tag\nSentence: 1,"""",``,O\n,"10,000",CD,O\n,""",""",",",O\n'
    (sentence,) = read_text(tmp_path, "kaggle", text)
    assert sentence.words == ['"', "10,000", '","']
    assert sentence.pos == ["``", "CD", ","]


def test_numbers_on_every_line_of_kaggle(tmp_path):
    rows = ["Sentence: 1,Ada,NNP,B-per", "Sentence: 1,sang,VBD,O", "Sentence: 2,Karl,NNP,B-per"]
    sentences = read_text(tmp_path, "kaggle", "\n".join(["Sentence #,Word,POS,Tag", *rows]))
    assert [sentence.words for sentence in sentences] == [["Ada", "sang"], ["Karl"]]


def test_encoding_may_be_named(tmp_path):
    source = write(tmp_path, "source.csv", KAGGLE.encode("utf8"))
    assert read(source, "kaggle", encoding="utf8")[4].words[0] == "Zoë"
    assert read(source, "kaggle", encoding="latin1")[4].words[0] == "ZoÃ«"
    source = write(tmp_path, "source.conll", CONLL.encode("cp1252"))
    assert read(source, "conll", encoding="cp1252")[4].words[0] == "Zoë"


# Tag schemes

SCHEMES = {
    "IOB1": "O I-PER I-PER B-PER I-LOC O",
    "IOB2": "O B-PER I-PER B-PER B-LOC O",
    "BILUO": "O B-PER L-PER U-PER U-LOC O",
    "IOBES": "O B-PER E-PER S-PER S-LOC O",
}


def make_columns(*sentences: str) -> str:
    """Write sentences of tags as CoNLL columns."""
    return "\n\n".join("\n".join(f"word{n} {tag}" for n, tag in enumerate(tags.split())) for tags in sentences)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_the_same_entities(tmp_path, scheme):
    sentences = read_text(tmp_path, "conll", make_columns("O O", SCHEMES[scheme], "O"))
    assert get_entities(as_doc(sentences[1])) == [(1, 3, "PER"), (3, 4, "PER"), (4, 5, "LOC")]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("other", SCHEMES)
def test_one_file_has_one_scheme(tmp_path, scheme, other):
    text = make_columns(SCHEMES[scheme], SCHEMES[other])
    if scheme == other:
        assert len(read_text(tmp_path, "conll", text)) == 2
        return
    with pytest.raises(UserError) as raised:
        read_text(tmp_path, "conll", text)
    line = int(str(raised.value).split(", line ")[1].split(":")[0].split(",")[0])
    assert 7 < line < 14  # In the second sentence.
    assert f"is not {scheme}" in str(raised.value)


@pytest.mark.parametrize(
    "tags, line, expected",
    [
        ("I-PER O B-PER", 3, "'B-PER' after 'O' is not IOB1"),
        ("O B-PER I-LOC", 3, "'I-LOC' after 'B-PER' is not IOB2 or BILUO or IOBES"),
        ("B-PER O I-PER", 3, "'I-PER' after 'O' is not IOB2"),
        ("U-PER I-PER", 2, "'I-PER' after 'U-PER' is not BILUO"),
        ("U-PER B-PER", 2, "end of the sentence: the tag 'O' after 'B-PER' is not BILUO"),
        ("S-PER O B-PER E-LOC", 4, "'E-LOC' after 'B-PER' is not IOBES"),
        ("O L-PER", 2, "'L-PER' after 'O' is not IOB1 or IOB2 or BILUO or IOBES"),
        ("U-PER S-PER", 2, "'S-PER' after 'U-PER' is not BILUO"),
    ],
)
def test_tags_that_break_their_scheme(tmp_path, tags, line, expected):
    with pytest.raises(UserError) as raised:
        read_text(tmp_path, "conll", make_columns(tags))
    assert f"line {line}" in str(raised.value)
    assert expected in str(raised.value)


def test_labels_that_look_like_prefixes_stay_whole():
    assert to_iob2(["B-CELL-LINE", "L-CELL-LINE", "U-EU-LAW"]) == ["B-CELL-LINE", "I-CELL-LINE", "B-EU-LAW"]


@given(
    entities=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["PER", "L-U"])), max_size=5),
    scheme=st.sampled_from(list(SCHEMES)),
)
def test_random_entities_come_back_from_every_scheme(tmp_path_factory, entities, scheme):
    """Entities as a gap before them, a length and a label."""
    tags, expected, previous = ["O"], [], ""
    for gap, length, label in entities:
        tags += ["O"] * gap
        expected.append((len(tags), len(tags) + length, label))
        inside = [f"I-{label}"] * (length - 1)
        first = "B" if scheme != "IOB1" or (gap == 0 and previous == label) else "I"
        new = [f"{first}-{label}", *inside]
        if scheme in ("BILUO", "IOBES"):
            last, single = ("L", "U") if scheme == "BILUO" else ("E", "S")
            new[-1] = f"{single if length == 1 else last}-{label}"
        tags += new
        previous = label
    folder = tmp_path_factory.mktemp("schemes")
    (sentence,) = read_text(folder, "conll", make_columns(" ".join(tags)))
    assert get_entities(as_doc(sentence)) == expected


# JSONL


def write_json(tmp_path: Path, **record) -> Path:
    return write(tmp_path, "source.jsonl", json.dumps(record).encode("utf8"))


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
    counts = convert(source, tmp_path / "corpus", n_sents=10, shares=SHARES)
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
    settings = Settings(misaligned="skip")
    (sentence,) = read_sentences(source, "jsonl", settings)
    assert sentence.tags == [None, "O", "O", "B-PER"]
    assert settings.skipped["misaligned spans"] == 1
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


# .spacy


def write_docs(tmp_path: Path, *docs: Doc) -> Path:
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "source.spacy")
    return tmp_path / "source.spacy"


def test_doc_without_sentences_is_one(tmp_path):
    doc = Doc(Vocab(), words=["Ada", "sang", ".", "Karl", "slept"], ents=["B-PER", "O", "O", "B-PER", "O"])
    assert summarize(read(write_docs(tmp_path, doc), "spacy")) == [
        ("Ada sang . Karl slept", [(0, 1, "PER"), (3, 4, "PER")])
    ]


def test_sentence_border_inside_an_entity_is_none(tmp_path):
    doc = Doc(
        Vocab(),
        words=["A", "B", "C"],
        ents=["B-PER", "I-PER", "O"],
        sent_starts=[True, True, True],
        spaces=[True, False, False],
    )
    sentences = read(write_docs(tmp_path, doc), "spacy")
    assert summarize(sentences) == [("A B", [(0, 2, "PER")]), ("C", [])]
    assert [sentence.spaces for sentence in sentences] == [[True, False], [False]]


def test_missing_annotation_stays_missing(tmp_path):
    doc = Doc(Vocab(), words=["Ada", "sang"], ents=["B-PER", None])
    (sentence,) = read(write_docs(tmp_path, doc), "spacy")
    assert sentence.tags == ["B-PER", None]


def test_tags_of_docs_are_kept(tmp_path):
    doc = Doc(Vocab(), words=["Ada", "sang"], tags=["NNP", "VBD"], ents=["B-PER", "O"])
    assert read(write_docs(tmp_path, doc), "spacy")[0].pos == ["NNP", "VBD"]


def test_converted_corpora_convert_again(tmp_path):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    convert(source, tmp_path / "one", n_sents=1, shares=SHARES)
    files = {split: tmp_path / "one" / f"{split}.spacy" for split in SPLITS}
    convert(files["train"], tmp_path / "two", dev=files["dev"], test=files["test"], n_sents=1, shares=SHARES)
    assert summarize_corpus(tmp_path / "two") == sorted(EXPECTED)
    assert read_docs(tmp_path / "two" / "test.spacy")[0].text == read_docs(tmp_path / "one" / "test.spacy")[0].text


# Labels


def test_labels_are_renamed_and_dropped(tmp_path):
    source = write(tmp_path, *SAMPLES["kaggle"][::2])
    counts = convert(source, tmp_path / "corpus", n_sents=1, labels="geo=LOC, per=PER,tim=", shares=SHARES)
    labels = sum((Counter(counts["splits"][split]["entities"]) for split in SPLITS), Counter())
    assert labels == {"LOC": 2, "PER": 6, "org": 2, "art": 1}
    assert counts["labels"] == {"geo": "LOC", "per": "PER", "tim": ""}


def test_entities_that_get_one_label_stay_apart(tmp_path):
    text = "Sentence #,Word,POS,Tag\nSentence: 1,Oslo,NNP,B-geo\n,Norway,NNP,B-gpe\n"
    (sentence,) = read_text(tmp_path, "kaggle", text)
    renamed = sentence._replace(tags=parse_labels("geo=LOC,gpe=LOC").rename(sentence.tags))
    assert get_entities(as_doc(renamed)) == [(0, 1, "LOC"), (1, 2, "LOC")]


def test_map_adds_to_the_labels_of_wikiner(tmp_path):
    text = WIKINER.replace("I-MISC", "I-OPUS")
    assert_refused(
        run_command(corpus_cli, write(tmp_path, "source.txt", text.encode("utf8")), tmp_path / "corpus"),
        "line 12: unknown tag 'I-OPUS' in 'Carmen|NNP|I-OPUS'. Expected the labels LOC, MISC, ORG, PER",
    )
    counts = convert(tmp_path / "source.txt", tmp_path / "corpus", n_sents=1, labels="OPUS=MISC", shares=SHARES)
    assert sum(counts["splits"][split]["entities"].get("MISC", 0) for split in SPLITS) == 1


@pytest.mark.parametrize("sample", SAMPLES)
def test_bare_labels_make_the_list_complete(tmp_path, sample):
    name, format_name, data = SAMPLES[sample]
    source = write(tmp_path, name, data)
    missing = "art" if format_name == "kaggle" else "MISC"
    labels = "per,geo=LOC,org,tim=" if format_name == "kaggle" else "PER,LOC,ORG"
    result = run_command(corpus_cli, source, tmp_path / "corpus", "--labels", labels)
    line = {"wikiner": 12, "conll": 42, "indexed": 39, "kaggle": 32, "prodigy": 8, "doccano": 6}.get(sample)
    assert_refused(result, f"{source}, line {line}:" if line else f"{source}, Doc 3:", "unknown", f"{missing}'")
    assert not (tmp_path / "corpus").exists()
    result = run_command(corpus_cli, source, tmp_path / "corpus", "-n", 1, "--labels", f"{labels},{missing}")
    assert result.exit_code == 0, result.output


def test_labels_that_no_entity_has_are_reported(tmp_path):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    options = ["-n", 1, "--dev-share", 0.34, "--test-share", 0.34]
    result = run_command(corpus_cli, source, tmp_path / "corpus", *options, "--labels", "PRE=PER")
    assert result.exit_code == 0
    assert "No entity has the label PRE" in result.output


@pytest.mark.parametrize(
    "labels, expected",
    [
        ("geo=LOC=PER", "got 'geo=LOC=PER'"),
        ("=LOC", "got '=LOC'"),
        ("geo=LOC,", "got ''"),
        ("geo=LOC,geo=PER", "'geo' is there twice"),
    ],
)
def test_bad_label_maps_are_refused(tmp_path, labels, expected):
    source = write(tmp_path, *SAMPLES["kaggle"][::2])
    assert_refused(run_command(corpus_cli, source, tmp_path / "corpus", "--labels", labels), "--labels", expected)


# Languages

LANGUAGES = ["de", "en", "es", "fr", "it", "nl", "pl", "pt", "ru"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_languages_of_wikiner(tmp_path, lang):
    source = write(tmp_path, f"aij-wikiner-{lang}-wp3.bz2", bz2.compress(WIKINER.encode("utf8")))
    options = ["-n", 1, "--lang", lang, "--dev-share", 0.34, "--test-share", 0.34]
    result = run_command(corpus_cli, source, tmp_path / "corpus", *options, "--metrics", tmp_path / "corpus.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "corpus.json").read_text())["lang"] == lang
    assert summarize_corpus(tmp_path / "corpus") == sorted(EXPECTED)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_texts_are_tokenized_in_their_language(tmp_path, lang):
    text = "L'ami de z.B. Zoë, don't, c'è l'art. 5 e/ou Nr. 7 (т.е.)."
    (sentence,) = read(write_json(tmp_path, text=text, spans=[]), "jsonl", lang=lang)
    assert sentence.words == [token.text for token in spacy.blank(lang)(text)]


def test_unknown_language_is_refused(tmp_path):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    assert_refused(run_command(corpus_cli, source, tmp_path / "corpus", "--lang", "qq"), "no language 'qq'")


# What is refused


def change(text: str, line: int, new: str) -> str:
    """Put another line in the place of one, counted from 1."""
    lines = text.split("\n")
    lines[line - 1] = new
    return "\n".join(lines)


def drop(text: str, line: int) -> str:
    lines = text.split("\n")
    del lines[line - 1]
    return "\n".join(lines)


def cut(text: str, n: int) -> str:
    return text.rstrip()[:-n]


def with_spans(*spans) -> str:
    return change(DOCCANO, 4, json.dumps({"text": "Norsk Hydro hired Ada.", "label": spans}))


def with_tokens(*words: str) -> str:
    tokens, start = [], 0
    for word in words:
        tokens.append({"text": word, "start": start, "end": start + len(word)})
        start += len(word) + 1
    return change(PRODIGY, 2, json.dumps({"text": "Ada sang .", "spans": [], "tokens": tokens}))


BROKEN = {
    "conll, cut line": ("conll", cut(CONLL, 4), "line 43: expected 4 columns as at the start, got '. .'"),
    "conll, cut in the middle": ("conll", change(CONLL, 14, "Karl NNP"), "line 14: expected 4 columns"),
    "conll, one column too many": ("conll", change(CONLL, 5, "met VBD B-VP x O"), "line 5: expected 4 columns"),
    "conll, no prefix": ("conll", change(CONLL, 8, "Oslo NNP B-NP LOC"), "line 8: unknown tag 'LOC'"),
    "conll, unknown prefix": ("conll", change(CONLL, 8, "Oslo NNP B-NP X-LOC"), "line 8: unknown tag 'X-LOC'"),
    "conll, no label": ("conll", change(CONLL, 8, "Oslo NNP B-NP B-"), "line 8: unknown tag 'B-'"),
    "conll, two schemes": ("conll", change(CONLL, 24, "Norsk NNP B-NP I-ORG"), "line 24: the tag 'I-ORG' after 'O'"),
    "conll, encoding": ("conll", CONLL.encode("latin1"), "line 30: byte 3 is not UTF-8"),
    "conll, no sentence": ("conll", "-DOCSTART- -X- -X- O\n\n\n", "holds no sentences"),
    "indexed, cut line": ("indexed", cut(INDEXED, 2), "line 40: expected the three columns index, word and tag"),
    "indexed, lost line": ("indexed", drop(INDEXED, 4), "line 4: expected the index 1, got '2'"),
    "indexed, lost border": ("indexed", drop(INDEXED, 10), "line 10: expected the index 7, got '0'"),
    "indexed, tag": ("indexed", change(INDEXED, 8, "5\tOslo\tPLACE"), "line 8: unknown tag 'PLACE'"),
    "indexed, two schemes": ("indexed", change(INDEXED, 8, "5\tOslo\tI-LOC"), "line 8: the tag 'I-LOC' after 'O'"),
    "indexed, encoding": ("indexed", INDEXED.encode("latin1"), "line 29: byte 5 is not UTF-8"),
    "kaggle, cut line": ("kaggle", cut(KAGGLE, 4), "line 33: expected four columns"),
    "kaggle, empty word": ("kaggle", change(KAGGLE, 5, ",,NNP,B-per"), "line 5: expected four columns"),
    "kaggle, open quote": ("kaggle", change(KAGGLE, 5, ',"Karl,NNP,B-per'), "line 5: a quote does not end"),
    "kaggle, tag": ("kaggle", change(KAGGLE, 7, ",Oslo,NNP,geo"), "line 7: unknown tag 'geo'"),
    "kaggle, header": ("kaggle", change(KAGGLE, 1, "Sentence #,Word,Tag"), "line 1: expected the columns Sentence #,"),
    "kaggle, no number": ("kaggle", change(KAGGLE, 2, ",Ada,NNP,B-per"), "line 2: the first token has no number"),
    "kaggle, encoding": ("kaggle", KAGGLE.encode("utf8"), "line 23: this is UTF-8, the corpus is Latin-1"),
    "kaggle, only a header": ("kaggle", "Sentence #,Word,POS,Tag\n", "holds no sentences"),
    "jsonl, cut line": ("doccano", cut(DOCCANO, 9), "line 6: this is no JSON, or it is cut short"),
    "jsonl, no object": (
        "doccano",
        change(DOCCANO, 2, "[1, 2]"),
        "line 2: expected a JSON object a line, got '[1, 2]'",
    ),
    "jsonl, a list": ("doccano", "[\n" + DOCCANO, "line 1: this is no JSON"),
    "jsonl, no text": ("doccano", change(DOCCANO, 2, '{"label": []}'), 'line 2: expected a "text"'),
    "jsonl, empty text": ("doccano", change(DOCCANO, 2, '{"text": " ", "label": []}'), 'line 2: expected a "text"'),
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
        "line 2: expected a span with start, end and label, got 'good'",
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
    "jsonl, twice": ("doccano", with_spans([0, 5, "ORG"], [0, 5, "ORG"]), "line 4: the spans 0-5 ORG"),
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
    "spacy, cut": ("docbin", make_docbin()[:-20], "is not a .spacy corpus, or damaged"),
    "spacy, garbage": ("docbin", b"this was never a corpus", "is not a .spacy corpus, or damaged"),
    "spacy, empty": ("docbin", DocBin().to_bytes(), "holds no sentences"),
    "spacy, no entities": (
        "docbin",
        DocBin(docs=[Doc(Vocab(), words=["Ada"], ents=["O"]), Doc(Vocab(), words=["Ada"])]).to_bytes(),
        "Doc 2: it has no entity annotation",
    ),
    "UTF-16": ("conll", CONLL.encode("utf16"), "line 1: this is UTF-16"),
    "damaged": ("packed", bz2.compress(CONLL.encode("utf8"))[:-9], "is damaged or cut short after line "),
    "no format": ("conll", "once upon a time\n", "can't tell the format by the first line, 'once upon a time'"),
}


@pytest.mark.parametrize("sample, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    folder = tmp_path / "corpus"
    metrics = tmp_path / "corpus.json"
    convert(write(tmp_path, *SAMPLES["conll"][::2]), folder, n_sents=1, shares=SHARES, metrics=metrics)
    before, counts_before = read_files(folder), metrics.read_bytes()
    name = "source.bz2" if sample == "packed" else f"broken-{SAMPLES[sample][0]}"
    source = write(
        tmp_path, name, data if isinstance(data, bytes) else data.encode("latin1" if sample == "kaggle" else "utf8")
    )
    assert_refused(run_command(corpus_cli, source, folder, "-n", 1, "--metrics", metrics), source, expected)
    assert read_files(folder) == before
    assert metrics.read_bytes() == counts_before


@pytest.mark.parametrize("sample", SAMPLES)
def test_broken_test_file_changes_nothing(tmp_path, sample):
    """In a file of its own, the error is the same."""
    name, _, data = SAMPLES[sample]
    source = write(tmp_path, name, data)
    broken = write(tmp_path, f"broken-{name}", data[: len(data) // 2 + 1] + b"\xff\xff\n")
    result = run_command(corpus_cli, source, tmp_path / "corpus", "-n", 1, "--test", broken)
    assert_refused(result, broken, "" if sample == "docbin" else ", line ")
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("sample", TEXT_SAMPLES)
def test_other_format_is_refused_by_line(tmp_path, sample):
    """A format that is named wrongly is an error of the first line."""
    name, format_name, data = SAMPLES[sample]
    source = write(tmp_path, name, data.decode("latin1").encode("utf8") if format_name == "kaggle" else data)
    for other in set(FORMATS) - {format_name, "spacy"}:
        with pytest.raises(UserError, match="line [123]:"):
            read(source, other)
    with pytest.raises(UserError, match="is not a .spacy corpus"):
        read(source, "spacy")


@pytest.mark.parametrize(
    "option, value, expected",
    [
        ("--format", "xml", "unknown value 'xml'. Expected one of auto, wikiner, conll, indexed, kaggle, jsonl, spacy"),
        ("--misaligned", "ignore", "unknown value 'ignore'. Expected one of error, skip"),
        ("--encoding", "klingon", "there is no encoding 'klingon'"),
        ("--encoding", "utf16", "has no lines of single bytes"),
    ],
)
def test_unknown_values_are_refused(tmp_path, option, value, expected):
    source = write(tmp_path, *SAMPLES["conll"][::2])
    assert_refused(run_command(corpus_cli, source, tmp_path / "corpus", option, value), option, expected)


def test_empty_options_are_not_given(tmp_path):
    """weasel has no conditions: its commands give every option, empty or not."""
    source = write(tmp_path, *SAMPLES["conll"][::2])
    shares = ["-n", 1, "--dev-share", 0.34, "--test-share", 0.34]
    empty = [
        part
        for name in ("format", "dev", "test", "labels", "lang", "encoding", "misaligned")
        for part in (f"--{name}", "")
    ]
    assert run_command(corpus_cli, source, tmp_path / "given", *shares, *empty).exit_code == 0
    assert run_command(corpus_cli, source, tmp_path / "bare", *shares).exit_code == 0
    assert read_files(tmp_path / "given") == read_files(tmp_path / "bare")
