"""Train the reference pipeline with `spacy train`, on corpora and an encoder that are there.

The way of the data: configs/*.cfg, corpus/{train,dev}.spacy and assets/encoder -> training/model-best
"""

import shutil
from pathlib import Path

import typer
from spacy.cli._util import parse_config_overrides
from spacy.cli.train import train as spacy_train
from typer import Argument as Arg
from typer import Option as Opt
from wasabi import msg

from .compilation.gate import read_corpus
from .compilation.reference import require_gpu
from .console import UserError, exit_on_user_error, replace_when_done

MODELS = ("model-best", "model-last")


def train_cli(
    # fmt: off
    context: typer.Context,
    config: Path = Arg(..., help="Training config"),
    corpus_dir: Path = Arg(..., help="Folder with train.spacy and dev.spacy"),
    encoder: Path = Arg(..., help="Folder of the pretrained encoder"),
    output_dir: Path = Arg(..., help="Folder for model-best and model-last"),
    gpu: int = Opt(-1, "--gpu", "-g", help="GPU to train on, -1 for the CPU"),
    # fmt: on
):
    """Train a transformer NER pipeline.

    Any setting of the config can be overridden, as in `spacy train`: --training.max_steps 1000. The models that are in
    the output folder are replaced when the training has ended well.
    """
    with exit_on_user_error():
        train(config, corpus_dir, encoder, output_dir, gpu=gpu, overrides=parse_config_overrides(context.args))


def train(config: Path, corpus_dir: Path, encoder: Path, output_dir: Path, *, gpu: int = -1, overrides: dict) -> None:
    """Train a pipeline and put it in the output folder when it is done.

    config (Path): Training config.
    corpus_dir (Path): Folder with train.spacy and dev.spacy.
    encoder (Path): Folder of the pretrained encoder.
    output_dir (Path): Folder for model-best and model-last.
    gpu (int): GPU to train on, -1 for the CPU.
    overrides (dict): Settings of the config to override.
    RAISES (UserError): If a file or the GPU is missing, or a corpus can't be read.
    """
    require_gpu(gpu)
    if not config.is_file():
        raise UserError(f"There is no config at {config}. Name one of the folder `configs` with `--vars.config`.")
    corpora = {f"paths.{split}": corpus_dir / f"{split}.spacy" for split in ("train", "dev")}
    for corpus in corpora.values():
        read_corpus(corpus)
    for name in ("config.json", "model.safetensors"):
        if not (encoder / name).is_file():
            raise UserError(
                f"There is no {name} in the encoder folder {encoder}. "
                "Make it with `python -m spacy project run encoder`."
            )
    paths = {name: str(path) for name, path in {**corpora, "paths.encoder": encoder}.items()}
    in_progress = output_dir / "in-progress"
    shutil.rmtree(in_progress, ignore_errors=True)
    spacy_train(config, in_progress, use_gpu=gpu, overrides={**paths, **overrides})
    for name in MODELS:
        with replace_when_done(output_dir / name) as path:
            (in_progress / name).rename(path)
    in_progress.rmdir()
    msg.good(f"Trained {output_dir / 'model-best'}")


if __name__ == "__main__":
    app = typer.Typer()
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train_cli)
    app()
