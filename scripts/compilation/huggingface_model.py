"""A token classification model of transformers, from a folder or the Hugging Face hub, as a pipeline to compile."""

import re
from pathlib import Path
from typing import Any, Dict, NamedTuple

import spacy
from spacy.language import Language
from spacy.util import load_config
from thinc.api import Config
from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer, logging

from ..common.console import UserError
from ..common.files import replace_when_done
from ..common.pipelines import find_pipeline
from .export import get_max_length
from .huggingface import FACTORY, check_model, why_no_token_pipe

COMPONENT = "ner"
MODEL = "hf_model"  # Folder in the pipeline
KIND = "ForTokenClassification"  # How the names of such models' classes end
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class TokenPipeSettings(NamedTuple):
    """How a pipeline is made of a model; the last three are settings of `hf_token_pipe`.

    lang (str): Language, whose tokenizer is used. "xx" is for all that put spaces between words.
    aggregation_strategy (str): How the wordpieces of a word get one label.
    alignment_mode (str): What becomes of entities that don't begin and end with tokens.
    stride (int): Wordpieces that two windows of a long text share.
    """

    lang: str = "xx"
    aggregation_strategy: str = "average"
    alignment_mode: str = "strict"
    stride: int = 16


def find_reference(name: str, output: Path, settings: TokenPipeSettings) -> Path:
    """Find the pipeline to compile. A model of transformers becomes one first, beside the output.

    name (str): A pipeline's or a model's folder, the name of an installed package, or a name on the Hugging Face hub.
    output (Path): The compiled pipeline.
    settings (TokenPipeSettings): How a pipeline is made of a model.
    RETURNS (Path): Folder of the pipeline.
    RAISES (UserError): If there is none, or the model can't be compiled.
    """
    if not is_model(name):
        return find_pipeline(name).folder
    folder = output.absolute().with_name(f"{output.absolute().name}-reference")
    make_token_pipe(name, folder, settings)
    return folder


def is_model(name: str) -> bool:
    """Tell whether a name is a model's folder, or one that only the Hugging Face hub can know."""
    path = Path(name)
    if path.is_dir():
        return (path / "config.json").is_file() and not (path / "config.cfg").is_file()
    return HUB_NAME.fullmatch(name) is not None and not path.parent.is_dir()


def make_token_pipe(name: str, folder: Path, settings: TokenPipeSettings) -> None:
    """Write a pipeline of a tokenizer and a `hf_token_pipe`, with a copy of the model.

    In the copy the tokenizer is a fast one that knows how much the encoder takes.

    name (str): Folder or name on the hub.
    folder (Path): The folder to write or replace.
    settings (TokenPipeSettings): How it is made.
    RAISES (UserError): If the model can't be read or compiled, or the folder has something else.
    """
    if why_no_token_pipe():
        raise UserError(f"Models of transformers are compared by {why_no_token_pipe()}.")
    if folder.exists() and not is_token_pipe(folder):
        raise UserError(f"{folder} is where the pipeline of {name} is written, and has something else. Move it away.")
    nlp = make_blank(settings.lang)
    model, tokenizer = read_model(name)
    with replace_when_done(folder) as path:
        nlp.to_disk(path)
        model.save_pretrained(path / MODEL)
        tokenizer.save_pretrained(path / MODEL)
        config = Config().from_disk(path / "config.cfg", interpolate=False)
        config["nlp"]["pipeline"] = [COMPONENT]
        config["components"][COMPONENT] = make_block(folder / MODEL, settings)
        config.to_disk(path / "config.cfg")


def is_token_pipe(folder: Path) -> bool:
    """Tell whether a folder has a pipeline that was made here."""
    if not (folder / "config.cfg").is_file() or not (folder / MODEL).is_dir():
        return False
    return load_config(folder / "config.cfg")["components"].get(COMPONENT, {}).get("factory") == FACTORY


def make_block(model: Path, settings: TokenPipeSettings) -> Dict[str, Any]:
    """Make the component's block in the pipeline's config."""
    defaults = Language.get_factory_meta(FACTORY).default_config
    chosen = {key: value for key, value in settings._asdict().items() if key != "lang"}
    scorer = {"@scorers": "spacy.ner_scorer.v1"}
    return {"factory": FACTORY, **defaults, **chosen, "model": str(model), "scorer": scorer}


def make_blank(lang: str) -> Language:
    """Make the tokenizer of a language.

    RAISES (UserError): If spaCy has none.
    """
    try:
        return spacy.blank(lang)
    except ImportError as error:  # Some need packages of their own.
        raise UserError(
            f"--lang is {lang!r}, and spaCy can't make a tokenizer for it ({str(error).splitlines()[0].rstrip('.')}). "
            "Give a language that it has, or xx for several."
        ) from error


def read_model(name: str) -> Any:
    """Read a model and its tokenizer.

    name (str): Folder or name on the hub.
    RETURNS (Tuple[PreTrainedModel, PreTrainedTokenizerFast]): Both.
    RAISES (UserError): If they can't be read or compiled.
    """
    logging.set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(name)
        found = (config.architectures or ["model of unknown kind"])[0]
        if not found.endswith(KIND):
            raise UserError(
                f"{name} is a {found}, which labels no tokens. Expected a model that was trained as a ...{KIND}."
            )
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForTokenClassification.from_pretrained(name)
    except UserError:
        raise
    except Exception as error:  # Every library below transformers has errors of its own.
        raise UserError(describe_failure(name, error)) from error
    check_model(model, tokenizer, Path(name))
    tokenizer.model_max_length = get_max_length(model, tokenizer)
    return model, tokenizer


def describe_failure(name: str, error: Exception) -> str:
    """Say in a sentence why a model can't be read."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if Path(name).is_dir():
        return f"Can't read the model in {name} ({reason}). Save it with its tokenizer by `save_pretrained`."
    return (
        f"There is no pipeline at {name}, and no model of this name could be read from the Hugging Face hub ({reason}). "
        "Name a folder, or check the name and the network."
    )
