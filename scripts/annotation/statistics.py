"""Count documents, words and entities; show the most frequent entities and a sample."""

import html
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Tuple

from spacy import displacy
from spacy.tokens import Doc

MOST_FREQUENT = 100
MOST_KEPT = 1_000_000  # Different entities; beyond them the rarest are forgotten.
SAMPLE = 25  # Documents.
SAMPLE_CHARACTERS = 2_000  # Of each document.


class Statistics:
    """Counts of a chunk or of a whole run.

    detailed (bool): Count entities by their text too, and keep a sample of documents.
    """

    def __init__(self, detailed: bool) -> None:
        self.detailed = detailed
        self.documents = self.words = self.failures = 0
        self.labels: Counter = Counter()
        self.entities: Counter = Counter()  # by label and text
        self.sample: List[Dict[str, Any]] = []
        self.notes: Counter = Counter()  # what the user should know, such as long documents that could not be cut

    def add(self, id_: str, doc: Doc) -> None:
        """Count a document."""
        self.documents += 1
        self.words += len(doc)
        entities = doc.ents
        self.labels.update(entity.label_ for entity in entities)
        if self.detailed:
            self.entities.update((entity.label_, " ".join(entity.text.split())) for entity in entities)
            if entities and len(self.sample) < SAMPLE:
                self.sample.append(get_sample(id_, doc))

    def merge(self, other: "Statistics") -> None:
        """Add the counts of what comes after this."""
        self.documents += other.documents
        self.words += other.words
        self.failures += other.failures
        self.labels.update(other.labels)
        self.notes.update(other.notes)
        self.entities.update(other.entities)
        if len(self.entities) > MOST_KEPT:
            self.entities = Counter(dict(self.entities.most_common(MOST_KEPT // 2)))
        self.sample.extend(other.sample[: SAMPLE - len(self.sample)])

    def to_json(self) -> Dict[str, Any]:
        """Pack the counts of a chunk for `from_json`."""
        entities = [[label, text, n] for (label, text), n in self.entities.items()]
        counts = {"documents": self.documents, "words": self.words, "failures": self.failures}
        return {**counts, "labels": self.labels, "notes": self.notes, "entities": entities, "sample": self.sample}

    @classmethod
    def from_json(cls, data: Dict[str, Any]) -> "Statistics":
        """Unpack the counts that `to_json` gave."""
        statistics = cls(detailed=bool(data["entities"]))
        for name in ("documents", "words", "failures", "sample"):
            setattr(statistics, name, data[name])
        statistics.labels.update(data["labels"])
        statistics.notes.update(data["notes"])
        statistics.entities.update({(label, text): n for label, text, n in data["entities"]})
        return statistics


def get_sample(id_: str, doc: Doc) -> Dict[str, Any]:
    """Cut off the beginning of a document, as displaCy takes it."""
    entities = [
        {"start": entity.start_char, "end": entity.end_char, "label": entity.label_}
        for entity in doc.ents
        if entity.end_char <= SAMPLE_CHARACTERS
    ]
    return {"text": doc.text[:SAMPLE_CHARACTERS], "ents": entities, "title": id_}


class Ranked(NamedTuple):
    """An entity and how often it was found."""

    label: str
    text: str
    n: int


def rank(entities: Dict[Tuple[str, str], int]) -> List[Ranked]:
    """List the most frequent entities, ties in alphabetical order."""
    ranked = sorted(entities.items(), key=lambda item: (-item[1], item[0]))
    return [Ranked(label, text, n) for (label, text), n in ranked[:MOST_FREQUENT]]


def report(statistics: Statistics) -> Dict[str, Any]:
    """Count the entities of each label, and name the most frequent ones, for OUTPUT.stats.json."""
    by_label = {}
    for label in sorted(statistics.labels):
        own = {key: n for key, n in statistics.entities.items() if key[0] == label}
        by_label[label] = {
            "entities": statistics.labels[label],
            "different": len(own),
            "most_frequent": [{"text": entity.text, "n": entity.n} for entity in rank(own)],
        }
    return {"documents": statistics.documents, "words": statistics.words, "labels": by_label}


def render(statistics: Statistics) -> str:
    """Show the sample as an HTML page that loads nothing from elsewhere."""
    sample = [escape_names(document) for document in statistics.sample]
    return displacy.render(sample, style="ent", page=True, manual=True, jupyter=False)


def escape_names(document: Dict[str, Any]) -> Dict[str, Any]:
    """Make the id and the labels of a document those of a page. displaCy escapes only the text."""
    entities = [{**entity, "label": html.escape(entity["label"])} for entity in document["ents"]]
    return {**document, "title": html.escape(document["title"]), "ents": entities}
