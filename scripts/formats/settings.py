"""What a conversion can be told: by its readers, and by what splits their sentences."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence, Tuple

from spacy.util import get_lang_class

from ..common.console import UserError
from .labels import Labels

AUTO = "auto"
MISALIGNED = ("error", "skip")
REPEATED = ("error", "union", "first", "most")
BARE = "io"
SCHEMES = (AUTO, BARE)
COLUMN_NAMES = ("word", "pos", "tag", "_")


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that an option does not have.

    RAISES (UserError): If it is none of the choices.
    """
    if value not in choices:
        raise UserError(f"{option}: unknown value {value!r}. Expected one of {', '.join(choices)}.")


def check_columns(columns: Sequence[str]) -> None:
    """Refuse names of columns that leave open where the words or the tags are.

    RAISES (UserError): If a name is unknown, or "word" or "tag" is missing or there twice.
    """
    for name in columns:
        check_choice("--columns", name, COLUMN_NAMES)
    if columns and any(columns.count(name) != 1 for name in ("word", "tag")):
        raise UserError(f"--columns: expected one word and one tag, as in word,_,tag, got {','.join(columns)!r}.")


def parse_columns(text: str) -> Tuple[str, ...]:
    """Parse `--columns`: what each column holds, between commas."""
    return tuple(name.strip() for name in text.split(",")) if text.strip() else ()


def check_language(lang: str) -> None:
    """Refuse a language that spaCy does not have.

    RAISES (UserError): If there is none with this code.
    """
    try:
        get_lang_class(lang)
    except (ImportError, AttributeError) as error:
        raise UserError(f"--lang: spaCy has no language {lang!r}. Expected a code such as en, de or xx.") from error


@dataclass(frozen=True)
class ReaderSettings:
    """What the readers of all formats have to know besides the file.

    labels (Labels): The labels that there may be, and what becomes of them.
    lang (str): Code of the language: its tokenizer splits texts that come without tokens.
    encoding (str): Encoding of text files, empty for that of the format.
    columns (Tuple[str, ...]): What each column holds, one of COLUMN_NAMES; empty to look at them.
    scheme (str): "io" for labels without prefixes, "auto" for all other tags.
    label_names (Tuple[str, ...]): Names of tags that are numbers, in their order.
    misaligned (str): What becomes of spans that don't hit token borders: one of MISALIGNED.
    repeated (str): What becomes of texts that are there more than once with different spans: one of REPEATED.
    strict (bool): Refuse stray tags that could be read as they were meant.
    """

    labels: Labels = Labels()
    lang: str = "en"
    encoding: str = ""
    columns: Tuple[str, ...] = ()
    scheme: str = AUTO
    label_names: Tuple[str, ...] = ()
    misaligned: str = MISALIGNED[0]
    repeated: str = REPEATED[0]
    strict: bool = False

    def __post_init__(self) -> None:
        check_choice("--misaligned", self.misaligned, MISALIGNED)
        check_choice("--repeated", self.repeated, REPEATED)
        check_choice("--scheme", self.scheme, SCHEMES)
        check_columns(self.columns)
        check_language(self.lang)


@dataclass(frozen=True)
class CorpusSettings:
    """How a corpus becomes train, dev and test.

    reader (ReaderSettings): What the readers have to know.
    format_name (str): The name of a format, or "auto" to look at each file.
    dev (Optional[Path]): File for dev, instead of a share of the source.
    test (Optional[Path]): File for test, instead of a share of the source.
    n_sents (int): Sentences in a Doc, at most; a Doc never spans two documents.
    dev_share (float): Share of the Docs for dev, if it has no file.
    test_share (float): Share of the Docs for test, if it has no file; train gets the rest.
    seed (int): Seed of the split.
    """

    reader: ReaderSettings = ReaderSettings()
    format_name: str = AUTO
    dev: Optional[Path] = None
    test: Optional[Path] = None
    n_sents: int = 10
    dev_share: float = 0.1
    test_share: float = 0.1
    seed: int = 0
