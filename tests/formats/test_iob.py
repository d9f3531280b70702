"""spaCy's .iob."""

import pytest

from scripts.common.console import UserError

from .samples import detect, read, read_text, write


def test_parts_of_speech_and_labels_that_wikiner_has_not(tmp_path):
    source = write(tmp_path, "train.iob", b"I|PRP|O like|VBP|O Oslo|NNP|I-GPE\n")
    assert detect(source) == "iob"
    (sentence,) = read(source, "iob")
    assert (sentence.words, sentence.pos) == (["I", "like", "Oslo"], ["PRP", "VBP", "NNP"])
    assert sentence.tags == ["O", "O", "B-GPE"]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("Ada|B-PER|x sang|O", "line 1: expected word\\|POS\\|tag, got 'sang\\|O'"),
        ("Ada|B-PER sang", "line 1: expected word\\|tag, got 'sang'"),
        ("Ada|PER sang|O", "line 1: unknown tag 'PER'"),
    ],
)
def test_broken_lines_are_refused(tmp_path, line, expected):
    with pytest.raises(UserError, match=expected):
        read_text(tmp_path, "iob", line)
