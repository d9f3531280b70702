"""Inputs that are not text: Parquet, and spaCy's own .spacy."""

from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import pyarrow
import pyarrow.parquet
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from ..common.console import UserError
from ..common.corpora import copy_bare
from .records import MAX_BYTES, Chunk, RecordError, Records, check_id, check_text


class ParquetInput:
    """A Parquet file with a column of texts.

    path (Path): The file.
    text_field (str): Column with the text.
    id_field (Optional[str]): Column with the id; without one it is the row's number, from 1.
    """

    def __init__(self, path: Path, text_field: str, id_field: Optional[str]) -> None:
        self.path = path
        self.text_field = text_field
        self.id_field = id_field
        self.columns = [text_field] + ([id_field] if id_field else [])
        self._rows: Optional[RowGroup] = None

    def plan(self, chunk_size: int) -> Iterator[Chunk]:
        """Cut the file's row groups.

        chunk_size (int): Most rows of a chunk.
        YIELDS (Chunk): The chunks, in order.
        RAISES (UserError): If the file is damaged or a column is missing.
        """
        number, first = 0, 1
        for group, (n_rows, n_bytes) in enumerate(self._measure_groups()):
            step = max(1, min(chunk_size, MAX_BYTES // max(1, n_bytes // max(1, n_rows))))
            for start in range(0, n_rows, step):
                end = min(start + step, n_rows)
                yield Chunk(number, first, end - start, start, end, group=group)
                number, first = number + 1, first + end - start

    def _measure_groups(self) -> List[Tuple[int, int]]:
        """Check the columns, and count the rows and bytes of each row group."""
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file_:
                for column in self.columns:
                    if column not in file_.schema_arrow.names:
                        raise UserError(
                            f"{self.path} has no column {column!r}. Name one of its columns with `--text-field` or "
                            f"`--id-field`: {', '.join(file_.schema_arrow.names)}."
                        )
                check_text_type(self.path, file_.schema_arrow.field(self.text_field))
                groups = map(file_.metadata.row_group, range(file_.metadata.num_row_groups))
                return [(group.num_rows, group.total_byte_size) for group in groups]
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{self.path} is not a Parquet file, or damaged: {str(error).strip().rstrip('.')}."
            ) from error

    def read(self, chunk: Chunk, vocab: Vocab) -> Records:
        """Read the records of a chunk."""
        rows = self._rows
        if rows is None or rows.group != chunk.group or rows.position > chunk.start:
            rows = self._rows = RowGroup(self.path, chunk.group, self.columns)
        table = rows.read(chunk.start, chunk.end)
        texts = get_values(table[self.text_field])
        ids = get_values(table[self.id_field]) if self.id_field else range(chunk.first, chunk.first + len(texts))
        records = Records("record")
        for number, (text, id_) in enumerate(zip(texts, ids), start=chunk.first):
            known = None
            try:
                known = check_id(id_, self.id_field)
                records.add(str(self.path), number, known, check_text(text, self.text_field))
            except RecordError as error:
                records.refuse(str(self.path), number, error, known)
        return records


class RowGroup:
    """Read a row group as a stream: one can hold a million rows, and a worker's chunks come in ascending order.

    path (Path): The Parquet file.
    group (int): Number of the row group.
    columns (List[str]): Columns to read.
    """

    def __init__(self, path: Path, group: int, columns: List[str]) -> None:
        self.group = group
        self.position = 0
        self._file = pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1_000_000)
        self._batches = self._file.iter_batches(batch_size=1000, row_groups=[group], columns=columns)
        self._rest: Optional[pyarrow.RecordBatch] = None

    def read(self, start: int, end: int) -> pyarrow.Table:
        """Read the rows from `start`, which is not before the last `end`, to `end`."""
        batches = []
        while self.position < end:
            batch = self._rest if self._rest is not None else next(self._batches)
            n_rows = min(len(batch), end - self.position, *([start - self.position] if self.position < start else []))
            if self.position >= start:
                batches.append(batch.slice(0, n_rows))
            self._rest = batch.slice(n_rows) if n_rows < len(batch) else None
            self.position += n_rows
        return pyarrow.Table.from_batches(batches)


def get_values(column: pyarrow.ChunkedArray) -> List[Any]:
    """List a column's values; text that is not UTF-8 as bytes, so that one bad row spoils no other."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return column.cast(pyarrow.large_binary()).to_pylist()


def check_text_type(path: Path, field: pyarrow.Field) -> None:
    """Check that a column can hold texts. RAISES (UserError): If it can't."""
    type_ = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
    is_text = ("is_string", "is_large_string", "is_string_view", "is_binary", "is_large_binary", "is_null")
    if not any(getattr(pyarrow.types, name)(type_) for name in is_text):
        raise UserError(f"Column {field.name!r} of {path} is {type_}, not text. Name another one with `--text-field`.")


class DocBinInput:
    """A .spacy file, which is one compressed piece and has to be held in memory; its tokens and sentences are kept.

    path (Path): The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._docs: Optional[DocBin] = None

    def plan(self, chunk_size: int) -> Iterator[Chunk]:
        """Cut the file into chunks of at most `chunk_size` Docs. RAISES (UserError): If it is damaged."""
        try:
            lengths = [len(tokens) for tokens in DocBin().from_disk(self.path).tokens]
        except Exception as error:  # spaCy passes on what zlib, msgpack or numpy raise.
            raise UserError(f"{self.path} is not a .spacy file, or damaged: {str(error).rstrip('.')}.") from error
        for number, start in enumerate(range(0, len(lengths), chunk_size)):
            end = min(start + chunk_size, len(lengths))
            yield Chunk(number, start + 1, end - start, start, end)

    def read(self, chunk: Chunk, vocab: Vocab) -> Records:
        """Read the records of a chunk, as Docs without annotations."""
        if self._docs is None:
            self._docs = DocBin().from_disk(self.path)
        part = DocBin(attrs=self._docs.attrs)
        # `get_docs` would make all Docs, and store all strings, to come to these.
        for column in ("tokens", "spaces", "cats", "span_groups", "flags", "user_data"):
            setattr(part, column, getattr(self._docs, column)[chunk.start : chunk.end])
        part.strings = self._docs.strings
        records = Records("record")
        for number, doc in enumerate(part.get_docs(vocab), start=chunk.first):
            records.add(str(self.path), number, str(number), copy_bare(doc))
        return records
