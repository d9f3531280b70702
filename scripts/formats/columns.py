"""What the columns of a file hold: the word, the tag, and what is not read."""

from typing import Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..common.console import UserError
from .lines import Place, quote
from .tags import TAG, is_tag

# Labels of chunks in CoNLL-2000 and CoNLL-2003, English and German: their column looks like one of entities.
CHUNKS = frozenset(
    "NP VP PP ADJP ADVP SBAR PRT CONJP INTJ LST UCP NC VC PC AC AVC"
    " PRN QP WHNP WHPP WHADVP WHADJP FRAG".split()
)  # fmt: skip
# The column of the part of speech, by the number of columns besides the index. With five, as in the German corpus of
# CoNLL-2003, the second one has the lemma.
POS_COLUMNS = {3: 1, 4: 1, 5: 2}
MOSTLY = 0.9  # A broken line must not change what a column is taken for.

Row = Tuple[Place, List[str]]  # Where the line is, and its columns.


class Columns(NamedTuple):
    """The numbers of the columns, counted from 0.

    n (int): The number of columns.
    word (int): The word.
    tag (int): The tag.
    pos (Optional[int]): The part of speech, if there is one.
    index (Optional[int]): The number of the token in its sentence, if there is one.
    nested (Tuple[int, ...]): Tags of entities inside those of the first tag column.
    """

    n: int
    word: int
    tag: int
    pos: Optional[int] = None
    index: Optional[int] = None
    nested: Tuple[int, ...] = ()


class ColumnLook:
    """What the values of one column look like."""

    def __init__(self) -> None:
        self.n = self.n_tags = self.n_numbers = 0
        self.labels: Set[str] = set()
        self.values: Set[str] = set()  # Two are enough to know that it says something.

    def add(self, value: str) -> None:
        """Look at one value."""
        self.n += 1
        self.n_numbers += value.isdecimal()
        if len(self.values) < 2:
            self.values.add(value)
        if is_tag(value):
            self.n_tags += 1
            match = TAG.fullmatch(value)
            if match:
                self.labels.add(match.group(2))

    def holds_tags(self) -> bool:
        """Tell whether the values are tags, with or without entities."""
        return self.n_tags >= MOSTLY * self.n

    def holds_entities(self) -> bool:
        """Tell whether the values are tags of entities, not only O and not those of chunks."""
        return self.holds_tags() and bool(self.labels) and not {label.upper() for label in self.labels} <= CHUNKS


def name_columns(names: Sequence[str]) -> Columns:
    """Take the columns as `--columns` names them.

    names (Sequence[str]): What each column holds, "_" for what is not read.
    """
    return Columns(len(names), names.index("word"), names.index("tag"), names.index("pos") if "pos" in names else None)


def look_at_columns(blocks: Iterable[List[Row]]) -> Optional[Columns]:
    """Find out what the columns hold by looking at all lines.

    blocks (Iterable[List[Row]]): The lines of each sentence.
    RETURNS (Optional[Columns]): The columns; None if there is no sentence.
    RAISES (UserError): If lines have different numbers of columns, or it is not clear where the words or the tags are.
    """
    looks: List[ColumnLook] = []
    where: Optional[Place] = None
    n_rows = n_steps = 0
    for rows in blocks:
        if not looks:
            where, n = rows[0][0], len(rows[0][1])
            looks = [ColumnLook() for _ in range(n)]
        for place, fields in rows:
            check_row(place, fields, len(looks))
            for look, value in zip(looks, fields):
                look.add(value)
        numbers = [int(fields[0]) if fields[0].isdecimal() else -1 for _, fields in rows]
        n_rows += len(rows)
        n_steps += sum(following == number + 1 for number, following in zip([numbers[0] - 1, *numbers], numbers))
    if where is None:
        return None
    if len(looks) < 2:
        raise UserError(f"{where}: expected a word and a tag in columns, got one column.")
    return choose_columns(looks, n_steps >= MOSTLY * n_rows, where)


def check_row(where: Place, fields: List[str], n_columns: int) -> None:
    """Refuse a line that has other columns than the first one.

    RAISES (UserError): With file and line.
    """
    if len(fields) != n_columns or not all(fields):
        raise UserError(f"{where}: expected {n_columns} columns as at the start, got {quote(' '.join(fields))}.")


def choose_columns(looks: List[ColumnLook], counts: bool, where: Place) -> Columns:
    """Choose the columns of the words and tags by what all look like.

    counts (bool): Whether the first column counts the tokens of each sentence.
    where (Place): The first line.
    RAISES (UserError): If it is not clear.
    """
    n = len(looks)
    has_numbers = n > 2 and looks[0].n_numbers >= MOSTLY * looks[0].n and looks[0].n > 1
    if has_numbers and not counts:
        raise UserError(
            f"{where}: the first column holds numbers, which don't count the tokens of each sentence. "
            f"Name the columns: `--columns _,word,{'_,' * (n - 3)}tag`."
        )
    word = 1 if has_numbers else 0
    entities = [column for column in range(word + 1, n) if looks[column].holds_entities()]
    if len(entities) > 1 and entities != list(range(word + 1, word + 1 + len(entities))):
        numbers = " and ".join(str(column + 1) for column in entities)
        example = ",".join({word: "word", entities[-1]: "tag"}.get(column, "_") for column in range(n))
        raise UserError(f"{where}: the columns {numbers} hold tags. Name the one to read: `--columns {example}`.")
    # Without any entity, the last column is it.
    tag, *nested = entities or [n - 1]
    pos = POS_COLUMNS.get(n - word, n) + word
    has_pos = tag == n - 1 and pos < tag and not looks[pos].holds_tags() and len(looks[pos].values) > 1
    return Columns(n, word, tag, pos if has_pos else None, 0 if has_numbers else None, tuple(nested))
