"""Pieces, windows of pieces and their weights against the code of spacy-curated-transformers itself."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from spacy.lang.xx import MultiLanguage
from spacy.tokens import Doc
from spacy.util import registry
from spacy_curated_transformers.models.output import TransformerModelOutput
from spacy_curated_transformers.models.with_strided_spans import with_strided_spans
from thinc.api import Model, Ragged, reduce_mean

from scripts.compilation.curated_pieces import describe_pieces
from scripts.compiled_transformer.piece_segmentation import PieceSegmentation
from scripts.compiled_transformer.pieces import Characters, read_piece_encoder
from scripts.compiled_transformer.pooling import MEAN, TokenVectors

from .. import curated

VOCAB = MultiLanguage().vocab
MANY = settings(max_examples=200)
PARTS = ["", " ", "\n", "\t ", "##", "##a", "[CLS]", "<s>", "[PAD]", "<pad>", "▁", "e\u0301", "İ", "ß", "ﬁ", "㎏", "½"]
PARTS += ["👩‍👩‍👧", "\u200b", "\ufeff", "\u00a0", "\u3000", "\x00", "\x1c", "\x85", "…", "''", "'s", "don't", "x" * 300]


def documents() -> st.SearchStrategy[Doc]:
    """Docs of words of the vocabulary, of odd ones, and of any characters.

    Which characters without a meaning yet are letters depends on the Unicode version of the regular expressions in use.
    """
    characters = st.characters(exclude_categories=["Cs", "Cn"])
    parts = st.one_of(st.sampled_from(PARTS), st.sampled_from(curated.get_words()), st.text(characters, max_size=6))
    words = st.lists(parts, min_size=1, max_size=3).map("".join).filter(bool)
    tokens = st.lists(st.tuples(words, st.booleans()), min_size=1, max_size=12)
    return tokens.map(lambda pairs: Doc(VOCAB, words=[word for word, _ in pairs], spaces=[space for _, space in pairs]))


@pytest.fixture(scope="module", params=curated.KINDS)
def original(request) -> Model:
    """A piece encoder of spacy-curated-transformers."""
    kind = curated.KINDS[request.param]
    model = registry.architectures.get(f"{curated.PACKAGE}.{kind.piece_encoder}.v1")()
    kind.load(model)
    return model


@pytest.fixture(scope="module")
def segmentation(original, tmp_path_factory) -> PieceSegmentation:
    return segment(original, tmp_path_factory.mktemp("pipeline"))


def segment(model, path) -> PieceSegmentation:
    pieces = describe_pieces(model, path)
    encoder = read_piece_encoder(pieces.manifest, pieces.files)
    return PieceSegmentation(encoder, pieces.manifest["bos_id"], pieces.manifest["eos_id"], 512)


@MANY
@given(docs=st.lists(documents(), min_size=1, max_size=3))
def test_pieces_are_those_of_the_original(original, segmentation, docs):
    for doc, expected in zip(docs, original.predict(docs)):
        pieces = segmentation.get_pieces(doc)
        assert [1, *map(len, pieces), 1] == expected.lengths.tolist()
        whole = segmentation([doc], {"spans": "strided", "window": 512, "stride": 512})
        assert whole.ids.tolist() == expected.dataXd.ravel().tolist()


def test_words_of_the_vocabulary_are_pieces(original, segmentation):
    """Else the test above would compare unknown pieces with each other."""
    pieces = segmentation.get_pieces(Doc(VOCAB, words=curated.get_words()))
    assert len({piece for word in pieces for piece in word}) > 30
    assert all(pieces)


def make_random_transformer(width, generator):
    """Make a layer that gives each piece of each window a vector of its own, and keep what it gave."""
    given_ = []

    def forward(model, windows, is_train):
        vectors = [generator.normal(size=(len(window), width)).astype("float32") for window in windows]
        given_.extend(vectors_.copy() for vectors_ in vectors)
        return TransformerModelOutput(outputs=[[array] for array in vectors], last_layer_only=True), None

    return Model("random", forward), given_


@MANY
@given(
    lengths=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=30), min_size=1, max_size=3),
    window=st.integers(2, 12),
    data=st.data(),
)
def test_vectors_are_averaged_as_the_original_does(lengths, window, data):
    """Pieces in two windows and in three, tokens whose pieces two windows share, and tokens without any."""
    stride = data.draw(st.integers(max(1, window // 2), window))
    n_pieces = [sum(doc) + 2 for doc in lengths]
    ragged = [
        Ragged(numpy.arange(n).reshape(-1, 1).astype("int32"), numpy.asarray([1, *doc, 1], dtype="int32"))
        for n, doc in zip(n_pieces, lengths)
    ]
    layer, vectors = make_random_transformer(4, numpy.random.default_rng(0))
    output = with_strided_spans(layer, stride=stride, window=window).predict(ragged)
    expected = []
    for (states,), doc in zip(output.all_outputs, lengths):
        inner = Ragged(states.dataXd[1:-1], states.lengths[1:-1])
        # The original can't take a Doc without any piece.
        expected.append(reduce_mean().predict(inner) if sum(doc) else numpy.zeros((len(doc), 4), dtype="float32"))

    docs = [
        Doc(VOCAB, words=["a" * max(1, n) if n else " " for n in doc], spaces=[False] * len(doc)) for doc in lengths
    ]
    segmentation = PieceSegmentation(Characters({"a": 5}, 1, None), 2, 3, 512)
    segmentation.encoder.takes_white_space = False
    segmented = segmentation(docs, {"spans": "strided", "window": window, "stride": stride})
    pooled = TokenVectors(MEAN, segmented.n_tokens, 4)
    end = 0
    for start in range(0, len(segmented.windows), 3):  # In groups, as long Docs are encoded.
        wordpieces = segmented.get_wordpieces(start, start + 3)
        assert wordpieces.lengths.tolist() == [len(array) for array in vectors[start : start + 3]]
        for (first, last), length in zip(segmented.windows[start : start + 3], wordpieces.lengths):
            assert all(first <= token < last for token in segmented_tokens(segmented, end, length, stride))
            end += 1
        index = numpy.arange(len(wordpieces.ids))[None]
        pooled.add(pooled.find_places(wordpieces), index, numpy.concatenate(vectors[start : start + 3])[None])
    assert len(vectors) == len(segmented.windows)
    assert_allclose(pooled.finish()[:-1], numpy.concatenate(expected), atol=1e-5)


def segmented_tokens(segmented, window, length, stride):
    """RETURNS (List[int]): The tokens that the pieces of a window belong to."""
    start = segmented.starts[window]
    return [token for token in segmented.owners[start : start + length].tolist() if token >= 0]


@pytest.mark.parametrize("settings_, part", [({"window": 600}, "512"), ({"spans": "sent"}, "'strided'")])
def test_settings_that_the_encoder_can_t_take_are_named(settings_, part):
    segmentation = PieceSegmentation(Characters({"a": 5}, 1, None), 2, 3, 512)
    with pytest.raises(ValueError, match=part):
        segmentation([Doc(VOCAB, words=["a"])], {"spans": "strided", "window": 128, "stride": 96, **settings_})


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr("scripts.compiled_transformer.piece_segmentation.MOST_CACHED", 10)
    segmentation = PieceSegmentation(Characters({"a": 5}, 1, None), 2, 3, 512)
    for number in range(40):
        segmentation.get_pieces(Doc(VOCAB, words=[f"a{number}"]))
    assert len(segmentation._cache) <= 11
