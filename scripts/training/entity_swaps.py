"""Swap entities for others while training, so that a pipeline learns what surrounds names, and not the names by heart."""

import random
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry

from ..common.corpora import copy_bare

SHARE = 0.7  # Of the entities of a text that is changed
MOST_KEPT = 5000  # Entities of a label to choose from


class Mention(NamedTuple):
    """The words of an entity, and whether a space follows each."""

    words: List[str]
    spaces: List[bool]


@registry.augmenters("compiled-transformers.SwapEntities.v1")
def make_entity_swaps(level: float, seed: int = 0) -> Callable[[Language, Example], Iterator[Example]]:
    """Make an augmenter for `corpora.train.augmenter` that gives entities the words of others with their label.

    They come from what it has seen of the corpus. This is the mention replacement of Dai and Adel 2020,
    https://aclanthology.org/2020.coling-main.343. Of a text that is changed, entities and sentences are what stays annotated;
    one whose annotation is incomplete is not changed.

    level (float): Share of the texts that are changed.
    seed (int): Of the choices.
    RETURNS (Callable[[Language, Example], Iterator[Example]]): The augmenter.
    RAISES (ValueError): If the level is no share.
    """
    if not 0 <= level <= 1:
        raise ValueError(f"The level of entity swaps is {level}. Set a share of the texts, from 0 to 1.")
    generator = random.Random(seed)
    seen: Dict[str, List[Mention]] = {}

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        doc = example.reference
        for entity in doc.ents:
            remember(seen.setdefault(entity.label_, []), read_mention(entity), generator)
        if doc.ents and all(token.ent_iob for token in doc) and generator.random() < level:
            swapped = swap(nlp, doc, seen, generator)
            has_gold_tokens = [token.text for token in example.predicted] == [token.text for token in doc]
            yield Example(
                copy_bare(swapped, sentences=False) if has_gold_tokens else nlp.make_doc(swapped.text), swapped
            )
        else:
            yield example

    return augment


def read_mention(entity: Span) -> Mention:
    return Mention([token.text for token in entity], [bool(token.whitespace_) for token in entity])


def remember(mentions: List[Mention], mention: Mention, generator: random.Random) -> None:
    """Keep a mention, instead of any other once there are enough."""
    if len(mentions) < MOST_KEPT:
        mentions.append(mention)
    else:
        mentions[generator.randrange(MOST_KEPT)] = mention


def swap(nlp: Language, doc: Doc, seen: Dict[str, List[Mention]], generator: random.Random) -> Doc:
    """Copy a Doc with its entities and sentences, and give some of the entities the words of others.

    seen (Dict[str, List[Mention]]): The others by label.
    """
    words: List[str] = []
    spaces: List[bool] = []
    tags: List[str] = []
    starts: List[Optional[bool]] = []
    position = 0
    for entity in [*doc.ents, doc[len(doc) :]]:
        between = doc[position : entity.start]
        words += [token.text for token in between]
        spaces += [bool(token.whitespace_) for token in between]
        tags += ["O"] * len(between)
        starts += [token.is_sent_start for token in between]
        position = entity.end
        if not len(entity):
            break
        mention = read_mention(entity)
        if generator.random() < SHARE:
            mention = generator.choice(seen[entity.label_])
        words += mention.words
        spaces += [*mention.spaces[:-1], bool(doc[entity.end - 1].whitespace_)]
        tags += [f"B-{entity.label_}", *[f"I-{entity.label_}"] * (len(mention.words) - 1)]
        starts += [entity[0].is_sent_start, *[False] * (len(mention.words) - 1)]
    return Doc(nlp.vocab, words=words, spaces=spaces, ents=tags, sent_starts=starts)
