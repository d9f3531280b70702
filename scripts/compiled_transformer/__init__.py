"""The compiled transformer: a tok2vec component that runs an exported encoder without torch.

This package ships inside the packaged pipeline (`scripts.package`), so it imports third-party packages only: spaCy
with pydantic, thinc, numpy, tokenizers, and one engine (onnxruntime or openvino) when an artefact needs it.

The data flow of a batch: Docs -> windows of wordpieces (`segmentation`, `wordpieces`) -> micro-batches of windows
(`batches`, `packing`) -> engine (`encoder`, `engines`) -> mean over all wordpieces aligned to a token, or another
`pooling` -> one (n_tokens, width) array a Doc in `doc.tensor` (`model`, `component`), where spaCy's own
`Tok2VecListener` layers find it, or in `doc.user_data` if another component writes that (`listener`). `ner` is spaCy's `EntityRecognizer` with a faster
way to the same entities. With the head of a token classification model in the engine, `token_classification` makes
entities of its output instead (`aggregation`).
"""

from .registration import register

register()
