"""Files that are empty, packed, damaged, or in another encoding."""

import bz2
import gzip
import random

import pytest

from scripts.common.console import UserError
from scripts.formats.convert import convert
from scripts.formats.detect import read_sentences
from scripts.formats.sentence import Notes
from scripts.formats.settings import CorpusSettings, ReaderSettings

from .samples import CONLL, KAGGLE, assert_broken, read, read_files, write
from .sentences import SHARES, assert_source_is_refused, number_sentences, write_sentences

GOOD_LINE = "Ada|X|I-PER saw|X|O Oslo|X|I-LOC .|X|O"


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


# More text than one block of the compressors, so that a part of it can be read.
RANDOM = random.Random(0)


LONG_TEXT = b"\n".join(b"Ada|X|I-PER counted|X|O %d|X|O" % RANDOM.getrandbits(200) for _ in range(5000))


LONG_GZ = gzip.compress(LONG_TEXT)


LONG_BZ2 = bz2.compress(LONG_TEXT, compresslevel=1)


GOOD_LINES = f"\n{GOOD_LINE}\n\n".encode("utf8")


BROKEN = {
    "empty file": ("source.txt", b"", "holds no sentences"),
    "only blank lines": ("source.txt", b"\n \n\r\n\n", "holds no sentences"),
    "empty .gz": ("source.gz", gzip.compress(b""), "holds no sentences"),
    "empty .bz2": ("source.bz2", b"", "damaged or cut short after line 0"),
    "truncated .bz2": ("source.bz2", truncate(LONG_BZ2), "damaged or cut short after line "),
    "truncated .gz": ("source.gz", truncate(LONG_GZ), "damaged or cut short after line "),
    "garbage in .bz2": ("source.bz2", b"this was never compressed", "damaged or cut short after line 0"),
    "garbage in .gz": ("source.gz", b"this was never compressed", "damaged or cut short after line 0"),
    "damage inside .gz": ("source.gz", LONG_GZ[:5000] + b"\xff" * 5000 + LONG_GZ[10000:], "damaged or cut short after"),
    "not UTF-8": ("source.txt", GOOD_LINES + "Zoë|X|O".encode("latin1"), "line 4: byte 3 is not UTF-8"),
    "not UTF-8 in .bz2": ("source.bz2", bz2.compress(GOOD_LINES + b"a\xff|X|O"), "line 4: byte 2 is not UTF-8"),
}


@pytest.mark.parametrize("name, data, expected", BROKEN.values(), ids=BROKEN.keys())
def test_bad_source_is_refused_and_changes_nothing(tmp_path, name, data, expected):
    assert_source_is_refused(tmp_path, name, data, expected)


@pytest.mark.parametrize("name, data", [("source.gz", LONG_GZ), ("source.bz2", LONG_BZ2)])
def test_truncated_source_names_the_last_line_that_was_read(tmp_path, name, data):
    source = tmp_path / name
    source.write_bytes(truncate(data))
    sentences = read_sentences(source, "wikiner", ReaderSettings(), Notes())
    n_read = 0
    with pytest.raises(UserError) as raised:
        for _ in sentences:
            n_read += 1
    assert 0 < n_read < 5000
    assert f"after line {n_read} (" in str(raised.value)


def test_byte_order_mark_is_no_part_of_the_first_word(tmp_path):
    source = tmp_path / "source.txt"
    source.write_text(f"{GOOD_LINE}\n", encoding="utf-8-sig")
    assert [sentence.words for sentence in read(source, "wikiner")] == [["Ada", "saw", "Oslo", "."]]
    source.write_text(f"\n{GOOD_LINE}\n", encoding="utf-8-sig")
    assert [sentence.words for sentence in read(source, "wikiner")] == [["Ada", "saw", "Oslo", "."]]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_of_every_system(tmp_path, newline):
    source = tmp_path / "source.txt"
    source.write_bytes(newline.join(["", GOOD_LINE, "", f"{GOOD_LINE} ", "   ", GOOD_LINE]).encode("utf8"))
    sentences = list(read(source, "wikiner"))
    assert len(sentences) == 3
    assert all(sentence.tags == ["B-PER", "O", "B-LOC", "O"] for sentence in sentences)


def test_compressed_and_plain_sources_give_equal_corpora(tmp_path):
    sentences = number_sentences(40)
    corpora = []
    for name, compress in (("a.txt", bytes), ("a.bz2", bz2.compress), ("a.gz", gzip.compress)):
        source = write_sentences(tmp_path / name, sentences, compress)
        convert(source, tmp_path / name.replace(".", "-"), CorpusSettings(n_sents=2, **SHARES))
        corpora.append(read_files(tmp_path / name.replace(".", "-")))
    assert corpora[0] == corpora[1] == corpora[2]


def test_encoding_may_be_named(tmp_path):
    source = write(tmp_path, "source.csv", KAGGLE.encode("utf8"))
    assert read(source, "kaggle", encoding="utf8")[4].words[0] == "Zoë"
    assert read(source, "kaggle", encoding="latin1")[4].words[0] == "ZoÃ«"
    source = write(tmp_path, "source.conll", CONLL.encode("cp1252"))
    assert read(source, "conll", encoding="cp1252")[4].words[0] == "Zoë"


ENCODINGS = {
    "UTF-16": ("conll", CONLL.encode("utf16"), "line 1: this is UTF-16"),
    "damaged": ("packed", bz2.compress(CONLL.encode("utf8"))[:-9], "is damaged or cut short after line "),
}


@pytest.mark.parametrize("sample, data, expected", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_broken_sample_is_refused_and_changes_nothing(tmp_path, sample, data, expected):
    assert_broken(tmp_path, sample, data, expected)
