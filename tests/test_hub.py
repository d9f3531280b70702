"""Models by their names on the Hugging Face hub, which a server on this machine stands in for."""

import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from torch import equal

from . import classifiers, helpers
from .hub import serve_hub

# In a process of its own: the tests are offline, which huggingface_hub reads when it is imported.
DOWNLOADS = """
import json, sys
from pathlib import Path
from scripts.common.console import UserError
from scripts.compilation.huggingface_model import TokenPipeSettings, make_token_pipe
from scripts.training.pretrained_encoder import save_encoder

encoder, classifier = map(Path, sys.argv[1:])
save_encoder("somebody/encoder", encoder)
make_token_pipe("somebody/classifier", classifier, TokenPipeSettings(lang="en"))
try:
    save_encoder("somebody/nothing", encoder)
except UserError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def classifier(sample_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier") / "model"
    classifiers.save_classifier("bert", sample_path, folder)
    return folder


def assert_same_weights(folder, expected_folder):
    found, expected = (load_file(path / "model.safetensors") for path in (folder, expected_folder))
    assert found.keys() == expected.keys()
    assert all(equal(found[name], expected[name]) for name in expected)


def test_models_are_downloaded(tiny_encoder, classifier, tmp_path):
    encoder, pipeline = tmp_path / "encoder", tmp_path / "pipeline"
    with serve_hub({"somebody/encoder": tiny_encoder, "somebody/classifier": classifier}) as environment:
        result = subprocess.run(
            [sys.executable, "-c", DOWNLOADS, str(encoder), str(pipeline)],
            cwd=helpers.ROOT,
            env={**os.environ, **environment, "HF_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
        )
    assert result.returncode == 0, result.stderr
    assert "somebody/nothing" in json.loads(result.stdout.splitlines()[-1])
    for folder, expected in ((encoder, tiny_encoder), (pipeline / "hf_model", classifier)):
        assert_same_weights(folder, expected)
        assert (folder / "tokenizer.json").is_file()
