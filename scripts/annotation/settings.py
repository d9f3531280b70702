"""How a corpus is annotated. Plain data, which goes to other processes."""

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional


@dataclass(frozen=True)
class RowSettings:
    """All options that the output depends on: a run goes on only with the same ones.

    text_field (str): Field or column with the text.
    id_field (Optional[str]): Field or column with the id; without one it is the record's number.
    with_text (bool): Write the texts too.
    with_scores (bool): Write how sure the pipeline is of each entity.
    stats (bool): Write the most frequent entities and a sample.
    chunk_size (int): Most documents of a chunk.
    long_words (int): Words above which a document is cut.
    """

    text_field: str = "text"
    id_field: Optional[str] = None
    with_text: bool = False
    with_scores: bool = False
    stats: bool = False
    chunk_size: int = 1024
    long_words: int = 20_000

    def by_option(self) -> Dict[str, Any]:
        """Name each value as the command line does, such as "--text-field"."""
        return {f"--{name.replace('_', '-')}": value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class PoolSettings:
    """The workers that are asked for. They may change when a run goes on.

    workers (Optional[int]): Pipelines to run at once; by default one for each core, or for each GPU's share.
    threads (Optional[int]): Threads of each; by default the cores, divided among the workers.
    gpus_per_worker (float): GPUs of each, also a part of one.
    address (Optional[str]): Address of a running Ray cluster; without one Ray is started here.
    """

    workers: Optional[int] = None
    threads: Optional[int] = None
    gpus_per_worker: float = 0.0
    address: Optional[str] = None


@dataclass(frozen=True)
class AnnotationSettings:
    """Everything that `annotate` is told.

    rows (RowSettings): What is read and written.
    pool (PoolSettings): The workers.
    fail_fast (bool): Stop at the first bad record.
    """

    rows: RowSettings = RowSettings()
    pool: PoolSettings = PoolSettings()
    fail_fast: bool = False
