"""Tokens and tags in lists, as data sets of Hugging Face have them: JSONL, JSON or Parquet."""

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..common.console import UserError
from ..common.files import check_file
from .lines import Place, quote
from .records import read_records
from .sentence import Notes, Sentence
from .settings import ReaderSettings
from .tags import TagReader

TOKEN_KEYS = ("tokens", "words")
TAG_KEYS = ("ner_tags", "tags", "ner", "labels")


def read_huggingface(path: Path, settings: ReaderSettings, notes: Notes) -> Iterator[Sentence]:
    """Stream the sentences of a file, checking every record.

    path (Path): The file: records with a list in "tokens" and one of the same length in "ner_tags": tags in any scheme,
        or their numbers. The names of these come from the settings, or from the features in a Parquet file.
    settings (ReaderSettings): What a reader has to know.
    notes (Notes): Gets what is corrected.
    YIELDS (Sentence): The sentences.
    RAISES (UserError): With file and line or row number, for anything that is not in the format.
    """
    tags = TagReader(path, settings, notes)
    names: Sequence[str] = settings.label_names
    if path.suffix == ".parquet":
        records: Iterator[Tuple[Place, Any]] = read_parquet(path)
        names = names or read_feature_names(path)
    else:
        records = read_records(path, settings.encoding)
    for where, record in records:
        words, values = get_lists(record, where)
        named = [name_tag(value, names, where) for value in values]
        if words:
            yield Sentence(words, None, tags.read(named, [where] * len(words)))
        else:
            notes.skipped["records without tokens"] += 1
    tags.finish()


def get_lists(record: Any, where: object) -> Tuple[List[str], List[Any]]:
    """Get the tokens and tags of a record.

    RAISES (UserError): If one of the lists is missing, or they are not parallel.
    """
    found = find_keys(record)
    if found is None:
        given = f"the keys {', '.join(record)}" if isinstance(record, dict) else quote(record)
        raise UserError(f'{where}: expected lists in "{TOKEN_KEYS[0]}" and "{TAG_KEYS[0]}", got {given}.')
    words, values = record[found[0]], record[found[1]]
    if not all(isinstance(word, str) and word.strip() for word in words):
        raise UserError(f"{where}: expected tokens that are not empty, got {quote(words)}.")
    if len(words) != len(values):
        raise UserError(f"{where}: there are {len(words)} tokens and {len(values)} tags.")
    return words, values


def find_keys(record: Any) -> Optional[Tuple[str, str]]:
    """Find the keys of the tokens and the tags of a record, None if it has none."""
    if not isinstance(record, dict):
        return None
    tokens = next((key for key in TOKEN_KEYS if is_list_of(record.get(key), str)), None)
    tags = next((key for key in TAG_KEYS if is_list_of(record.get(key), (str, int))), None)
    return (tokens, tags) if tokens and tags else None


def is_list_of(value: Any, kind: Any) -> bool:
    """Tell whether a value is a list whose items are all of a kind."""
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def name_tag(value: Any, names: Sequence[str], where: object) -> str:
    """Get the tag that a number stands for. A tag stays as it is.

    RAISES (UserError): If the number has no name.
    """
    if isinstance(value, str):
        return value
    if not names:
        raise UserError(
            f"{where}: the tags are numbers. Name them in their order with `--label-names O,B-PER,I-PER`, "
            "or with a JSON file that has their names, such as the data set's dataset_info.json."
        )
    if not 0 <= value < len(names):
        raise UserError(f"{where}: the tag {value} has no name, as `--label-names` has {len(names)}.")
    return names[value]


def parse_label_names(text: str) -> Tuple[str, ...]:
    """Parse `--label-names`.

    text (str): Names between commas, or the path of a JSON file: a list of names, an object of numbers by name or of
        names by number, or the features of a data set.
    RETURNS (Tuple[str, ...]): The names in their order.
    RAISES (UserError): If the file has no names.
    """
    if not text.endswith(".json"):
        return tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    path = Path(text)
    check_file(path)
    try:
        names = find_names(json.loads(path.read_text(encoding="utf8")))
    except ValueError as error:
        raise UserError(f"{path}: this is no JSON ({error}).") from error
    if not names:
        raise UserError(f"{path} has no names of tags: expected a list of names, an object, or a data set's features.")
    return names


def find_names(value: Any) -> Tuple[str, ...]:
    """Find the names of tags in what a JSON file holds, none if there are none."""
    if is_list_of(value, str):
        return tuple(value)
    if not isinstance(value, dict) or not value:
        return ()
    if all(isinstance(number, int) for number in value.values()):  # label2id
        return tuple(sorted(value, key=value.__getitem__))
    if all(key.isdecimal() and isinstance(name, str) for key, name in value.items()):  # id2label
        return tuple(value[key] for key in sorted(value, key=int))
    # Features: those of the tags first, as a data set may have other classes, too.
    keys = sorted(value, key=lambda key: (key not in TAG_KEYS, key))
    return next(filter(None, (find_names(value[key]) for key in keys)), ())


def read_parquet(path: Path) -> Iterator[Tuple[Place, Dict[str, Any]]]:
    """Stream the rows of a Parquet file.

    YIELDS (Tuple[Place, Dict[str, Any]]): Where the row is, for errors, and its values by column.
    RAISES (UserError): If the file is damaged.
    """
    pyarrow = import_pyarrow()
    check_file(path)
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file_:
            wanted = [name for name in file_.schema_arrow.names if name in TOKEN_KEYS + TAG_KEYS]
            for batch in file_.iter_batches(columns=wanted or None):
                for row in batch.to_pylist():
                    number += 1
                    yield Place(path, number, "row"), row
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no Parquet file, or damaged after row {number} ({error}).") from error


def read_feature_names(path: Path) -> Tuple[str, ...]:
    """Read the names of the tags that Hugging Face's `datasets` writes into a Parquet file, none if there are none."""
    pyarrow = import_pyarrow()
    check_file(path)
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} is no Parquet file, or damaged ({error}).") from error
    features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    return find_names({key: features[key] for key in TAG_KEYS if key in features})


def import_pyarrow() -> Any:
    """Import pyarrow, which only this format needs.

    RAISES (UserError): If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            "Parquet files need pyarrow. Install it with `python -m pip install -r requirements-scale.txt`."
        ) from error
    return pyarrow
