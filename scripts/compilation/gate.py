"""Did the compiled pipeline lose entities? Entity F1 against gold, as spaCy's scorer computes it."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Set, Tuple

from spacy.scorer import PRFScore
from spacy.tokens import DocBin, Doc
from spacy.vocab import Vocab

from ..console import UserError

Entity = Tuple[int, int, str]


class EntityScores(NamedTuple):
    """Entity scores of a pipeline on a corpus."""

    ents_f: float
    by_label: Dict[str, float]
    entities: List[Set[Entity]]  # of each Doc: start and end token, label

    def share_identical(self, other: "EntityScores") -> float:
        """RETURNS (float): Share of the Docs in which both pipelines find exactly the same entities."""
        same = sum(mine == theirs for mine, theirs in zip(self.entities, other.entities))
        return same / len(self.entities)


def read_corpus(path: Path) -> List[Doc]:
    """Read a .spacy corpus that has entities.

    RAISES (UserError): If it is missing, can't be read, or holds no entities.
    """
    if not path.is_file():
        raise UserError(f"There is no corpus at {path}. Make it with `python -m spacy project run corpus`.")
    try:
        docs = list(DocBin().from_disk(path).get_docs(Vocab()))
    except Exception as error:  # msgpack and zlib raise errors of many kinds.
        raise UserError(f"{path} is not a .spacy corpus ({error}). Make it again with `spacy project run corpus`.") from error
    if not any(doc.ents for doc in docs):
        raise UserError(f"{path} holds no entities, so nothing can be compared on it. Use an annotated corpus.")
    return docs


def score_entities(gold: Sequence[Doc], predicted: Sequence[Sequence[Sequence]]) -> EntityScores:
    """Score predicted entities.

    gold (Sequence[Doc]): Annotated Docs.
    predicted (Sequence[Sequence[Sequence]]): For each Doc the predicted [start, end, label].
    RETURNS (EntityScores): Micro-averaged F1 and F1 by label, as `spacy.scorer.get_ner_prf`.
    """
    total = PRFScore()
    labels: Dict[str, PRFScore] = {}
    entities: List[Set[Entity]] = []
    for doc, found in zip(gold, predicted):
        gold_entities = {(ent.start, ent.end, ent.label_) for ent in doc.ents}
        entities.append({(start, end, label) for start, end, label in found})
        total.score_set(entities[-1], gold_entities)
        for label in {label for _, _, label in gold_entities | entities[-1]}:
            labels.setdefault(label, PRFScore()).score_set(
                {entity for entity in entities[-1] if entity[2] == label},
                {entity for entity in gold_entities if entity[2] == label},
            )
    by_label = {label: score.fscore for label, score in sorted(labels.items())}
    return EntityScores(total.fscore, by_label, entities)
