"""Windows to wordpieces and micro-batches, against spacy-transformers' own code and plain loops."""

import numpy
from hypothesis import assume, given
from hypothesis import strategies as st
from spacy_transformers.align import get_alignment_via_offset_mapping
from spacy_transformers.span_getters import get_strided_spans

from scripts.compiled_transformer.windows import get_tokens
from scripts.compiled_transformer.wordpieces import align, split_long_windows

from .strategies import MANY, cut, documents, offsets, pieces, windows_of_tokens

# Alignment


def align_by_loop(docs, nested_spans, offsets_of_windows):
    """RETURNS (Tuple[List[List[int]], List[List[int]]]): By token, its wordpieces, as the reference and as the runtime
    align them.
    """
    spans = [span for spans in nested_spans for span in spans]
    expected = get_alignment_via_offset_mapping(spans, offsets_of_windows)
    tokens = get_tokens(docs)
    first_tokens = numpy.cumsum([0] + [len(doc) for doc in docs])
    windows_ = [span.start + start for spans, start in zip(nested_spans, first_tokens.tolist()) for span in spans]
    found = [[] for _ in tokens.starts]
    number = 0
    for start, offsets_ in zip(windows_, offsets_of_windows):
        shifted = offsets_ + tokens.starts[start]
        for first, last in zip(*align(tokens, shifted[:, 0], shifted[:, 1])):
            for token in range(first, last + 1) if first >= 0 else ():
                found[token].append(number)
            number += 1
    ends = numpy.cumsum(expected.lengths)
    return [part.tolist() for part in numpy.split(expected.dataXd, ends[:-1])], found


@MANY
@given(st.lists(documents(), min_size=1, max_size=3), windows_of_tokens(), st.data())
def test_any_offsets_are_aligned_as_spacy_transformers_does(docs, cuts, data):
    assume(any(len(doc) for doc in docs))
    nested_spans = get_strided_spans(docs, *cuts)
    offsets_of_windows = [data.draw(offsets(len(span.text))) for spans in nested_spans for span in spans]
    expected, found = align_by_loop(docs, nested_spans, offsets_of_windows)
    assert found == expected


@MANY
@given(docs=st.lists(documents(), min_size=1, max_size=3), cuts=windows_of_tokens())
def test_offsets_of_tokenizers_are_aligned_as_spacy_transformers_does(tokenizer, docs, cuts):
    assume(any(len(doc) for doc in docs))
    nested_spans = get_strided_spans(docs, *cuts)
    texts = [span.text for spans in nested_spans for span in spans]
    mapping = tokenizer(texts, return_offsets_mapping=True, padding="longest", return_tensors="np")["offset_mapping"]
    expected, found = align_by_loop(docs, nested_spans, list(mapping))
    assert found == expected


# Windows with more wordpieces than the encoder has positions


@MANY
@given(pieces(), st.integers(5, 40))
def test_long_windows_are_split_and_nothing_is_lost(drawn, max_length):
    """By a plain loop: the text in as few parts as it fits in, each with the special tokens of its window around it."""
    whole, n_prefix, n_suffix = drawn
    room = max_length - n_prefix - n_suffix
    split = split_long_windows(whole, max_length, n_prefix, n_suffix)
    assert split.lengths.max() <= max_length
    for field in ("ids", "first", "last"):
        expected = []
        for values in cut(getattr(whole, field), whole.lengths):
            end = len(values) - n_suffix
            text = values[n_prefix:end]
            for start in range(0, max(1, len(text)), room):
                expected.append(values[:n_prefix] + text[start : start + room] + values[end:])
        assert cut(getattr(split, field), split.lengths) == expected


@given(pieces())
def test_short_windows_stay_as_they_are(drawn):
    whole, n_prefix, n_suffix = drawn
    assert split_long_windows(whole, int(whole.lengths.max()), n_prefix, n_suffix) is whole
