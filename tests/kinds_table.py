"""Write docs/kinds.md: for each kind of pipeline, how exactly it is compiled, or why it is refused.

Run it as `python -m tests.kinds_table`. It is here, since the pipelines are those that tests make; users get its table.
"""

import contextlib
import io
import os
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import spacy
from spacy.tokens import Doc

from scripts import compiled_transformer  # noqa: F401
from scripts.common.agreement import compare_annotations
from scripts.common.annotations import annotate
from scripts.common.console import UserError
from scripts.common.corpora import copy_bare
from scripts.common.reporting import format_markdown
from scripts.compilation.artefact_writer import finish_artefact
from scripts.compilation.candidates import Workbench
from scripts.compilation.export import sees_padding
from scripts.compilation.reference import load_reference
from scripts.compilation.swap import assemble, save_skeleton
from scripts.compilation.vector_check import check_vectors, is_split
from scripts.formats.convert import convert
from scripts.formats.settings import CorpusSettings

from . import classifiers, curated, encoders, heads, helpers, other_encoders

PAGE = helpers.ROOT / "docs" / "kinds.md"
SAMPLE = helpers.ROOT / "assets" / "wikiner-sample.bz2"
N_DOCS = 60
HEADS = ("tagger", "morphologizer", "parser", "ner")  # Of pipelines of spacy-curated-transformers
HEADER = ("Kind", "Largest difference of a vector", "Documents with equal annotations")
NO_VECTORS = "read by nothing"  # Those of a pipeline whose encoder has the head in it
ODD_TEXTS = [
    "Ada met 😀😀 in 東京 , and ﬁnance in İstanbul .",
    "I cannot say , we 're gonna leave , don't wanna",
    "Snow .",
]
TEXT = """\
# Kinds of pipelines

What was compiled, and how exactly: the largest difference of a token's vector, relative to its length, and the share of documents in which all annotations
are equal, both in fp32 with onnxruntime. Or the sentence with which `optimize` refuses it. The pipelines have small encoders with random weights, which make
any error show; the texts are {n_docs} documents: of the sample corpus, a long one and odd ones. ConvBERT is compared on those of one window, each by itself, since the trained
pipeline's own vectors change with the padding that a batch brings; and with document spans, documents whose end the trained pipeline cuts off are left out. `python -m tests.kinds_table` writes this page.
"""

Make = Callable[[Path], None]  # Saves a trained pipeline in a folder.


class Workspace(NamedTuple):
    """What pipelines are made from."""

    folder: Path
    encoder: Path  # a small BERT

    def get_encoder(self, family: str) -> Path:
        """Make an encoder of a family, if there is none yet."""
        folder = self.folder / "encoders" / family
        if not folder.is_dir():
            families = {**encoders.FAMILIES, **other_encoders.FAMILIES}
            encoders.save_encoder(family, SAMPLE, folder, families)
        return folder


def list_kinds(workspace: Workspace) -> Iterator[Tuple[str, Dict[str, Make]]]:
    """List all kinds.

    YIELDS (Tuple[str, Dict[str, Make]]): The title of a table, and by name what makes a pipeline.
    """
    yield "Encoders", {family: partial(make_family, workspace, family) for family in list_families()}
    yield "Heads", {name: partial(make_head, workspace, name) for name in heads.HEADS}
    yield (
        "Listeners, windows and tokenizers",
        {
            **{name: partial(make_changed, workspace, name) for name in CHANGES},
            "nlp.replace_listeners of one of two": partial(make_replaced, workspace),
            "slow tokenizer of no fast kind (GiNZA)": partial(make_japanese, workspace),
        },
    )
    yield (
        "spacy-curated-transformers",
        {
            **{f"{kind} pieces": partial(make_curated, kind, False) for kind in curated.KINDS},
            "scalar weights": partial(make_curated, "wordpiece", True),
        },
    )
    families = classifiers.FAMILIES
    yield "Token classification", {f"{name} classifier": partial(make_classifier, name) for name in families}


def list_families() -> List[str]:
    """List the families of encoders."""
    return [*encoders.FAMILIES, *other_encoders.FAMILIES]


def make_family(workspace: Workspace, family: str, folder: Path) -> None:
    heads.make_pipeline(workspace.get_encoder(family), folder, "ner")


def make_head(workspace: Workspace, name: str, folder: Path) -> None:
    heads.make_pipeline(workspace.encoder, folder, name)


def make_curated(kind: str, weighted: bool, folder: Path) -> None:
    curated.make_pipeline(kind, folder, heads=["ner"] if weighted else HEADS, weighted=weighted)


def make_classifier(family: str, folder: Path) -> None:
    """Make a pipeline with a `hf_token_pipe`."""
    model = folder.with_name("model")
    classifiers.save_classifier(family, SAMPLE, model)
    classifiers.make_token_pipe(model, folder)


def make_changed(workspace: Workspace, name: str, folder: Path) -> None:
    heads.make_pipeline(workspace.encoder, folder, "tagger", CHANGES[name])


def make_replaced(workspace: Workspace, folder: Path) -> None:
    """Make a pipeline whose tagger keeps a transformer of its own."""
    nlp = heads.make_pipeline(workspace.encoder, folder, "tagger", add_ner)
    nlp.replace_listeners("transformer", "tagger", ["model.tok2vec"])
    nlp.to_disk(folder)


def make_japanese(workspace: Workspace, folder: Path) -> None:
    encoder = workspace.folder / "encoders" / "japanese"
    other_encoders.save_japanese_encoder(workspace.encoder, encoder)
    heads.make_pipeline(encoder, folder, "tagger", use_slow_tokenizer)


def set_transformer(config: Dict, **settings) -> None:
    config["components"]["transformer"]["model"].update(settings)


def set_pooling(pooling: str, config: Dict) -> None:
    listener = {**encoders.LISTENER, "pooling": {"@layers": f"reduce_{pooling}.v1"}}
    config["components"]["tagger"]["model"]["tok2vec"] = listener


def add_ner(config: Dict, pooling: str = "mean") -> None:
    listener = {**encoders.LISTENER, "pooling": {"@layers": f"reduce_{pooling}.v1"}}
    config["nlp"]["pipeline"].append("ner")
    config["components"].update(heads.HEADS["ner"](listener))


def use_version(version: int, config: Dict) -> None:
    model = config["components"]["transformer"]["model"]
    model["@architectures"] = f"spacy-transformers.TransformerModel.v{version}"
    known = ["@architectures", "name", "get_spans", "tokenizer_config", "transformer_config", "mixed_precision"]
    for key in set(model) - set(known[: 3 + version]):
        del model[key]


def use_sentences(config: Dict) -> None:
    config["nlp"]["pipeline"].insert(0, "sentencizer")
    config["components"]["sentencizer"] = {"factory": "sentencizer"}
    set_transformer(config, get_spans={"@span_getters": "spacy-transformers.sent_spans.v1"})


def use_slow_tokenizer(config: Dict) -> None:
    set_transformer(config, tokenizer_config={"use_fast": False})


def use_two_transformers(config: Dict) -> None:
    config["components"]["second"] = config["components"]["transformer"]
    config["nlp"]["pipeline"].insert(0, "second")


CHANGES: Dict[str, Callable[[Dict], None]] = {
    **{f"TransformerModel.v{version}": partial(use_version, version) for version in (1, 2, 3)},
    "mixed precision": partial(set_transformer, mixed_precision=True),
    "strided spans": lambda config: None,
    "sentence spans": use_sentences,
    "document spans": partial(set_transformer, get_spans={"@span_getters": "spacy-transformers.doc_spans.v1"}),
    **{f"reduce_{name}": partial(set_pooling, name) for name in ("max", "sum", "first", "last")},
    "reduce_mean and reduce_last": partial(add_ner, pooling="last"),
    "slow tokenizer": use_slow_tokenizer,
    "two transformers": use_two_transformers,
    "Tok2VecTransformer.v1": partial(heads.put_inside, 1, "mean"),
    "Tok2VecTransformer.v3": partial(heads.put_inside, 3, "mean"),
}


def compare(make: Make, docs: List[Doc], folder: Path) -> Tuple[str, str]:
    """Make, compile and compare a pipeline.

    RETURNS (Tuple[str, str]): The largest difference of its vectors, and the share of Docs with equal annotations; or why
        it was refused, and nothing.
    """
    try:
        folder.mkdir(parents=True)
        make(folder / "reference")
        reference = load_reference(folder / "reference")
        workbench = Workbench(reference, docs, [], 0.0, folder)
        difference = check_vectors(workbench, docs)
    except UserError as error:
        return str(error).replace(str(folder / "reference"), "PIPELINE"), ""
    (folder / "artefact").mkdir()
    os.link(workbench.exported, folder / "artefact" / "encoder.onnx")
    artefact = finish_artefact(reference, folder / "artefact", "onnxruntime", "fp32", inputs=workbench.inputs)
    save_skeleton(reference, folder / "skeleton")
    assemble(folder / "skeleton", artefact, reference.transformer.name, folder / "compiled")
    pipelines = [spacy.load(folder / name) for name in ("reference", "compiled")]
    if sees_padding(reference.encoder):
        docs = [doc for doc in docs if len(doc) <= heads.WINDOWS["window"]]
        pipelines[0].batch_size = 1
    if reference.settings.get("spans") == "doc":
        component = pipelines[1].get_pipe("transformer")
        docs = [doc for doc in docs if not is_split(component, copy_bare(doc))]
    found = [annotate(nlp, docs) for nlp in pipelines]
    agreement = compare_annotations(*found).values()
    assert agreement and all(kind.items for kind in agreement)
    return (
        f"{difference:.1e}" if reference.listeners else NO_VECTORS,
        f"{min(kind.equal_docs for kind in agreement):.1%}",
    )


def make_docs(folder: Path) -> List[Doc]:
    """Make the texts: Docs of the sample, a long one and odd ones."""
    convert(SAMPLE, folder, CorpusSettings(n_sents=3))
    docs = helpers.read_docs(folder / "dev.spacy")[:N_DOCS]
    nlp = spacy.blank("en")
    long_doc = Doc(nlp.vocab, words=[token.text for doc in docs[:20] for token in doc])
    return [*docs, long_doc, *map(nlp.make_doc, ODD_TEXTS)]


def main() -> None:
    """Write the page."""
    parts = []
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workspace = Workspace(Path(name), Path(name) / "encoder")
        helpers.make_encoder(SAMPLE, workspace.encoder)
        docs = make_docs(workspace.folder / "corpus")
        for title, kinds in list_kinds(workspace):
            rows = []
            for number, (kind, make) in enumerate(kinds.items()):
                folder = workspace.folder / title / str(number)
                with contextlib.redirect_stderr(io.StringIO()):
                    rows.append((kind, *compare(make, docs, folder)))
                print(*rows[-1], sep="  ", flush=True)
            parts.append(f"## {title}\n\n{format_markdown(HEADER, ('l', 'l', 'r'), rows).rstrip()}")
    PAGE.write_text("\n\n".join([TEXT.format(n_docs=len(docs)).rstrip(), *parts]) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
