"""Other ways to find entities with the encoder of a trained pipeline, each as its own documentation shows it."""

import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

DOCUMENTS, SENTENCES = "documents", "sentences"
OVERLAP = 32  # Wordpieces between windows of a document that is too long for the encoder.

Run = Callable[[List[str], int], Any]  # Texts and batch size


class Peer(NamedTuple):
    """A way to run the encoder.

    title (str): For people.
    start (Callable[[Path], Run]): Prepares it for the pipeline in a folder.
    units (List[str]): What its texts may be; the faster is taken.
    """

    title: str
    start: Callable[[Path], Run]
    units: List[str]


def start_spacy(path: Path) -> Run:
    """Run a pipeline as it is."""
    import spacy

    from .. import compiled_transformer  # noqa: F401

    nlp = spacy.load(path)
    return run_spacy(nlp)


def run_spacy(nlp: Any) -> Run:
    """Make a loaded pipeline run batches of texts."""
    return lambda texts, batch_size: list(nlp.pipe(texts, batch_size=batch_size))


def start_transformers(path: Path) -> Run:
    """Run the token classification pipeline of transformers with torch in fp32."""
    classifier, tokenizer = make_classifier(path)
    return make_pipeline(classifier, tokenizer)


def start_optimum(path: Path) -> Run:
    """Run the same pipeline with an encoder that optimum exported and quantized to int8 for onnxruntime.

    Weights and activations as optimum advises for a CPU with AVX512-VNNI, activations by their range in each batch.
    """
    import onnxruntime
    from optimum.onnxruntime import ORTModelForTokenClassification, ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    from ..compiled_transformer.cpu import available_cores

    classifier, tokenizer = make_classifier(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    with tempfile.TemporaryDirectory() as folder:
        saved, exported, quantized = (Path(folder) / name for name in ("saved", "exported", "quantized"))
        classifier.save_pretrained(saved)
        tokenizer.save_pretrained(saved)
        ORTModelForTokenClassification.from_pretrained(saved, export=True).save_pretrained(exported)
        settings = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
        ORTQuantizer.from_pretrained(exported).quantize(save_dir=quantized, quantization_config=settings)
        model = ORTModelForTokenClassification.from_pretrained(
            quantized, file_name="model_quantized.onnx", session_options=options
        )
    return make_pipeline(model, tokenizer)


def start_nebullvm(path: Path) -> Run:
    """Run the trained pipeline with an encoder that nebullvm optimized, one window at a time.

    spaCy's own template does it like this (explosion/projects, experimental/ner_wikiner_speedster). nebullvm 0.10.0
    can't export a model with today's torch by itself: it gets one that was exported, and its fastest result is run.
    """
    import spacy

    from ..compilation.build_nebullvm import build
    from ..compilation.export import export_onnx
    from ..compiled_transformer.cpu import available_cores
    from ..compiled_transformer.engines import start_onnxruntime

    nlp = spacy.load(path)
    model = find_transformer(nlp)
    with tempfile.TemporaryDirectory() as folder:
        exported, optimized = Path(folder) / "exported.onnx", Path(folder) / "optimized"
        optimized.mkdir()
        export_onnx(model.transformer, exported)
        build(exported, model.transformer.config, optimized)
        files = {"encoder.onnx": (optimized / "encoder.onnx").read_bytes()}
    replace_encoder(model, start_onnxruntime({"options": {}}, files, "cpu", available_cores(), 1))
    return run_spacy(nlp)


def replace_encoder(model: Any, engine: Callable) -> None:
    """Let a transformer of spacy-transformers call an engine for one window after the other.

    model (TransformerModel): The component's.
    engine (Callable): Wordpiece ids and mask to the last hidden state.
    """
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    width = model.transformer.config.hidden_size

    class OneWindowAtATime(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> BaseModelOutput:
            vectors = torch.zeros((*input_ids.shape, width))
            for row, (ids, mask) in enumerate(zip(input_ids.numpy(), attention_mask.numpy().astype("int64"))):
                length = mask.sum()  # Windows are padded at their end.
                window = engine({"input_ids": ids[None, :length], "attention_mask": mask[None, :length]})[0]
                vectors[row, :length] = torch.from_numpy(window)
            return BaseModelOutput(last_hidden_state=vectors)

    model.layers[0].shims[0]._model = OneWindowAtATime()


def find_transformer(nlp: Any) -> Any:
    """Find the model of a trained pipeline's transformer."""
    models = (getattr(component, "model", None) for _, component in nlp.pipeline)
    return next(model for model in models if hasattr(model, "transformer"))


def make_classifier(path: Path) -> "tuple[Any, Any]":
    """Put a token classification head on the encoder of a trained pipeline.

    path (Path): Folder of the pipeline.
    RETURNS (tuple): The model and its tokenizer. It finds no entities: what would be made of them takes time too, and
        so the head is the one that is best for the speed.
    """
    import spacy
    from transformers import AutoModelForTokenClassification

    nlp = spacy.load(path)
    model = find_transformer(nlp)
    entities = [label for name, component in nlp.pipeline if name == "ner" for label in component.labels]
    labels = ["O", *(f"{prefix}-{label}" for label in entities for prefix in "BI")]
    config = type(model.transformer.config).from_dict(
        {
            **model.transformer.config.to_dict(),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
        }
    )
    classifier = AutoModelForTokenClassification.from_config(config)
    classifier.base_model.load_state_dict(model.transformer.state_dict(), strict=False)  # It has no pooler.
    classifier.classifier.weight.data.zero_()
    classifier.classifier.bias.data = classifier.classifier.bias.data.new_tensor([1.0] + [0.0] * (len(labels) - 1))
    return classifier.eval(), model.tokenizer


def make_pipeline(model: Any, tokenizer: Any) -> Run:
    """Make a model run batches of texts in transformers' own pipeline."""
    from transformers import pipeline

    run = pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", stride=OVERLAP
    )
    return lambda texts, batch_size: run(texts, batch_size=batch_size)


STOCK, COMPILED = "spacy-transformers", "compiled"
PEERS: Dict[str, Peer] = {
    STOCK: Peer("spaCy with spacy-transformers (torch fp32)", start_spacy, [DOCUMENTS]),
    "nebullvm": Peer("spaCy with nebullvm, a window at a time (onnxruntime fp32)", start_nebullvm, [DOCUMENTS]),
    "transformers": Peer("transformers' token classification (torch fp32)", start_transformers, [DOCUMENTS, SENTENCES]),
    "optimum": Peer(
        "transformers' token classification with optimum (onnxruntime int8)", start_optimum, [DOCUMENTS, SENTENCES]
    ),
    COMPILED: Peer("Compiled", start_spacy, [DOCUMENTS]),
}
