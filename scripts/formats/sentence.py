"""What every reader yields, and what it notes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional, Sequence


class Sentence(NamedTuple):
    """Parallel lists of equal length: what the readers hand to the splitter.

    words (List[str]): The tokens.
    pos (Optional[List[str]]): Their fine-grained parts of speech, if the corpus has them.
    tags (List[Optional[str]]): Their entities in IOB2; None where it is not known whether there is one.
    spaces (Optional[List[bool]]): Whether a space follows each token, if the corpus says it.
    document (int): The document that the sentence is in: a Doc never holds sentences of two documents.
    """

    words: List[str]
    pos: Optional[List[str]]
    tags: List[Optional[str]]
    spaces: Optional[List[bool]] = None
    document: int = 0


@dataclass
class Notes:
    """What a reader did not take as it is, for the report.

    skipped (Counter): What was left out: numbers by what it was.
    corrected (Counter): What was read as it was meant: numbers by what it was.
    """

    skipped: Counter = field(default_factory=Counter)
    corrected: Counter = field(default_factory=Counter)


def find_spaces(words: Sequence[str], text: str) -> Optional[List[bool]]:
    """Find which tokens of a sentence a space follows.

    words (Sequence[str]): The tokens.
    text (str): The sentence as it was before it was split.
    RETURNS (Optional[List[bool]]): Whether a space follows each token, None if the tokens don't make up the text.
    """
    spaces, position = [], 0
    for word in words:
        if not text.startswith(word, position):
            return None
        position += len(word)
        spaces.append(text.startswith(" ", position))
        position += spaces[-1]
    return spaces if position >= len(text.rstrip()) else None
