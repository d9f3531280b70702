"""What a request costs is known before its texts are documents, whatever makes the pipeline's wordpieces."""

import shutil

import pytest
import spacy

from scripts import compiled_transformer  # noqa: F401
from scripts.common.console import UserError
from scripts.service.served_pipeline import find_served_pipeline
from scripts.service.wordpiece_counts import read_counter

from .. import curated


@pytest.fixture(scope="module", params=curated.KINDS)
def curated_path(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("curated")
    curated.make_pipeline(request.param, folder / "reference", heads=["ner"])
    return curated.compile_pipeline(folder / "reference", folder / "work")


def test_pieces_of_curated_transformers(curated_path):
    served = find_served_pipeline(str(curated_path))
    found = read_counter(curated_path / "transformer")(curated.TEXTS)
    segmentation = spacy.load(curated_path).get_pipe("transformer").encoder.segmentation
    blank = spacy.blank("xx")
    expected = [sum(map(len, segmentation.get_pieces(blank.make_doc(text)))) for text in curated.TEXTS]
    assert served.artefact == str(curated_path / "transformer")
    # Single characters differ, as where punctuation is a token of its own.
    assert found == pytest.approx(expected, rel=0.1, abs=2)


def test_wordpieces_of_a_tokenizer(compiled_path):
    counts = read_counter(compiled_path / "transformer")([*curated.TEXTS, ""])
    tokenizer = spacy.load(compiled_path).get_pipe("transformer").encoder.segmentation.tokenizer
    assert counts == [len(tokenizer.encode(text, add_special_tokens=False)) for text in [*curated.TEXTS, ""]]


@pytest.mark.parametrize("name", ["engine.json", "tokenizer.json", "encoder.onnx"])
def test_what_is_damaged_is_named_before_anything_starts(compiled_path, tmp_path, name):
    folder = shutil.copytree(compiled_path, tmp_path / "damaged")
    (folder / "transformer" / name).write_bytes(b"damaged")
    with pytest.raises(UserError, match=f"{name} in .* Copy the"):
        find_served_pipeline(str(folder))
    (folder / "transformer" / name).unlink()
    with pytest.raises(UserError, match=f"{name} .*in .* Copy the whole pipeline again"):
        find_served_pipeline(str(folder))
