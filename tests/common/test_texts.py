"""The tokenizer that searches for suffixes at the end only: the same tokens, and in linear time."""

import re
import time

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.util import compile_suffix_regex

from scripts.common.texts import find_long_run, get_reach, is_anchored, speed_up, uses_spacy_tokenizer

LANGUAGES = ("en", "fr", "hu", "el", "id")  # Patterns of several kinds.
PAIRS = {}
# What prefixes, suffixes, infixes, special cases and URLs are made of, in runs with few spaces.
PIECES = [
    "$",
    "😀",
    ".",
    "..",
    "…",
    "'s",
    "’S",
    "a",
    "B",
    "AB.",
    "5",
    "km",
    "5km",
    "°C.",
    "+",
    "-",
    ":)",
    "(",
    ")",
    "\n",
]
PIECES += [
    "www.a.com",
    "http://",
    "@",
    "can't",
    "U.S.",
    "€",
    "--",
    "—",
    "%",
    '"',
    "?!",
    ",",
    "日本",
    "。",
    "\u0301",
    " ",
]


def get_pair(language: str):
    """Make a tokenizer as it is, and one that was sped up."""
    if language not in PAIRS:
        plain, fast = spacy.blank(language), spacy.blank(language)
        speed_up(fast)
        PAIRS[language] = plain, fast
    return PAIRS[language]


def get_tokens(doc):
    return [(token.idx, token.text, token.norm_, token.whitespace_) for token in doc]


@pytest.mark.parametrize("language", LANGUAGES)
@given(pieces=st.lists(st.tuples(st.sampled_from(PIECES), st.integers(1, 12)), max_size=5))
def test_same_tokens(language, pieces):
    text = "".join(piece * n for piece, n in pieces)
    plain, fast = get_pair(language)
    assert get_tokens(fast(text)) == get_tokens(plain(text))


@given(text=st.text(max_size=60))
def test_same_tokens_of_any_text(text):
    plain, fast = get_pair("en")
    assert get_tokens(fast(text)) == get_tokens(plain(text))


@pytest.mark.parametrize("text", ["$" * 800, "😀" * 800, "a" * 400 + "!" * 400])
def test_runs_are_cheap(text):
    """At least five times; it is about a hundred times."""
    plain, fast = get_pair("en")

    def measure(nlp) -> float:
        start = time.process_time()
        nlp.tokenizer(text)
        return time.process_time() - start

    with fast.memory_zone(), plain.memory_zone():  # Which switches the tokenizer's cache off.
        assert 5 * min(measure(fast) for _ in range(3)) < min(measure(plain) for _ in range(3))


def test_it_is_saved_as_before():
    plain, fast = get_pair("en")
    assert fast.tokenizer.to_bytes() == plain.tokenizer.to_bytes()
    again = spacy.blank("en").from_bytes(fast.to_bytes())
    assert get_tokens(again("Ada's $$$...")) == get_tokens(plain("Ada's $$$..."))


@pytest.mark.parametrize(
    "pattern, reach",
    [
        (r"a$|bc$", 3),
        (r"(?<=[0-9])(?:km|mm)$|\.\.+$", 3),
        (r"[ab]+$", 2),
        (r"a|b$", None),  # The first one matches anywhere.
        (r"[0-9]+'$", None),
        (r"(?:ab)+$", None),
        (r"(?m)a$", None),
        (r"a", None),
        (r"", None),
    ],
)
def test_reach(pattern, reach):
    assert get_reach(re.compile(pattern)) == reach


@pytest.mark.parametrize("pattern, expected", [("^a|^b", True), ("^(?:a|b)", True), ("^a|b", False), ("(?m)^a", False)])
def test_anchored(pattern, expected):
    assert is_anchored(re.compile(pattern)) == expected


def test_patterns_of_which_nothing_is_known_stay():
    nlp = spacy.blank("en")
    search = compile_suffix_regex(["[0-9]+'"]).search
    nlp.tokenizer.suffix_search = search
    speed_up(nlp)
    assert nlp.tokenizer.suffix_search == search


@pytest.mark.parametrize(
    "text, found",
    [("a" * 10, None), ("a" * 11, 11), ("a b " * 9, None), ("a\u3000" * 9 + "a" * 12, 12), (" " * 20, None)],
)
def test_long_run(text, found):
    assert find_long_run(text, 10) == found


def test_other_tokenizers_have_no_runs():
    assert uses_spacy_tokenizer(spacy.blank("en").config)
    assert not uses_spacy_tokenizer(spacy.blank("zh").config)
