"""Encoders whose vectors are not those of the trained pipeline are refused before anything is timed."""

import functools
from typing import Callable

import numpy
import pytest

from scripts.common.console import UserError
from scripts.compilation import candidates
from scripts.compilation.candidates import Workbench
from scripts.compilation.export import sees_padding
from scripts.compilation.reference import load_reference
from scripts.compilation.vector_check import MAX_DIFFERENCE, check_vectors, get_difference
from scripts.compiled_transformer.artefact import PADDED_INPUTS
from scripts.optimize import optimize_cli

from .. import encoders, helpers, other_encoders
from .test_families import WINDOWS

FAMILIES = {**encoders.FAMILIES, **other_encoders.FAMILIES}
QUICK = ("convbert", "xmod")
REFUSED = {
    "xmod": "a XmodModel (xmod), can't be compiled, since its adapters are fixed",
    "longformer": "a LongformerModel (longformer), can't be compiled, since",
    "xlnet": "a XLNetModel (xlnet), can't be compiled, since its vectors would differ by",
    "gpt_neox": "a GPTNeoXModel (gpt_neox), can't be compiled, since its mask",
    "qwen2": "a Qwen2Model (qwen2), can't be compiled, since its mask",
}


def mark_slow(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def make_workbench(sample_path, dev_corpus, tmp_path_factory) -> Callable[[str], Workbench]:
    @functools.cache
    def make(name: str) -> Workbench:
        folder = tmp_path_factory.mktemp(name)
        encoders.save_encoder(name, sample_path, folder / "encoder", FAMILIES)
        encoders.initialize(encoders.make_config(folder / "encoder", **WINDOWS)).to_disk(folder / "reference")
        reference = load_reference(folder / "reference")
        return Workbench(reference, helpers.read_docs(dev_corpus), [], 0.0, folder)

    return make


@pytest.mark.parametrize("name", mark_slow(name for name in other_encoders.FAMILIES if name not in REFUSED))
def test_vectors_of_many_families_are_those_of_the_reference(make_workbench, name):
    workbench = make_workbench(name)
    assert check_vectors(workbench, workbench.train) < 1e-5
    assert sees_padding(workbench.reference.encoder) == (name == "convbert")


@pytest.mark.parametrize("name", mark_slow(REFUSED))
def test_what_has_other_vectors_is_refused_by_name(make_workbench, name):
    workbench = make_workbench(name)
    with pytest.raises(UserError) as error:
        check_vectors(workbench, workbench.train)
    message = str(error.value)
    assert REFUSED[name] in message and str(workbench.reference.path) in message
    assert message.endswith(".") and message.count(". ") == 0


@pytest.mark.slow
def test_padding_would_be_noticed(make_workbench, monkeypatch):
    """What made ConvBERT wrong before: windows of different lengths in one batch."""
    workbench = make_workbench("convbert")
    monkeypatch.setattr("scripts.compilation.artefact_writer.sees_padding", lambda encoder: False)
    with pytest.raises(
        UserError, match="a ConvBertModel .convbert., can't be compiled, since its vectors would differ"
    ):
        check_vectors(workbench, workbench.train)


@pytest.mark.slow
def test_nothing_is_timed_then(make_workbench, dev_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "get_candidates", lambda: pytest.fail("searched"))
    path = make_workbench("xmod").reference.path
    result = helpers.run_command(optimize_cli, path, tmp_path / "compiled", "--text", dev_corpus)
    helpers.assert_refused(result, path, "a XmodModel (xmod), can't be compiled")
    assert list(tmp_path.iterdir()) == []


def test_difference_is_relative_to_the_length_of_a_vector():
    one, other = numpy.ones((2, 4), dtype="float32"), numpy.ones((2, 4), dtype="float32")
    other[1] *= 1.5
    assert get_difference([one * 7], [one * 7]) == 0
    assert get_difference([one[:1], one[1:]], [other[:1], other[1:]]) == pytest.approx(0.5)
    assert get_difference([one * 7], [other * 7]) == pytest.approx(0.5)
    zeros = numpy.zeros((1, 4), dtype="float32")
    assert get_difference([zeros], [zeros]) == 0
    assert get_difference([zeros], [one[:1]]) > MAX_DIFFERENCE
    assert get_difference([one], [one * numpy.nan]) > MAX_DIFFERENCE


def test_windows_of_an_encoder_that_sees_padding_have_none(make_workbench):
    workbench = make_workbench("convbert")
    assert workbench.inputs == PADDED_INPUTS
    assert all(inputs["attention_mask"].all() for inputs in workbench.calibration)
