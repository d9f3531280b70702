"""The tables of a benchmark."""

import pytest

from scripts.benchmarking.tables import make_markdown

from .results import read_rows


def test_markdown_has_the_numbers_and_names_the_machine(made_up):
    markdown = make_markdown(made_up)
    rows = {title: numbers for title, *numbers in read_rows(markdown)}
    assert rows["Batches of 1 (words/s)"] == ["1,000", "4,000", "4.00× (3.90–4.10)"]
    assert rows["Best batches of each, 16 and 64 (words/s)"] == ["1,100", "4,400", "4.00× (3.80–4.20)"]
    assert rows["One sentence, p99 (ms)"] == ["20.0", "5.0", "4.00×"]
    assert rows["One document, mean (ms)"] == ["120.0", "30.0", "4.00×"]
    assert rows["Load and first text (s)"] == ["6.0", "1.2", "5.00×"]
    assert rows["Peak memory (MB)"] == ["900", "300", "3.00×"]
    assert rows["Size on disk (MB)"] == ["80", "40", "2.00×"]
    assert rows["Stage encoder"] == ["0.300", "75.0%"]
    assert rows["nlp.pipe"] == ["0.350", "87.5%"]
    assert rows["Padding among what the encoder is given"] == ["20.0%"]
    assert rows["Wordpieces, share of the peak"] == ["60.0%"]
    assert rows["Document of 10,000 words"] == ["900", "3,600", "4.00×", "510", "510", "2.5"]
    assert rows["Document of 100,000 words"] == ["–", "3,600", "–", "–", "600", "2.5"]
    assert rows["Entities"] == ["0.9871", "0.9800–0.9900", "95.0%", "1,234"]
    assert rows["Categories (scores differ by 0.0200 at most)"][0] == "0.9900"
    sentence = markdown.split("\n|")[0]
    assert "Made Up CPU, 2 cores" in sentence
    assert "260 documents (6,012 words) of test.spacy" in sentence
    assert "compiled (onnxruntime, int8)" in sentence


def test_markdown_names_the_gpu(made_up):
    made_up["machine"]["gpu"] = "Made Up GPU"
    assert "Made Up GPU and Made Up CPU, 2 cores" in make_markdown(made_up)


def test_markdown_of_an_engine_without_a_peak(made_up):
    made_up["encoder"].update(peak=None, share=None)
    titles = [row[0] for row in read_rows(make_markdown(made_up))]
    assert "Operations with padding (GOP/s)" in titles
    assert not [title for title in titles if "peak" in title]


@pytest.mark.parametrize("rounds, name", [(3, "lowest and the highest"), (6, "95%")])
def test_interval_of_few_rounds_is_called_what_it_is(made_up, rounds, name):
    made_up["measured"]["rounds"] = rounds
    assert name in make_markdown(made_up)
