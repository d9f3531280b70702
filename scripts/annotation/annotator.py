"""A worker of the pool: one loaded pipeline that annotates chunks and writes their parts. Ray Data runs it in an actor."""

import json
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc

from ..common.corpora import copy_bare
from ..common.pipelines import load_pipeline, switch_scores
from ..common.texts import MAX_RUN, find_long_run, speed_up, uses_spacy_tokenizer
from .inputs import open_input
from .journal import Journal, describe_disk_error
from .long_documents import Cutting, CuttingError, annotate_long, get_cutting
from .outputs import open_output
from .records import Chunk, Records
from .settings import RowSettings
from .statistics import Statistics

MOST_ATTEMPTS = 5  # At a chunk: Ray would start a worker again for ever that dies of the same text each time.
WORDS_AT_ONCE = 50_000  # In one call of `nlp.pipe`, which bounds the words of its batches.


class AnnotatorSettings(NamedTuple):
    """What all workers have in common, as plain values.

    pipeline (str): What `spacy.load` takes.
    compiled (List[str]): Names of its compiled transformers.
    source (str): The input.
    output (str): The output.
    rows (RowSettings): What is read and written.
    """

    pipeline: str
    compiled: List[str]
    source: str
    output: str
    rows: RowSettings


class Annotator:
    """Annotate chunks.

    settings (AnnotatorSettings): What to annotate, and with what.
    threads (int): Threads that this worker may use.
    use_gpu (bool): Run on the GPU that this process was given.
    """

    def __init__(self, settings: AnnotatorSettings, threads: int, use_gpu: bool) -> None:
        self.settings = settings
        self.threads = threads
        self.use_gpu = use_gpu
        self.input = open_input(Path(settings.source), settings.rows.text_field, settings.rows.id_field)
        self.journal = Journal(Path(settings.output))
        self.output = open_output(Path(settings.output), settings.rows)
        self.nlp: Optional[Language] = None
        self.cutting: Optional[Cutting] = None
        self.whole_reason = ""

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, List[str]]:
        """Annotate the chunks of a batch of Ray Data.

        RETURNS (Dict[str, List[str]]): For each chunk its entry in the journal, or the "problem" that stopped it.
        """
        return {"entry": [json.dumps(self.process(Chunk(*json.loads(chunk)))) for chunk in batch["chunk"]]}

    def process(self, chunk: Chunk) -> Dict[str, Any]:
        """Annotate a chunk, unless it is done.

        RETURNS (Dict[str, Any]): Its entry, or the "problem" that stopped it.
        """
        try:
            entry = self.journal.read_entry(chunk.number)
            if entry is not None:
                return entry
            if self.journal.count_attempt(chunk.number) > MOST_ATTEMPTS:
                places = f"records {chunk.first} to {chunk.first + chunk.records - 1} of {self.settings.source}"
                return {"problem": f"workers died {MOST_ATTEMPTS} times at {places}"}
            # Not in the constructor: Ray would start an actor that fails there again and again.
            if self.nlp is None:
                self.load()
            # Words that are new in a chunk are forgotten after it; a vocabulary that grows would fill the memory.
            with self.nlp.memory_zone():
                return self.annotate(chunk)
        # The driver stops the run and shows it, without Ray's traceback around it.
        except OSError as error:
            return {"problem": describe_disk_error(error)}
        except Exception as error:
            return {"problem": describe(error)}

    def load(self) -> None:
        """Load the pipeline."""
        self.nlp = load_pipeline(self.settings.pipeline, self.settings.compiled, self.threads, self.use_gpu)
        if self.settings.rows.with_scores:
            switch_scores(self.nlp, True)
        speed_up(self.nlp)
        try:
            self.cutting = get_cutting(self.nlp)
        except CuttingError as error:
            self.whole_reason = str(error)

    def annotate(self, chunk: Chunk) -> Dict[str, Any]:
        """Read, annotate and write a chunk.

        RETURNS (Dict[str, Any]): Its entry.
        """
        records = self.input.read(chunk, self.nlp.vocab)
        if uses_spacy_tokenizer(self.nlp.config):
            records.refuse_texts(describe_long_run)
        try:
            statistics = self.collect(zip(records.ids, self.annotate_all(records.contents)))
        except Exception:  # One document makes the pipeline fail: find out which, and go on without it.
            statistics = self.collect(self.annotate_singly(records))
        errors = sorted(records.errors, key=lambda error: error[records.unit])
        statistics.failures = len(errors)
        entry = {"number": chunk.number, "records": chunk.records, "first_error": errors[0] if errors else None}
        entry.update(statistics.to_json())
        self.journal.commit(chunk.number, self.output, errors, entry)
        return entry

    def collect(self, annotated: Iterable[Tuple[str, Doc]]) -> Statistics:
        """Add ids and Docs to the output, one at a time: a Doc with its vectors is large.

        RETURNS (Statistics): What was added.
        """
        self.output.clear()
        statistics = Statistics(self.settings.rows.stats)
        for id_, doc in annotated:
            self.output.add(id_, doc)
            statistics.add(id_, doc)
            if len(doc) > self.settings.rows.long_words and self.whole_reason:
                size = f"more than {self.settings.rows.long_words:,} words"
                statistics.notes[f"had {size}, but were not cut: {self.whole_reason}"] += 1
        return statistics

    def annotate_singly(self, records: Records) -> Iterator[Tuple[str, Doc]]:
        """Annotate one document at a time and move those that fail to the errors.

        YIELDS (Tuple[str, Doc]): Id and Doc of those that did not fail.
        RAISES (Exception): If there are several documents and all fail: it is not them, then.
        """
        failed = 0
        for place, id_, content in zip(records.places, records.ids, records.contents):
            try:
                # The first attempt may have set entities, which a second one would keep.
                doc = next(self.annotate_all([copy_bare(content) if isinstance(content, Doc) else content]))
            except Exception as error:
                failed += 1
                if failed == len(records.contents) > 1:
                    raise
                records.errors.append({**place, "reason": f"the pipeline failed: {describe(error)}"})
            else:
                yield id_, doc

    def annotate_all(self, contents: Iterable[Union[str, Doc]]) -> Iterator[Doc]:
        """Annotate documents, in order."""
        make_doc = self.nlp.make_doc
        docs = (content if isinstance(content, Doc) else make_doc(content) for content in contents)
        following: List[Doc] = []  # The one that the last run of documents stopped before.
        for doc in docs:
            following.append(doc)
            while following:
                if len(following[0]) > self.settings.rows.long_words and self.cutting is not None:
                    yield annotate_long(self.nlp, following.pop(), self.cutting)
                else:
                    yield from self.nlp.pipe(self.take_run(following.pop(), docs, following))

    def take_run(self, doc: Optional[Doc], docs: Iterator[Doc], following: List[Doc]) -> Iterator[Doc]:
        """Take documents for one call of `nlp.pipe`, as it asks for them.

        doc (Optional[Doc]): The first one.
        docs (Iterator[Doc]): Those after it.
        following (List[Doc]): Gets the one that was taken but does not belong to this run, if there is one.
        """
        words = 0
        while doc is not None:
            words += len(doc)
            yield doc
            doc = next(docs, None)
            if doc is not None and (words + len(doc) > WORDS_AT_ONCE or len(doc) > self.settings.rows.long_words):
                following.append(doc)
                return


def describe_long_run(text: str) -> Optional[str]:
    """Say that spaCy's tokenizer would take too long for a text; None if it would not."""
    length = find_long_run(text)
    return (
        f"{length:,} characters without white space between them, at most {MAX_RUN:,} can be read" if length else None
    )


def describe(error: BaseException) -> str:
    """Say an error in one line, with the one that caused it: spaCy hides it behind one of its own."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{text} ({describe(error.__cause__)})" if error.__cause__ else text
