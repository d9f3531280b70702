"""Windows, alignment and pooling against spacy-transformers' own code and against plain loops."""

from typing import List, NamedTuple

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose
from spacy.tokens import Doc
from spacy.vocab import Vocab
from spacy_transformers.align import get_alignment_via_offset_mapping
from spacy_transformers.span_getters import get_doc_spans, get_sent_spans, get_strided_spans
from thinc.api import NumpyOps
from transformers import AutoTokenizer

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.artefact import read_tokenizer
from scripts.compiled_transformer.encoder import CompiledEncoder
from scripts.compiled_transformer.model import add_to_tokens, split_by_doc
from scripts.compiled_transformer.windows import get_strided_windows, get_tokens, get_windows
from scripts.compiled_transformer.wordpieces import (
    LENGTH_STEP,
    Padded,
    Wordpieces,
    align,
    get_fine_step,
    get_micro_batches,
    pad,
    round_up,
    split_long_windows,
)

from .. import encoders, helpers

VOCAB = Vocab()
MANY = settings(max_examples=300)  # These are quick.
SPECIAL = -1  # What special tokens are aligned to.


# What the tests draw


def words() -> st.SearchStrategy[str]:
    """Words, numbers, emoji, combining characters, scripts without spaces, and white space that is a token."""
    odd = [
        "\n",
        " ",
        "\t\n ",
        "\u00a0",
        "\u3000",
        "\u200b",
        "e\u0301",
        "👩‍👩‍👧",
        "😀",
        "ﬁ",
        "東京",
        "İ",
        "[SEP]",
        "cannot",
        "don't",
    ]
    return st.one_of(st.sampled_from(odd), st.text(st.characters(codec="utf8"), min_size=1, max_size=12))


@st.composite
def documents(draw, max_words: int = 25) -> Doc:
    texts = draw(st.lists(words(), max_size=max_words))
    spaces = draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    return Doc(VOCAB, words=texts, spaces=spaces)


@st.composite
def windows_of_tokens(draw):
    """YIELDS (Tuple[int, int]): Window and stride, as `check_settings` allows them."""
    window = draw(st.integers(1, 40))
    return window, draw(st.integers(1, window))


@st.composite
def offsets(draw, length: int) -> numpy.ndarray:
    """Wordpieces of a text: ascending, some over the same characters or none, with gaps and overlaps."""
    borders = st.integers(0, length)
    starts = sorted(draw(st.lists(borders, max_size=length + 5)))
    lengths = draw(st.lists(st.integers(0, 15), min_size=len(starts), max_size=len(starts)))
    return numpy.asarray([(start, min(start + n, length)) for start, n in zip(starts, lengths)], dtype="int64").reshape(
        -1, 2
    )


class Pieces(NamedTuple):
    """Windows of wordpieces, no two of them with the same id, and the special tokens in each."""

    wordpieces: Wordpieces
    n_prefix: int
    n_suffix: int


@st.composite
def pieces(draw) -> Pieces:
    n_prefix, n_suffix = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    # A tokenizer without special tokens makes at least one of a text.
    shortest = 0 if n_prefix + n_suffix else 1
    lengths = draw(st.lists(st.integers(shortest, 30), min_size=1, max_size=8))
    first, last = [], []
    for number, length in enumerate(lengths):
        text = numpy.arange(length) + 100 * number
        first += [*[SPECIAL] * n_prefix, *text, *[SPECIAL] * n_suffix]
        last += [*[SPECIAL] * n_prefix, *(text + draw(st.integers(0, 3))), *[SPECIAL] * n_suffix]
    windows_ = numpy.asarray(lengths) + n_prefix + n_suffix
    ids = numpy.arange(len(first)) + 1
    return Pieces(Wordpieces(windows_, ids, numpy.asarray(first), numpy.asarray(last)), n_prefix, n_suffix)


# Docs to windows


@MANY
@given(st.integers(0, 300), windows_of_tokens())
def test_strided_windows_are_those_of_spacy_transformers(n_tokens, cuts):
    doc = Doc(VOCAB, words=["a"] * n_tokens)
    expected = [(span.start, span.end) for span in get_strided_spans([doc], *cuts)[0]]
    assert list(get_strided_windows(n_tokens, *cuts)) == expected


@given(st.lists(documents(), max_size=4), windows_of_tokens())
def test_windows_are_numbered_through_the_batch(docs, cuts):
    offsets_ = numpy.cumsum([0] + [len(doc) for doc in docs])
    getters = {
        "strided": lambda docs: get_strided_spans(docs, *cuts),
        # The reference makes an empty window of an empty Doc.
        "doc": lambda docs: [[span for span in spans if len(span)] for spans in get_doc_spans(docs)],
    }
    for name, get_spans in getters.items():
        expected = [
            (span.start + offset, span.end + offset)
            for spans, offset in zip(get_spans(docs), offsets_.tolist())
            for span in spans
        ]
        assert get_windows(docs, name, *cuts) == expected


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), max_size=4))
def test_sentence_windows_are_those_of_spacy_transformers(lengths_of_docs):
    docs = []
    for lengths in lengths_of_docs:
        starts = [number == 0 for length in lengths for number in range(length)]
        docs.append(Doc(VOCAB, words=["a"] * len(starts), sent_starts=starts))
    offset, expected = 0, []
    for doc, spans in zip(docs, get_sent_spans(docs)):
        expected.extend((span.start + offset, span.end + offset) for span in spans)
        offset += len(doc)
    assert get_windows(docs, "sent", 1, 1) == expected
    assert len(expected) == sum(map(len, lengths_of_docs))


# Windows to wordpieces


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


@pytest.fixture(scope="module", params=["wordpiece", "byte-level BPE", "Unigram"])
def tokenizer(request, sample_path, tiny_encoder):
    """A tokenizer of each kind: offsets of words, of bytes, and of words with the space before them."""
    texts = [" ".join(word for word, _, _ in sentence) for sentence in helpers.read_sentences(sample_path)]
    if request.param == "wordpiece":
        return AutoTokenizer.from_pretrained(tiny_encoder)
    return {"byte-level BPE": encoders.make_byte_level_bpe, "Unigram": encoders.make_unigram}[request.param](texts)


@MANY
@given(docs=st.lists(documents(), min_size=1, max_size=3), cuts=windows_of_tokens())
def test_offsets_of_tokenizers_are_aligned_as_spacy_transformers_does(tokenizer, docs, cuts):
    assume(any(len(doc) for doc in docs))
    nested_spans = get_strided_spans(docs, *cuts)
    texts = [span.text for spans in nested_spans for span in spans]
    mapping = tokenizer(texts, return_offsets_mapping=True, padding="longest", return_tensors="np")["offset_mapping"]
    expected, found = align_by_loop(docs, nested_spans, list(mapping))
    assert found == expected


@given(docs=st.lists(documents(), min_size=1, max_size=3), cuts=windows_of_tokens())
def test_wordpieces_are_those_of_the_tokenizer(tokenizer, docs, cuts):
    """Each window is tokenized as the text of its span, and nothing of one window is aligned to tokens of another."""
    assume(any(len(doc) for doc in docs))
    encoder = CompiledEncoder()
    encoder.manifest = {"max_length": 10**6, "n_prefix": 1, "n_suffix": 1}
    encoder.tokenizer = read_tokenizer(tokenizer.backend_tokenizer.to_str().encode("utf8"))
    windows_ = get_windows(docs, "strided", *cuts)
    found = encoder.get_wordpieces(get_tokens(docs), windows_)
    spans = [span for spans in get_strided_spans(docs, *cuts) for span in spans]
    ids = [tokenizer(span.text).input_ids for span in spans]
    assert found.lengths.tolist() == [len(ids_) for ids_ in ids]
    assert found.ids.tolist() == [id_ for ids_ in ids for id_ in ids_]
    end = 0
    for (first_token, last_token), length in zip(windows_, found.lengths):
        start, end = end, end + length
        is_text = found.first[start:end] >= 0
        assert not is_text[0] and not is_text[-1]
        assert (found.first[start:end][is_text] >= first_token).all()
        assert (found.first[start:end] <= found.last[start:end]).all()
        assert (found.last[start:end] < last_token).all()


# Windows with more wordpieces than the encoder has positions


def cut(values: numpy.ndarray, lengths: numpy.ndarray) -> List[List[int]]:
    """RETURNS (List[List[int]]): The values of each window."""
    return [part.tolist() for part in numpy.split(values, numpy.cumsum(lengths)[:-1])]


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


# Wordpieces to token vectors


@MANY
@given(st.lists(st.integers(1, 200), max_size=60), st.integers(1, 1000), st.booleans())
def test_micro_batches_hold_every_window_once_within_the_budget(lengths, budget, recurs):
    lengths = numpy.asarray(lengths, dtype="int64")
    batches = list(get_micro_batches(lengths, budget, recurs))
    indices = [index for batch, _ in batches for index in batch.tolist()]
    assert sorted(indices) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * length <= budget for batch, length in batches)
    assert all(lengths[batch].max() <= length < lengths[batch].max() + LENGTH_STEP for batch, length in batches)
    assert (numpy.diff(lengths[indices]) <= 0).all()


@MANY
@given(st.lists(st.integers(1, 512), min_size=1, max_size=200), st.sampled_from([512, 2048]))
def test_few_shapes_come_from_much_text(lengths, budget):
    """Engines prepare anew for every shape. One micro-batch of all, the last, may have a shape that others never have."""
    *full, last = get_micro_batches(numpy.asarray(lengths), budget, recurs=True)
    assert all(len(batch) == max(1, budget // length) for batch, length in full)
    assert last[1] % LENGTH_STEP == 0 or len(last[0]) == budget // last[1]
    fine = {round_up(length, get_fine_step(length)) for length in range(1, 513)}
    assert {length for _, length in full} <= fine | set(range(0, 513, LENGTH_STEP))
    assert len(fine) < 50


@pytest.mark.parametrize("length", [17, 40, 100, 500])
def test_full_micro_batches_have_little_padding(length):
    batches = list(get_micro_batches(numpy.full(5000, length), 2048, recurs=True))
    assert all(padded <= 1.2 * length for _, padded in batches[:-1])


@given(pieces(), st.integers(0, 40), st.data())
def test_padding_keeps_every_wordpiece_and_marks_the_rest(drawn, spare_positions, data):
    whole, nowhere = drawn.wordpieces, 10**6
    order = data.draw(st.permutations(range(len(whole.lengths))))
    batch = numpy.asarray(order[: data.draw(st.integers(1, len(order)))])
    longest = int(whole.lengths[batch].max())
    manifest = {"max_length": longest + spare_positions, "pad_id": 0}
    wanted = data.draw(st.integers(longest, longest + 40))
    padded = pad(whole, batch, wanted, manifest, nowhere)
    length = padded.ids.shape[1]
    assert length == min(wanted, longest + spare_positions)
    fields = (
        (padded.ids, whole.ids, 0),
        (padded.mask, numpy.ones_like(whole.ids), 0),
        (padded.first, numpy.where(whole.first < 0, nowhere, whole.first), nowhere),
        (padded.last, numpy.where(whole.last < 0, nowhere, whole.last), nowhere),
    )
    for rows, values, padding in fields:
        windows_ = cut(values, whole.lengths)
        assert rows.tolist() == [
            windows_[window] + [padding] * (length - whole.lengths[window]) for window in batch.tolist()
        ]


@given(pieces(), st.integers(1, 200))
def test_padding_is_within_the_budget(drawn, budget):
    whole = drawn.wordpieces
    for batch, length in get_micro_batches(whole.lengths, budget, recurs=False):
        padded = pad(whole, batch, length, {"max_length": 512, "pad_id": 0}, nowhere=0)
        assert padded.ids.size <= budget or len(batch) == 1


@given(
    n_tokens=st.lists(st.integers(0, 6), min_size=1, max_size=4).filter(any),
    shapes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 8)), min_size=1, max_size=3),
    data=st.data(),
)
def test_token_vectors_are_means_over_their_wordpieces(n_tokens, shapes, data):
    """Several micro-batches, wordpieces over up to four tokens, special tokens and padding."""
    docs = [Doc(VOCAB, words=["a"] * n) for n in n_tokens]
    nowhere, width = sum(n_tokens), 4
    sums, counts = numpy.zeros((nowhere + 1, width), "float32"), numpy.zeros(nowhere + 1, "int64")
    vectors_of_tokens = [[] for _ in range(nowhere)]
    floats = st.floats(-8, 8, width=32)
    for shape in shapes:
        first = data.draw(arrays.arrays("int32", shape, elements=st.integers(0, nowhere)))
        steps = data.draw(arrays.arrays("int32", shape, elements=st.integers(0, 3)))
        last = numpy.where(first == nowhere, nowhere, numpy.minimum(first + steps, nowhere - 1)).astype("int32")
        vectors = data.draw(arrays.arrays("float32", (*shape, width), elements=floats))
        add_to_tokens(sums, counts, Padded(None, None, first, last), vectors)
        for index in numpy.ndindex(shape):
            for token in range(first[index], last[index] + 1) if first[index] < nowhere else ():
                vectors_of_tokens[token].append(vectors[index])
    expected = [numpy.mean(vectors, axis=0) if vectors else numpy.zeros(width) for vectors in vectors_of_tokens]
    found = split_by_doc(NumpyOps(), docs, sums, counts)
    assert [len(vectors) for vectors in found] == n_tokens
    assert_allclose(numpy.concatenate(found), expected, atol=1e-5)
    assert all(vectors.dtype == numpy.float32 for vectors in found)
    # One row more is kept alive with the vectors of a single Doc, and nothing with those of several.
    kept = [vectors if vectors.base is None else vectors.base for vectors in found]
    assert sum(map(len, kept)) <= sum(n_tokens) + (len(docs) == 1)
