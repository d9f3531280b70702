"""Entities that a sentence border cuts in two: spaCy's NER finds no move for them in a long document."""

from typing import List, Optional

from spacy.language import Language
from spacy.training import Example

NO_MOVE = "[E024]"  # How spaCy's error begins


def find_torn_entity(nlp: Language, annotating: List[str], examples: List[Example]) -> Optional[str]:
    """Find an entity with a sentence border inside.

    annotating (List[str]): The components that annotate while training.
    examples (List[Example]): A batch. Its predicted Docs are annotated, as `nlp.update` does it with copies of its own.
    RETURNS (Optional[str]): What is wrong and what to do, None if there is no such entity.
    """
    for example in examples:
        for name in annotating:
            example.predicted = nlp.get_pipe(name)(example.predicted)
        for entity in example.get_aligned_spans_y2x(example.reference.ents):
            if any(token.is_sent_start for token in entity[1:]):
                return (
                    f"The entity {entity.text!r} has a sentence border inside, which ner can't learn in a long document. Train on "
                    "gold sentences (`--corpora.train.gold_preproc true`), or take the component that finds sentences out of "
                    "`annotating_components`."
                )
    return None
