"""Samples of more formats, made of the same six sentences."""

import json
from typing import Any, Callable, List, Tuple

EXPECTED = [
    ("Ada Byron met Karl in Oslo .", [(0, 2, "PER"), (3, 4, "PER"), (5, 6, "LOC")]),
    ("Yesterday Ada Byron Karl slept .", [(1, 3, "PER"), (3, 4, "PER")]),
    ("It rained .", []),
    ("Norsk Hydro hired Ada .", [(0, 2, "ORG"), (3, 4, "PER")]),
    ("Zoë saw the Rhine .", [(0, 1, "PER"), (3, 4, "LOC")]),
    ("The Oslo Opera sang Carmen .", [(1, 3, "ORG"), (4, 5, "MISC")]),
]


def tag(inside: str = "I", last: str = "I", single: str = "B") -> List[Tuple[List[str], List[str]]]:
    """Get the words and tags of each sentence, in a scheme."""
    sentences = []
    for text, entities in EXPECTED:
        tags = ["O"] * len(text.split())
        for start, end, label in entities:
            prefixes = ["B", *[inside] * (end - start - 2), last] if end - start > 1 else [single]
            tags[start:end] = [f"{prefix}-{label}" for prefix in prefixes]
        sentences.append((text.split(), tags))
    return sentences


def find_spans() -> List[Tuple[str, List[Tuple[int, int, str]]]]:
    """Get the text of each sentence, and its spans by characters."""
    found = []
    for text, entities in EXPECTED:
        starts = [0] + [place + 1 for place, character in enumerate(text) if character == " "]
        words = text.split()
        found.append(
            (text, [(starts[start], starts[end - 1] + len(words[end - 1]), label) for start, end, label in entities])
        )
    return found


def make_columns(make_row: Callable[[int, str, str], str], head: str = "", before: str = "", **scheme: str) -> bytes:
    """Write a row for each token, by its number, its word and its tag."""
    blocks = [
        before + "\n".join(make_row(number, word, name) for number, (word, name) in enumerate(zip(words, tags)))
        for words, tags in tag(**scheme)
    ]
    return (head + "\n\n".join(blocks) + "\n").encode("utf8")


def make_json(make_record: Callable[[str, List[Tuple[int, int, str]]], Any], indent: Any = None) -> bytes:
    """Write an array with a record for each text and its spans."""
    records = [make_record(text, spans) for text, spans in find_spans()]
    return json.dumps(records, indent=indent, ensure_ascii=False).encode("utf8")


def make_label_studio_task(text: str, spans: List[Tuple[int, int, str]]) -> Any:
    results = [
        {
            "type": "labels",
            "from_name": "label",
            "to_name": "text",
            "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]},
        }
        for start, end, label in spans
    ]
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    cancelled = {"id": 2, "was_cancelled": True, "result": []}
    return {
        "id": 1,
        "data": {"text": text},
        "annotations": [{"id": 1, "result": [*results, relation]}, cancelled],
        "predictions": [],
    }


def make_minimal_task(text: str, spans: List[Tuple[int, int, str]]) -> Any:
    items = [{"start": start, "end": end, "text": text[start:end], "labels": [label]} for start, end, label in spans]
    task = {"id": 1, "text": text, "annotator": 1, "annotation_id": 1, "lead_time": 3.5}
    return {**task, "ner": items} if items else task


def make_spacy_json_document(words: List[str], tags: List[str]) -> Any:
    tokens = [{"id": n, "orth": word, "ner": name, "tag": "-"} for n, (word, name) in enumerate(zip(words, tags))]
    return {"id": 0, "paragraphs": [{"raw": " ".join(words), "sentences": [{"tokens": tokens}]}]}


def make_brackets(name: str) -> str:
    """Write a tag of BILUO as CoNLL-2012 does."""
    return {"O": "*", "B": f"({name[2:]}*", "I": "*", "L": "*)", "U": f"({name[2:]})"}[name[0]]


def make_webanno_rows() -> bytes:
    blocks, span = [], 0
    for number, (text, entities) in enumerate(EXPECTED, start=1):
        values = ["_"] * len(text.split())
        for start, end, label in entities:
            span += 1
            values[start:end] = [f"{label}[{span}]" if end - start > 1 else label] * (end - start)
        rows = [
            f"{number}-{n}\t0-1\t{word}\t_\t{v}\t" for n, (word, v) in enumerate(zip(text.split(), values), start=1)
        ]
        blocks.append(f"#Text={text}\n" + "\n".join(rows))
    layers = "#T_SP=webanno.custom.Mood|tone\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|value\n"
    return f"#FORMAT=WebAnno TSV 3.2\n{layers}\n\n{chr(10).join(block + chr(10) for block in blocks)}".encode()


def make_articles() -> bytes:
    articles = []
    for number, (text, spans) in enumerate(find_spans(), start=1):
        title, abstract = text.split(" ", 1)
        rows = [f"{number}\t{start}\t{end}\t{text[start:end]}\t{label}\tX1" for start, end, label in spans]
        articles.append("\n".join([f"{number}|t|{title}", f"{number}|a|{abstract}", *rows, f"{number}\tCID\tD1\tD2"]))
    return ("\n\n".join(articles) + "\n").encode("utf8")


BILUO = {"inside": "I", "last": "L", "single": "U"}
PYTHON = "import random\n\ndef shuffle(data):\n    random.shuffle(data)\n\nTRAIN_DATA = [\n"

# The name of the file, the format, the sample.
MADE_SAMPLES = {
    "four columns": ("four.tsv", "conll", make_columns(lambda n, word, name: f"{n + 1}\t{word}\tX{n}\t{name}")),
    "nested": ("nested.tsv", "conll", make_columns(lambda n, word, name: f"{word}\t{name}\t{'O' if n else 'B-IN'}")),
    "germeval": (
        "germeval.tsv",
        "conll",
        make_columns(
            lambda n, word, name: f"{n + 1}\t{word}\t{name}\tO", before="#\thttp://example.org [2005-02-26]\n"
        ),
    ),
    "multiconer": (
        "multiconer.conll",
        "conll",
        make_columns(lambda n, word, name: f"{word} _ _ {name}", before="# id 1-a\tdomain=en\n"),
    ),
    "bmes": (
        "train.bmes",
        "conll",
        make_columns(lambda n, word, name: f"{word} {name}", inside="M", last="E", single="S"),
    ),
    "array": (
        "all.json",
        "jsonl",
        make_json(lambda text, spans: {"id": 1, "text": text, "label": spans}, indent=2),
    ),
    "old doccano": (
        "old.jsonl",
        "jsonl",
        "\n".join(json.dumps({"data": text, "label": spans}) for text, spans in find_spans()).encode("utf8"),
    ),
    "huggingface": (
        "train.jsonl",
        "huggingface",
        "\n".join(json.dumps({"tokens": words, "ner_tags": tags}) for words, tags in tag()).encode("utf8"),
    ),
    "labelstudio": ("project-1.json", "labelstudio", make_json(make_label_studio_task)),
    "labelstudio-min": ("project-1-min.json", "labelstudio", make_json(make_minimal_task)),
    "spacy-v2": ("train_data.json", "spacy-v2", make_json(lambda text, spans: [text, {"entities": spans}])),
    "train-data": (
        "train_data.py",
        "spacy-v2",
        (
            PYTHON + "".join(f"    ({text!r}, {{'entities': {spans}}}),\n" for text, spans in find_spans()) + "]\n"
        ).encode(),
    ),
    "spacy-json": (
        "train.json",
        "spacy-json",
        json.dumps([make_spacy_json_document(words, tags) for words, tags in tag(**BILUO)]).encode("utf8"),
    ),
    "iob": (
        "train.iob",
        "iob",
        "\n".join(" ".join(map("|".join, zip(words, tags))) for words, tags in tag()).encode("utf8"),
    ),
    "webanno": ("admin.tsv", "webanno", make_webanno_rows()),
    "conllu": (
        "train.conllu",
        "conllu",
        make_columns(lambda n, word, name: f"{n + 1}\t{word}\t_\tX\t_\t_\t0\tdep\t_\tSpaceAfter=Yes|NER={name}"),
    ),
    "conllu-plus": (
        "train.conllup",
        "conllu",
        make_columns(
            lambda n, word, name: f"{n + 1}\t{word}\tX\t{name}", head="# global.columns = ID FORM UPOS PROJECT:NER\n"
        ),
    ),
    "conll2012": (
        "train.gold_conll",
        "conll2012",
        make_columns(
            lambda n, word, name: f"nw/a  0  {n}  {word}  NN  *  -  -  -  -  {make_brackets(name)}  (0)",
            head="#begin document (nw/a); part 000\n",
            **BILUO,
        ),
    ),
    "pubtator": ("corpus.pubtator", "pubtator", make_articles()),
}
