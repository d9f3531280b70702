"""The component `compiled_token_classifier`: a token classification model of transformers, whose spans become annotations."""

import warnings
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, cast

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from thinc.api import Model

from .aggregation import STRATEGIES, LabelledSpan, Labels, find_spans
from .encoder import CompiledEncoder
from .encoder_component import ENGINE_SETTINGS, EncoderComponent, check_choices, check_engine_settings, check_numbers
from .model import NO_TRAINING, WINDOWS_AT_ONCE
from .observation import ENCODER, POOLING, WORDPIECES
from .overlapping_segmentation import OverlappingWindows

FACTORY = "compiled_token_classifier"
TITLE = "compiled token classifier"
ANNOTATIONS = ("ents", "spans", "tag", "pos")
ALIGNMENT_MODES = ("strict", "contract", "expand")
DEFAULT_CONFIG = {
    "stride": 16,
    "aggregation_strategy": "average",
    "annotate": "ents",
    "annotate_spans_key": None,
    "alignment_mode": "strict",
    "ignore_labels": ["O"],
    "scorer": None,
    **ENGINE_SETTINGS,
}
NOT_ALIGNED = (
    "Some spans of the compiled token classifier don't begin and end with tokens, or overlap, and are left out. Its setting "
    "'alignment_mode' can be 'expand' or 'contract' instead of 'strict'."
)


def make_compiled_token_classifier(
    nlp: Language,
    name: str,
    stride: int,
    aggregation_strategy: str,
    annotate: str,
    annotate_spans_key: Optional[str],
    alignment_mode: str,
    ignore_labels: List[str],
    scorer: Optional[Callable],
    batch_wordpieces: int,
    threads: Optional[int],
    warm_up_lengths: List[int],
    device: str,
) -> "CompiledTokenClassifier":
    """Construct a compiled token classifier; the model itself comes from disk or bytes.

    The settings up to `scorer` are those of `hf_token_pipe` in spacy-huggingface-pipelines.

    stride (int): Wordpieces that two windows of a long text share, as in transformers' pipeline.
    aggregation_strategy (str): How the wordpieces of a word get one label: "simple" (they don't), "first", "average" or
        "max".
    annotate (str): What the spans become: "ents", "spans", "tag" or "pos".
    annotate_spans_key (Optional[str]): Key of `doc.spans`, for "spans".
    alignment_mode (str): What becomes of a span that doesn't begin and end with tokens: "strict" leaves it out, "contract"
        and "expand" make it smaller or larger.
    ignore_labels (List[str]): Labels that are no spans.
    scorer (Optional[Callable]): The scoring method.
    batch_wordpieces (int): Budget of a micro-batch, padding included.
    threads (Optional[int]): Threads of the engine. None takes all cores this process may use.
    warm_up_lengths (List[int]): Lengths of a window, in wordpieces, that the engine is ready for once the pipeline is
        loaded, multiples of 16.
    device (str): "cpu" or "cuda".
    """
    settings = {
        "stride": stride,
        "aggregation_strategy": aggregation_strategy,
        "annotate": annotate,
        "annotate_spans_key": annotate_spans_key,
        "alignment_mode": alignment_mode,
        "ignore_labels": ignore_labels,
        "batch_wordpieces": batch_wordpieces,
        "threads": threads,
        "warm_up_lengths": warm_up_lengths,
        "device": device,
    }
    check_settings(settings)
    model = Model(FACTORY, forward, shims=[CompiledEncoder()], dims={"nO": None}, attrs=settings)
    return CompiledTokenClassifier(nlp.vocab, model, name, scorer)


def check_settings(settings: Dict[str, Any]) -> None:
    """Check the settings of the component.

    RAISES (ValueError): With the setting, its value and what is allowed.
    """
    check_choices(
        settings,
        TITLE,
        aggregation_strategy=STRATEGIES,
        annotate=ANNOTATIONS,
        alignment_mode=ALIGNMENT_MODES,
    )
    check_numbers(settings, TITLE, stride=0)
    check_engine_settings(settings, TITLE)
    if settings["annotate"] == "spans" and not isinstance(settings["annotate_spans_key"], str):
        raise ValueError(
            f"Setting 'annotate_spans_key' of the {TITLE} is {settings['annotate_spans_key']!r}. "
            "With `annotate` 'spans', set the key of `doc.spans`."
        )


def forward(
    model: Model[List[Doc], List[List[LabelledSpan]]], docs: List[Doc], is_train: bool
) -> Tuple[List[List[LabelledSpan]], Callable]:
    """Find the spans of a batch of Docs."""
    if is_train:
        raise ValueError(NO_TRAINING)
    encoder: CompiledEncoder = model.shims[0]
    encoder.check_loaded()
    manifest, settings, observer = encoder.manifest, model.attrs, encoder.observer
    if not any(map(len, docs)):
        return [[] for _ in docs], no_backprop
    with observer.stage(WORDPIECES):
        segmented = cast(OverlappingWindows, encoder.segmentation(docs, settings))
    # Padding is added to one row more than there are wordpieces.
    logits = numpy.zeros((len(segmented.ids) + 1, manifest["width"]), dtype="float32")
    done = 0
    for start in range(0, len(segmented.windows), WINDOWS_AT_ONCE):
        with observer.stage(WORDPIECES):
            wordpieces = segmented.get_wordpieces(start, start + WINDOWS_AT_ONCE)
            batches = encoder.make_batches(wordpieces, settings)
        observer.count(wordpieces, segmented.windows[start : start + WINDOWS_AT_ONCE], batches)
        with observer.stage(ENCODER):
            for batch, outputs in zip(batches, observer.finish(encoder.predict(batches, settings))):
                rows = numpy.where(batch.index < 0, -1, batch.index + done)
                logits[rows.ravel()] = outputs.reshape(-1, manifest["width"])
        done += len(wordpieces.ids)
    with observer.stage(POOLING):
        labels = Labels(manifest["labels"])
        found = find_spans(logits[:-1], segmented, labels, settings["aggregation_strategy"], settings["ignore_labels"])
    return [found.get(number, []) for number in range(len(docs))], no_backprop


def no_backprop(d_spans: Any) -> List[Doc]:
    raise ValueError(NO_TRAINING)


class CompiledTokenClassifier(EncoderComponent):
    """Annotate what a token classification model of transformers finds, as `hf_token_pipe` does, without torch."""

    def __init__(
        self, vocab: Any, model: Model[List[Doc], List[List[LabelledSpan]]], name: str, scorer: Optional[Callable]
    ) -> None:
        super().__init__(vocab, model, name)
        self.scorer = scorer

    @property
    def labels(self) -> Tuple[str, ...]:
        """Names of the spans that it can find."""
        ignored = self.model.attrs["ignore_labels"]
        groups = Labels(self.encoder.manifest.get("labels", [])).groups
        return tuple(sorted({group for group in groups if group not in ignored}))

    def predict(self, docs: Iterable[Doc]) -> List[List[LabelledSpan]]:
        """Find the spans of a batch."""
        return self.model.predict(list(docs))

    def set_annotations(self, docs: Iterable[Doc], found: List[List[LabelledSpan]]) -> None:
        """Annotate a batch.

        docs (Iterable[Doc]): The Docs.
        found (List[List[LabelledSpan]]): The spans of each, from `predict`.
        """
        settings = self.model.attrs
        for doc, labelled in zip(docs, found):
            spans, scores = align(doc, labelled, settings["alignment_mode"])
            if settings["annotate"] == "ents":
                doc.set_ents(spans)
            elif settings["annotate"] == "spans":
                doc.spans[settings["annotate_spans_key"]] = SpanGroup(doc, spans=spans, attrs={"scores": scores})
            else:
                attribute = f"{settings['annotate']}_"
                for span in spans:
                    for token in span:
                        setattr(token, attribute, span.label_)


def align(doc: Doc, labelled: List[LabelledSpan], mode: str) -> Tuple[List[Span], List[float]]:
    """Find the tokens of spans of text, as `hf_token_pipe` does.

    mode (str): "strict", "contract" or "expand".
    RETURNS (Tuple[List[Span], List[float]]): The spans that have some and don't overlap with one before, and their scores.
    """
    spans: List[Span] = []
    scores: List[float] = []
    end = 0
    for start, following, label, score in labelled:
        if start < end:
            continue
        span = doc.char_span(start, following, label=label, alignment_mode=mode)
        if span is None or span.start_char < end:
            warnings.warn(NOT_ALIGNED, stacklevel=2)  # Python shows it once.
            continue
        spans.append(span)
        scores.append(score)
        end = following
    return spans, scores
