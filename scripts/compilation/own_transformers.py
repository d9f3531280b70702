"""Components with a transformer inside, as `nlp.replace_listeners` and `Tok2VecTransformer` make them."""

from typing import Any, Dict, Iterator, List, Tuple

from spacy.language import Language
from spacy.util import registry
from spacy_transformers.layers import TransformerModel
from thinc.api import Model

from .curated_listeners import REPLACED
from .shared_transformers import find_shared_transformers, has_listener

INSIDE, SHARED = "spacy-transformers.Tok2VecTransformer.", "spacy-transformers.TransformerModel."
OF_LISTENER = ("pooling", "grad_factor")


def find_own_transformers(nlp: Language) -> List[str]:
    """List the components with a transformer inside."""
    return [name for name, pipe in nlp.pipeline if has_own_transformer(pipe)]


def has_own_transformer(pipe: Any) -> bool:
    """Tell whether a component, other than a shared transformer itself, has a transformer inside."""
    model = getattr(pipe, "model", None)
    if not isinstance(model, Model) or isinstance(model, TransformerModel):
        return False
    return any(isinstance(node, TransformerModel) or node.name == REPLACED for node in model.walk())


def take_out_transformers(nlp: Language) -> None:
    """Make each transformer inside a component a shared one, right before that component: the reverse of `nlp.replace_listeners`.

    Nothing else changes in what the pipeline predicts. One stays where another component would read it instead of its own.

    nlp (Language): A loaded pipeline. It is changed.
    """
    for name in find_own_transformers(nlp):
        blocks = list(find_blocks(nlp.get_pipe_config(name)))
        layers = [node for node in nlp.get_pipe(name).model.walk() if is_transformer_inside(node)]
        if len(blocks) == len(layers) == 1 and not is_heard_later(nlp, name):
            take_out(nlp, name, layers[0], *blocks[0])


def find_blocks(block: Any) -> Iterator[Tuple[Dict[str, Any], str]]:
    """Find what describes a transformer inside, in a component's config.

    YIELDS (Tuple[Dict[str, Any], str]): The block that it is in, and its key there.
    """
    if isinstance(block, dict):
        for key, inner in block.items():
            if isinstance(inner, dict) and str(inner.get("@architectures")).startswith(INSIDE):
                yield block, key
            else:
                yield from find_blocks(inner)


def is_transformer_inside(node: Model) -> bool:
    """Tell whether a layer is what `Tok2VecTransformer` makes: Docs to token vectors, pooled in the last of its layers."""
    if not node.layers or node.layers[-1].name != "trfs2arrays":
        return False
    return any(isinstance(inner, TransformerModel) for inner in node.walk())


def is_heard_later(nlp: Language, name: str) -> bool:
    """Tell whether a component after this one reads a shared transformer that stands before it."""
    shared = find_shared_transformers(nlp)
    for later in nlp.pipe_names[nlp.pipe_names.index(name) + 1 :]:
        if later in shared:
            return False
        if has_listener(nlp.get_pipe(later)):
            return True
    return False


def take_out(nlp: Language, name: str, layer: Model, parent: Dict[str, Any], key: str) -> None:
    """Put a component's transformer before it, and a listener in its place.

    layer (Model): What `Tok2VecTransformer` made.
    parent (Dict[str, Any]): The block of the component's config that has the layer's.
    key (str): The layer's key there.
    """
    block = parent[key]
    architecture = block["@architectures"].replace(INSIDE, SHARED)
    model = {key: value for key, value in block.items() if key not in OF_LISTENER}
    new = f"{name}_transformer"
    config = {"max_batch_items": 4096, "model": {**model, "@architectures": architecture}}
    transformer = nlp.add_pipe("transformer", name=new, before=name, config=config)
    transformer.model = next(node for node in layer.walk() if isinstance(node, TransformerModel))
    # A copy, as `nlp.replace_listeners` makes it, doesn't know its width until it has predicted.
    width = transformer.model.transformer.config.hidden_size
    transformer.model.set_dim("nO", width)
    parent[key] = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        **{key: block[key] for key in OF_LISTENER if key in block},
        "upstream": new,
    }
    listener = registry.resolve({"listener": parent[key]})["listener"]
    listener.get_ref("listener").set_dim("nO", width)
    nlp.get_pipe(name).model.replace_node(layer, listener)
