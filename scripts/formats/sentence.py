"""What every reader yields, and what it has to know."""

from collections import Counter
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional

from .labels import Labels


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


@dataclass(frozen=True)
class Settings:
    """What a reader has to know besides the file.

    labels (Labels): The labels that there may be.
    lang (str): The language, for the tokenizer of texts that come without tokens.
    encoding (str): The encoding of text files, empty for that of the format.
    misaligned (str): What becomes of spans that don't hit token borders: "error" or "skip".
    skipped (Counter): Gets the number of texts and spans that were left out, by reason.
    """

    labels: Labels = Labels()
    lang: str = "en"
    encoding: str = ""
    misaligned: str = "error"
    skipped: Counter = field(default_factory=Counter)
