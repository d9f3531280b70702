"""The encoder's tokenizer, window by window."""

from hypothesis import assume, given
from hypothesis import strategies as st
from spacy_transformers.span_getters import get_strided_spans

from scripts.compiled_transformer.artefact import read_tokenizer
from scripts.compiled_transformer.text_segmentation import TextSegmentation
from scripts.compiled_transformer.windows import get_tokens, get_windows

from .strategies import documents, windows_of_tokens


@given(docs=st.lists(documents(), min_size=1, max_size=3), cuts=windows_of_tokens())
def test_wordpieces_are_those_of_the_tokenizer(tokenizer, docs, cuts):
    """Each window is tokenized as the text of its span, and nothing of one window is aligned to tokens of another."""
    assume(any(len(doc) for doc in docs))
    manifest = {"max_length": 10**6, "n_prefix": 1, "n_suffix": 1}
    segmentation = TextSegmentation(read_tokenizer(tokenizer.backend_tokenizer.to_str().encode("utf8")), manifest)
    windows_ = get_windows(docs, "strided", *cuts)
    found = segmentation.get_wordpieces(get_tokens(docs), windows_)
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
