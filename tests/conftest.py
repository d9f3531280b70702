"""Small corpora and pipelines for all tests, made on the spot: nothing is downloaded, nothing needs a GPU."""

import os

# Before anything imports torch or huggingface_hub. Processes that tests start inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # The encoders are too small for more threads to pay.
# Else Ray's workers leave the cores to the other processes of `-n auto`, and tests of seconds take minutes.
os.environ.setdefault("RAY_worker_niceness", "0")

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from spacy.tokens import DocBin

from scripts.formats.convert import convert
from scripts.formats.settings import CorpusSettings

pytest.register_assert_rewrite("tests.helpers", "tests.isolation")

from . import helpers  # noqa: E402
from .forkserver import use_forkserver  # noqa: E402

# Machines that are busy with other work are slow: examples are bounded by number, not by time.
settings.register_profile("project", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("project")


WITH_RAY = ("tests/annotation/", "tests/service/")


def get_group(nodeid: str) -> str:
    """Name what a test shares a process of `-n auto` with: its file, whose fixtures cost most, or all that share a Ray."""
    groups = [folder for folder in WITH_RAY if nodeid.startswith(folder)]
    return groups[0] if groups else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep each group's tests in one process, and start the groups in the order of the tests.

    Markers of groups would say the same, but pytest-xdist 3.8 does not see them with pytest 9.2.
    """
    from xdist.scheduler import LoadFileScheduling

    class FileScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return get_group(nodeid)

    config.option.loadscopereorder = False
    return FileScheduling(config, log)


def pytest_collection_modifyitems(items):
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not helpers.has_gpu():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a GPU, and torch finds none"))
    # The groups that take longest start first, so that no process ends long after the others.
    n_slow = Counter(get_group(item.nodeid) for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -n_slow[get_group(item.nodeid)])


@pytest.fixture(scope="session", autouse=True)
def forked_pipelines():
    """Pipelines that get a process of their own start in a tenth of the time; `test_process.py` starts them as users do."""
    with pytest.MonkeyPatch.context() as patch:
        use_forkserver(patch)
        yield


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The corpus that the project ships, in WikiNER's format."""
    return helpers.ROOT / "assets" / "wikiner-sample.bz2"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the development corpora, which are not part of the project."""
    folder = helpers.ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no development corpora in {folder}")
    return folder


@pytest.fixture(scope="session")
def corpus_dir(sample_path, tmp_path_factory) -> Path:
    """train.spacy, dev.spacy and test.spacy made from the sample, three sentences a Doc."""
    folder = tmp_path_factory.mktemp("corpus")
    convert(sample_path, folder, CorpusSettings(n_sents=3))
    return folder


@pytest.fixture(scope="session")
def train_corpus(corpus_dir) -> Path:
    return corpus_dir / "train.spacy"


@pytest.fixture(scope="session")
def dev_corpus(corpus_dir, tmp_path_factory) -> Path:
    """The first 12 Docs of dev.spacy, so that what scores on it is quick."""
    path = tmp_path_factory.mktemp("dev") / "dev.spacy"
    DocBin(docs=helpers.read_docs(corpus_dir / "dev.spacy")[:12]).to_disk(path)
    return path


@pytest.fixture(scope="session")
def test_corpus(corpus_dir, tmp_path_factory) -> Path:
    """The first 12 Docs of test.spacy."""
    path = tmp_path_factory.mktemp("test") / "test.spacy"
    DocBin(docs=helpers.read_docs(corpus_dir / "test.spacy")[:12]).to_disk(path)
    return path


@pytest.fixture(scope="session")
def tiny_encoder(sample_path, tmp_path_factory) -> Path:
    """Folder of a random BERT with two layers and a fast tokenizer, as the Hugging Face hub has them."""
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    helpers.make_encoder(sample_path, folder)
    return folder


@pytest.fixture(scope="session")
def reference_path(tiny_encoder, dev_corpus, test_corpus, tmp_path_factory) -> Path:
    """Folder of the project's default pipeline: sentencizer, transformer with a sentence a window, ner.

    It was trained on the dev and test corpora: it finds most of their entities, so that a damaged encoder shows.
    """
    workspace = tmp_path_factory.mktemp("reference")
    docs = helpers.read_docs(dev_corpus) + helpers.read_docs(test_corpus)
    DocBin(docs=docs).to_disk(workspace / "train.spacy")
    helpers.train_reference(tiny_encoder, workspace / "train.spacy", dev_corpus, workspace / "pipeline")
    return workspace / "pipeline"


@pytest.fixture(scope="session")
def multi_head_path(tiny_encoder, tmp_path_factory) -> Path:
    """Folder of a pipeline whose tagger, textcat and ner listen to one transformer."""
    folder = tmp_path_factory.mktemp("multi_head") / "pipeline"
    helpers.train_multi_head(tiny_encoder, folder)
    return folder


@pytest.fixture(scope="session")
def compiled_path(reference_path, tmp_path_factory) -> Path:
    """Folder of the reference pipeline, compiled to onnxruntime in fp32."""
    folder = tmp_path_factory.mktemp("compiled")
    return helpers.compile_reference(reference_path, folder)
