"""CoNLL-U with entities in MISC, and CoNLL-U Plus with a column of them."""

import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..common.console import UserError
from .lines import Place, quote, read_lines
from .sentence import Notes, Sentence, find_spaces
from .settings import ReaderSettings
from .tags import TagReader, is_tag

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
NAMED_COLUMNS = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
TEXT = re.compile(r"#\s*text\s*=\s*(.+)")
# What the entities are called, as a column and in MISC.
ENTITY_NAMES = ("NER", "NE", "ENTITY", "TAG", "NAME")
NOTHING = "_"


class Block(NamedTuple):
    """The lines of a sentence.

    names (Tuple[str, ...]): The names of the columns.
    document (int): The number of the document.
    text (str): The sentence as it was before it was split, empty if it is not known.
    rows (List[Tuple[Place, Dict[str, str]]]): Where each token is, and its columns by name.
    """

    names: Tuple[str, ...]
    document: int
    text: str
    rows: List[Tuple[Place, Dict[str, str]]]


def read_conllu(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file, checking every line.

    path (Path): The file: the ten columns of CoNLL-U, or those that `# global.columns` names. `# newdoc` starts a
        document. Of words that are split into several, the parts are read; empty nodes are not.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line number, for anything that is not in the format.
    """
    tags = TagReader(path, settings, notes)
    has_entities = False
    for block in read_blocks(path, settings.encoding):
        words = [row["FORM"] for _, row in block.rows]
        found = [find_tag(row) for _, row in block.rows]
        has_entities = has_entities or any(found)
        yield Sentence(
            words,
            get_pos(block),
            tags.read([tag or "O" for tag in found], [where for where, _ in block.rows]),
            spaces=find_spaces(words, block.text) if block.text else None,
            document=block.document,
        )
    if not has_entities:
        raise UserError(f"{path} has no entities: expected tags in a column NER, or in MISC as NER=B-PER.")
    tags.finish()


def find_tag(row: Dict[str, str]) -> Optional[str]:
    """Find the tag of a token, in a column or in MISC; None if it has none."""
    named = dict(item.split("=", 1) for item in row.get("MISC", "").split("|") if "=" in item)
    upper = {name.upper(): value for name, value in {**named, **row}.items() if name not in COLUMNS}
    column = next((upper[name] for name in ENTITY_NAMES if name in upper and is_tag(upper[name])), None)
    given = next((row[name] for name in row if name.split(":")[-1].upper() in ENTITY_NAMES), None)
    return column or (given if given != NOTHING else None)


def get_pos(block: Block) -> Optional[List[str]]:
    """Get the parts of speech, the language's own before the universal ones; None if there are none."""
    for name in ("XPOS", "UPOS"):
        values = [row.get(name, NOTHING) for _, row in block.rows]
        if NOTHING not in values:
            return values
    return None


def read_blocks(path: Path, encoding: str) -> Iterator[Block]:
    """Gather the lines of each sentence.

    RAISES (UserError): If a line has another number of columns, or no word.
    """
    block = Block(COLUMNS, 0, "", [])
    for where, line in read_lines(path, encoding):
        if not line:
            if block.rows:
                yield block
            block = block._replace(text="", rows=[])
        elif line.startswith("#"):
            columns, text = NAMED_COLUMNS.match(line), TEXT.match(line)
            block = block._replace(
                names=tuple(columns.group(1).split()) if columns else block.names,
                document=block.document + line.startswith("# newdoc"),
                text=text.group(1) if text else block.text,
            )
        else:
            row = parse_row(line, block.names, where)
            if row["ID"].isdecimal():  # Others are ranges and empty nodes.
                block.rows.append((where, row))
    if block.rows:
        yield block


def parse_row(line: str, names: Tuple[str, ...], where: Place) -> Dict[str, str]:
    """Split a line into its columns.

    RAISES (UserError): If it has others than it should, or no number or word.
    """
    fields = line.split("\t")
    row = dict(zip(names, fields))
    if len(fields) != len(names) or not re.fullmatch(r"\d+([-.]\d+)?", row.get("ID", "")) or not row.get("FORM"):
        raise UserError(f"{where}: expected the {len(names)} columns {' '.join(names)} with tabs, got {quote(line)}.")
    return row
