"""What every reader yields, and what it notes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional


class Sentence(NamedTuple):
    """Parallel lists of equal length: the currency between the readers and the splitter.

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

    skipped (Counter): The number of texts and spans that were left out, by reason.
    """

    skipped: Counter = field(default_factory=Counter)
