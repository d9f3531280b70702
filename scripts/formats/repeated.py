"""Texts that are there more than once with different spans: of several annotators, or yes-or-no answers to one span."""

from collections import Counter
from typing import Dict, Iterable, Iterator, List

from ..common.console import UserError
from .annotated_text import AnnotatedText
from .lines import quote
from .sentence import Notes
from .spans import drop_overlapping


def resolve_repeated(texts: Iterable[AnnotatedText], choice: str, notes: Notes) -> Iterator[AnnotatedText]:
    """Make one text of those that are equal but for their spans, and leave out the rejected ones.

    texts (Iterable[AnnotatedText]): The texts.
    choice (str): What becomes of texts with different spans, "error" or one of RESOLVERS.
    notes (Notes): Gets the number of texts that were left out or resolved.
    YIELDS (AnnotatedText): The texts, in their order. Equal ones with equal spans stay: they are duplicates.
    RAISES (UserError): If there are such texts, and nothing is chosen.
    """
    texts = list(texts)
    groups: Dict[str, List[AnnotatedText]] = {}
    for text in texts:
        groups.setdefault(text.text, []).append(text)
    differing = {text: group for text, group in groups.items() if len({get_answer(one) for one in group}) > 1}
    if differing and choice == "error":
        raise UserError(describe_differing(differing))
    is_yes_or_no = choice in ("union", "most") and are_yes_or_no(texts)
    for text in texts:
        group = groups[text.text]
        if text.text in differing or is_yes_or_no:
            if text is group[0]:
                notes.corrected[f"texts with different spans, resolved by `--repeated {choice}`"] += len(group) > 1
                yield from RESOLVERS[choice](group, is_yes_or_no, notes)
        elif text.is_accepted:
            yield text
        else:
            notes.skipped["rejected texts"] += 1


def get_answer(text: AnnotatedText) -> object:
    """Get what makes the annotations of one text different."""
    return text.is_accepted, tuple(text.spans)


def are_yes_or_no(texts: List[AnnotatedText]) -> bool:
    """Tell whether each text asks for one span, and says nothing of what else is in it."""
    return any(not text.is_accepted for text in texts) and all(len(text.spans) == 1 for text in texts)


def describe_differing(differing: Dict[str, List[AnnotatedText]]) -> str:
    """Say how many texts differ, where the first ones are, and what to choose."""
    group = next(iter(differing.values()))
    other = next(text for text in group if get_answer(text) != get_answer(group[0]))
    return (
        f"{group[0].where}: {len(differing):,} texts are there more than once with different spans, the first of them, "
        f"{quote(group[0].text)}, here and at {other.where}. Choose what to make of them with `--repeated`: union (all "
        "spans; of yes-or-no answers, the accepted ones), first (the first annotation), or most (spans that more than "
        "half of the annotations have)."
    )


def take_first(group: List[AnnotatedText], is_yes_or_no: bool, notes: Notes) -> Iterator[AnnotatedText]:
    """Take the first annotation that was accepted."""
    accepted = [text for text in group if text.is_accepted]
    notes.skipped["rejected texts"] += not accepted
    yield from accepted[:1]


def take_union(group: List[AnnotatedText], is_yes_or_no: bool, notes: Notes) -> Iterator[AnnotatedText]:
    """Take the spans of all annotations together, and the longest of those that overlap."""
    accepted = {span for text in group if text.is_accepted for span in text.spans}
    yield from take(group, accepted, is_yes_or_no, notes)


def take_most(group: List[AnnotatedText], is_yes_or_no: bool, notes: Notes) -> Iterator[AnnotatedText]:
    """Take the spans that more than half of the annotations have; of yes-or-no answers, of those to the same span."""
    yes = Counter(span for text in group if text.is_accepted for span in text.spans)
    no = Counter(span for text in group if not text.is_accepted for span in text.spans)
    n_accepted = sum(text.is_accepted for text in group)
    accepted = {span for span, n in yes.items() if n > (no[span] if is_yes_or_no else n_accepted / 2)}
    yield from take(group, accepted, is_yes_or_no, notes)


def take(group: List[AnnotatedText], accepted: set, is_yes_or_no: bool, notes: Notes) -> Iterator[AnnotatedText]:
    """Make one text with some of the spans of a group, and the others as known to be no entities."""
    if not is_yes_or_no and not any(text.is_accepted for text in group):
        notes.skipped["rejected texts"] += 1
        return
    spans = drop_overlapping(accepted)
    notes.skipped["spans that overlap a longer one"] += len(accepted) - len(spans)
    rejected = [span for text in group for span in text.spans if span not in accepted] if is_yes_or_no else []
    yield group[0]._replace(spans=spans, rejected=rejected, is_accepted=True, is_complete=not is_yes_or_no)


RESOLVERS = {"union": take_union, "first": take_first, "most": take_most}
