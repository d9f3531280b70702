"""WebAnno TSV 3, as WebAnno and INCEpTION export it: a token a line, spans numbered over their tokens."""

import re
from pathlib import Path
from typing import Iterator, List, Tuple

from ..common.console import UserError
from .lines import Place, quote, read_lines
from .sentence import Notes, Sentence, find_spaces
from .settings import ReaderSettings
from .tags import TagReader

FORMAT, LAYER, TEXT = "#FORMAT=WebAnno TSV", re.compile(r"#T_(SP|CH|RL)=([^|]*)(.*)"), "#Text="
FIRST = 3  # Columns of the layers come after the number of the token, its characters, and the token.
VALUE = re.compile(r"(.+?)(?:\[(\d+)\])?")  # A label, and the number of its span if that has several tokens.
NAMES = ("namedentity", "ner", "entity")
ESCAPED = re.compile(r"\\(.)")

Row = Tuple[Place, List[str]]


def read_webanno(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file, checking every line.

    path (Path): The file: of its layers, the one of spans with named entities, or the only one.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Not used: what can't be read as it is gets refused.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    tags = TagReader(path, settings, notes)
    column = 0
    text = ""
    rows: List[Row] = []
    for where, line in [*read_lines(path, settings.encoding), (Place(path, 0), "")]:
        if line.startswith("#") and not rows:
            text = line.removeprefix(TEXT) if line.startswith(TEXT) else text
            continue
        if line:
            column = column or find_column(path, settings.encoding)
            rows.append((where, check_fields(line.split("\t"), column, where)))
        elif rows:
            words = [fields[2] for _, fields in rows]
            values = tags.read(name_tags(rows, column), [where for where, _ in rows])
            yield Sentence(words, None, values, spaces=find_spaces(words, text))
            rows, text = [], ""
    tags.finish()


def find_column(path: Path, encoding: str) -> int:
    """Find the column of the labels by the layers that the head of the file names.

    RAISES (UserError): If it is another format, no layer of spans has a feature, or several could have the entities.
    """
    column, found = FIRST, []
    for where, line in read_lines(path, encoding):
        if where.number == 1 and not line.startswith(FORMAT):
            raise UserError(f"{where}: expected {FORMAT}, got {quote(line)}.")
        layer = LAYER.match(line)
        if layer:
            kind, name, features = layer.group(1), layer.group(2), layer.group(3).split("|")[1:]
            # "value" is what WebAnno calls the label of a named entity, beside its "identifier".
            if kind == "SP" and features:
                found.append((name, column + (features.index("value") if "value" in features else 0)))
            # A relation has one more column, for the token that it comes from.
            column += max(len(features), 1) + (kind == "RL")
        elif line and not line.startswith("#"):
            break
    entities = [item for item in found if item[0].rpartition(".")[2].lower() in NAMES] or found
    if len(entities) != 1:
        names = ", ".join(name for name, _ in found) or "none"
        raise UserError(f"{path}: expected one layer of spans with named entities, got {names}. Export only that one.")
    return entities[0][1]


def check_fields(fields: List[str], column: int, where: Place) -> List[str]:
    """Refuse a line that is no token.

    RAISES (UserError): If it has too few columns, or is a part of a token.
    """
    if len(fields) <= column or not re.fullmatch(r"\d+-\d+", fields[0]):
        raise UserError(
            f"{where}: expected the number of a token, its characters, the token and its layers with tabs, got "
            f"{quote(' '.join(fields))}. Entities that are parts of tokens can't be read."
        )
    return fields


def name_tags(rows: List[Row], column: int) -> List[str]:
    """Convert the labels of a sentence to tags in IOB2.

    RAISES (UserError): If a token has several labels: spaCy's entities never overlap.
    """
    tags, previous = [], ""
    for where, fields in rows:
        value = fields[column]
        if "|" in ESCAPED.sub("", value):
            raise UserError(f"{where}: the spans {quote(value)} overlap. Keep one of them.")
        match = VALUE.fullmatch(value)
        if value == "_" or not match:
            tags.append("O")
        else:
            label = ESCAPED.sub(r"\1", match.group(1))
            continues = match.group(2) is not None and value == previous
            tags.append(f"{'I' if continues else 'B'}-{label}")
        previous = value
    return tags
