"""Outputs: each worker writes part files, and the parts are joined in order as a stream."""

import json
import shutil
from pathlib import Path
from typing import Iterable, List, Union

import pyarrow
import pyarrow.parquet
from spacy.tokens import Doc, DocBin

from ..common.console import UserError
from ..compiled_transformer.confidence import read_scores
from ..compiled_transformer.listener import KEY
from .settings import RowSettings

JOINED_BYTES = 64_000_000  # Parts are joined to row groups of about this size.

ENTITY = [("start", pyarrow.int64()), ("end", pyarrow.int64()), ("label", pyarrow.string()), ("text", pyarrow.string())]
SCORE = ("score", pyarrow.float64())


class ParquetOutput:
    """Rows of id, text if asked for, and entities as a list of start, end, label, text, and score if asked for.

    settings (RowSettings): What else is asked for.
    """

    def __init__(self, settings: RowSettings) -> None:
        self.settings = settings
        self.entity = pyarrow.struct([*ENTITY, SCORE] if settings.with_scores else ENTITY)
        fields = [("id", pyarrow.string())] + ([("text", pyarrow.string())] if settings.with_text else [])
        self.schema = pyarrow.schema([*fields, ("entities", pyarrow.list_(self.entity))])
        self.clear()

    def clear(self) -> None:
        """Forget the rows that were added."""
        self.ids: List[str] = []
        self.texts: List[str] = []
        self.ends: List[int] = [0]  # of the entities of each row
        self.entities: List[List] = [[] for _ in self.entity]

    def add(self, id_: str, doc: Doc) -> None:
        """Add a row."""
        starts, ends, labels, texts, *scores = self.entities
        for entity in doc.ents:
            starts.append(entity.start_char)
            ends.append(entity.end_char)
            labels.append(entity.label_)
            texts.append(entity.text)
        for column in scores:
            column.extend(read_scores(doc))
        self.ids.append(id_)
        self.ends.append(len(starts))
        if self.settings.with_text:
            self.texts.append(doc.text)

    def write(self, path: Path) -> None:
        """Write the rows that were added to a part."""
        columns = [pyarrow.array(values, field.type) for values, field in zip(self.entities, self.entity)]
        entities = pyarrow.StructArray.from_arrays(columns, fields=list(self.entity))
        entities = pyarrow.ListArray.from_arrays(pyarrow.array(self.ends, pyarrow.int32()), entities)
        texts = [pyarrow.array(self.texts, pyarrow.string())] if self.settings.with_text else []
        ids = pyarrow.array(self.ids, pyarrow.string())
        table = pyarrow.Table.from_arrays([ids, *texts, entities], schema=self.schema)
        pyarrow.parquet.write_table(table, path)

    def join(self, parts: Iterable[Path], path: Path) -> None:
        """Join parts in the order given."""
        with pyarrow.parquet.ParquetWriter(path, self.schema) as writer:
            waiting: List[pyarrow.Table] = []
            for part in parts:
                waiting.append(pyarrow.parquet.ParquetFile(part).read())
                if sum(table.nbytes for table in waiting) > JOINED_BYTES:
                    writer.write_table(pyarrow.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(pyarrow.concat_tables(waiting))


class JsonLinesOutput:
    """A JSON object a line, with the same fields as the Parquet output.

    settings (RowSettings): What is asked for.
    """

    def __init__(self, settings: RowSettings) -> None:
        self.settings = settings
        self.clear()

    def clear(self) -> None:
        """Forget the rows that were added."""
        self.lines: List[str] = []

    def add(self, id_: str, doc: Doc) -> None:
        """Add a row."""
        row = {"id": id_, "text": doc.text} if self.settings.with_text else {"id": id_}
        row["entities"] = [
            {"start": entity.start_char, "end": entity.end_char, "label": entity.label_, "text": entity.text}
            for entity in doc.ents
        ]
        if self.settings.with_scores:
            for entity, score in zip(row["entities"], read_scores(doc)):
                entity["score"] = score
        self.lines.append(json.dumps(row, ensure_ascii=False))

    def write(self, path: Path) -> None:
        """Write the rows that were added to a part."""
        path.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf8", newline="\n")

    def join(self, parts: Iterable[Path], path: Path) -> None:
        """Join parts in the order given."""
        join_files(parts, path)


class DocBinOutput:
    """Docs with all that the pipeline set, for spaCy; the id is in `doc.user_data["id"]`, scores in `doc.spans["ner"]`.

    A .spacy file is one compressed piece: joining the parts holds all of them in memory.
    """

    def __init__(self, settings: RowSettings) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the Docs that were added."""
        self.docs = DocBin(store_user_data=True)

    def add(self, id_: str, doc: Doc) -> None:
        """Add a Doc."""
        doc.user_data["id"] = id_
        doc.user_data.pop(KEY, None)  # As `doc.tensor`, the vectors are not kept.
        self.docs.add(doc)

    def write(self, path: Path) -> None:
        """Write the Docs that were added to a part."""
        self.docs.to_disk(path)

    def join(self, parts: Iterable[Path], path: Path) -> None:
        """Join parts in the order given."""
        joined = DocBin(store_user_data=True)
        for part in parts:
            joined.merge(DocBin(store_user_data=True).from_disk(part))
        joined.to_disk(path)


Output = Union[ParquetOutput, JsonLinesOutput, DocBinOutput]

FORMATS = {".parquet": ParquetOutput, ".jsonl": JsonLinesOutput, ".spacy": DocBinOutput}


def open_output(path: Path, settings: RowSettings) -> Output:
    """Choose the writer that a file's ending asks for. RAISES (UserError): If there is none."""
    if path.suffix not in FORMATS:
        raise UserError(f"{path} has an unknown ending. Name an output that ends with one of: {', '.join(FORMATS)}.")
    if path.is_dir():
        raise UserError(f"{path} is a folder. Name a file for the output.")
    return FORMATS[path.suffix](settings)


def join_files(parts: Iterable[Path], path: Path) -> None:
    """Write files one after the other."""
    with path.open("wb") as file_:
        for part in parts:
            with part.open("rb") as part_file:
                shutil.copyfileobj(part_file, file_)
