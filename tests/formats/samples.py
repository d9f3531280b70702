# ruff: noqa: E501 (a record is a line)
"""A sample of each format, which all say the same six sentences, and what reads them. All were written for these tests."""

import json
from pathlib import Path

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from scripts.corpus import corpus_cli
from scripts.formats.convert import SPLITS, convert, make_doc
from scripts.formats.detect import detect_format, read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import CorpusSettings, ReaderSettings

from ..helpers import assert_refused, get_entities, read_docs, run_command
from .made_samples import EXPECTED, MADE_SAMPLES

SHARES = {"dev_share": 0.34, "test_share": 0.34}


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
    "indexed": ("train.txt", "conll", INDEXED.encode("utf8")),
    "kaggle": ("ner_dataset.csv", "kaggle", KAGGLE.encode("latin1")),
    "prodigy": ("prodigy.jsonl", "jsonl", PRODIGY.encode("utf8")),
    "doccano": ("doccano.jsonl", "jsonl", DOCCANO.encode("utf8")),
    "docbin": ("corpus.spacy", "spacy", make_docbin()),
    **MADE_SAMPLES,
}


TEXT_SAMPLES = {name: sample for name, sample in SAMPLES.items() if name != "docbin"}


def get_labels(format_name: str) -> str:
    """Get the option that gives a sample the labels of EXPECTED."""
    return KAGGLE_LABELS if format_name == "kaggle" else ""


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def write_json(tmp_path: Path, **record) -> Path:
    return write(tmp_path, "source.jsonl", json.dumps(record).encode("utf8"))


def read(path: Path, format_name: str, **settings):
    return list(read_sentences(path, format_name, ReaderSettings(**settings), Notes()))


def detect(path: Path, **settings) -> str:
    return detect_format(path, ReaderSettings(**settings))


def read_text(tmp_path: Path, format_name: str, text: str, **settings):
    return read(write(tmp_path, "source.txt", text.encode("utf8")), format_name, **settings)


def as_doc(sentence) -> Doc:
    return make_doc(Vocab(), [sentence])


def summarize(sentences):
    """Get the words and the entities of each sentence, as EXPECTED has them."""
    return [(" ".join(sentence.words), get_entities(as_doc(sentence))) for sentence in sentences]


def summarize_corpus(folder: Path):
    """Get the same for the sentences of all three corpora."""
    found = []
    for split in SPLITS:
        for doc in read_docs(folder / f"{split}.spacy"):
            for sent in doc.sents:
                entities = [(ent.start - sent.start, ent.end - sent.start, ent.label_) for ent in sent.ents]
                found.append((" ".join(token.text for token in sent), entities))
    return sorted(found)


def read_files(folder: Path):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def assert_broken(tmp_path: Path, sample: str, data, expected: str) -> None:
    """A sample with other content is refused, and a corpus that was there is left as it was."""
    folder, metrics = tmp_path / "corpus", tmp_path / "corpus.json"
    convert(write(tmp_path, *SAMPLES["conll"][::2]), folder, CorpusSettings(n_sents=1, **SHARES), metrics=metrics)
    before, counts_before = read_files(folder), metrics.read_bytes()
    name = "source.bz2" if sample == "packed" else f"broken-{SAMPLES[sample][0]}"
    encoding = "latin1" if sample == "kaggle" else "utf8"
    source = write(tmp_path, name, data if isinstance(data, bytes) else data.encode(encoding))
    assert_refused(run_command(corpus_cli, source, folder, "-n", 1, "--metrics", metrics), source, expected)
    assert read_files(folder) == before
    assert metrics.read_bytes() == counts_before
