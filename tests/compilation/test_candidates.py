"""What candidates are built from, and where they can be tried."""

from dataclasses import replace

import onnx
import pytest
import torch
from spacy.tokens import Doc

from scripts import compiled_transformer  # noqa: F401
from scripts.common.corpora import read_corpus
from scripts.compilation import candidates as candidates_module
from scripts.compilation import search
from scripts.compilation.candidates import Workbench
from scripts.compilation.reference import load_reference

from .searches import get_candidate

STRIDED = {"spans": "strided", "window": 20, "stride": 15}


@pytest.fixture
def make_workbench(reference_path, train_corpus, tmp_path):
    """A function that makes a workbench of the reference, with its own settings or others."""

    def make(settings=None):
        reference = load_reference(reference_path)
        docs = read_corpus(train_corpus)
        return Workbench(replace(reference, settings=settings or reference.settings), docs, docs, 0.0, tmp_path)

    return make


def test_windows_are_only_changed_where_they_overlap(make_workbench):
    def get_names(settings=None):
        trial = search.Trial(make_workbench(settings), "transformer", None, None, None, None, None, -1)
        return {name for change in search.get_setting_changes(trial, {"settings": {}}) for name in change}

    assert make_workbench().reference.settings == {"spans": "sent"}
    assert "batch_wordpieces" in get_names()
    assert not {"spans", "window", "stride"} & get_names()
    assert not {"spans", "window", "stride"} & get_names({**STRIDED, "stride": 20})
    assert {"stride"} == {"spans", "window", "stride"} & get_names(STRIDED)


def test_calibration_has_windows_as_the_pipeline_makes_them(make_workbench):
    def get_windows(workbench):
        for inputs in workbench.calibration:
            ids, segments = inputs["input_ids"][0], inputs["segments"][0]
            yield from (tuple(ids[segments == number].tolist()) for number in range(1, segments.max() + 1))

    def get_longest(workbench):
        return max(map(len, get_windows(workbench)))

    workbench = make_workbench()
    sentences = {
        tuple(workbench.reference.tokenizer(sent.text).input_ids) for doc in workbench.train for sent in doc.sents
    }
    windows = list(get_windows(workbench))
    assert len(windows) == candidates_module.CALIBRATION_WINDOWS
    assert set(windows) <= sentences
    without = [Doc(doc.vocab, words=[token.text for token in doc]) for doc in workbench.train]
    assert get_longest(replace(workbench, train=without)) > get_longest(workbench)
    assert get_longest(make_workbench(STRIDED)) < get_longest(workbench)


def test_killed_export_is_done_again(reference_path, dev_corpus, tmp_path, monkeypatch):
    def export_half(encoder, path, inputs):
        path.write_bytes(b"half of a model")
        raise KeyboardInterrupt

    docs = read_corpus(dev_corpus)
    workbench = Workbench(load_reference(reference_path), docs, docs, 0.0, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(candidates_module, "export_onnx", export_half)
        with pytest.raises(KeyboardInterrupt):
            print(workbench.exported)
    onnx.checker.check_model(str(workbench.exported))


def test_candidates_for_a_gpu_are_not_compared_with_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    candidate = get_candidate("torch-fp16-cuda")
    assert candidate.why_not(0) is None
    assert "--gpu 0" in candidate.why_not(-1)
