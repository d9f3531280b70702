"""One pipeline in several processes and threads."""

import ctypes
import os
import threading
from pathlib import Path
from typing import Any, Dict, List

import pytest
import spacy
from numpy.testing import assert_allclose

from scripts import compiled_transformer  # noqa: F401
from scripts.compiled_transformer.cpu import available_cores
from scripts.compiled_transformer.processes import GATE

from .. import helpers
from ..isolation import TRAINING, run_isolated
from .checks import ENGINES


def run_here(folder: Path, code: str, argument: Any) -> Any:
    """Run code in a Python of its own that has this project, but not torch: it takes longer to import than all else."""
    return run_isolated(folder, code, argument, blocked=TRAINING, places=[helpers.ROOT])


N_PROCESS = """
import multiprocessing

if __name__ == "__main__":
    path, texts, start_method, calls = json.load(sys.stdin)
    multiprocessing.set_start_method(start_method)
    import spacy
    from scripts import compiled_transformer

    nlp = spacy.load(path)
    runs = []
    for n_process in calls:
        docs = list(nlp.pipe(texts, n_process=n_process, batch_size=4))
        runs.append([[[ent.start, ent.end, ent.label_] for ent in doc.ents] for doc in docs])
    print(json.dumps(runs))
"""


@pytest.mark.parametrize(
    "engine, start_method, calls",
    [("onnxruntime", "fork", [2, 1, 2]), ("openvino", "fork", [2, 1, 2]), ("onnxruntime", "spawn", [1, 2])],
)
def test_two_processes(paths, texts, tmp_path, engine, start_method, calls):
    """Before and after the pipeline was used in the parent, whose threads a fork doesn't copy.

    calls (List[int]): Number of processes of one call after the other.
    """
    # Some are large enough for an engine to divide the work among its threads.
    all_texts = [*texts, *[" ".join(texts)] * 4]
    entities = [helpers.get_entities(doc) for doc in spacy.load(paths[engine]).pipe(all_texts)]
    runs = run_here(tmp_path, N_PROCESS, [str(paths[engine]), all_texts, start_method, calls])
    assert len(runs) == len(calls)
    for found in runs:
        assert [[tuple(entity) for entity in doc] for doc in found] == entities


FIRST_CALLS = """
import os, signal, threading

import numpy, spacy
from scripts import compiled_transformer

path, n_processes, timeout = json.load(sys.stdin)
encoder = spacy.load(path).get_pipe("transformer").encoder
ids = numpy.ones((2, 16), dtype="int64")
# Python changes threads as often as it can.
sys.setswitchinterval(1e-6)

def call_at_once():
    engine = encoder.get_engine("cpu", 2, 2)
    barrier = threading.Barrier(2)

    def call():
        barrier.wait()
        engine(ids, ids)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

exits = []
for _ in range(n_processes):
    process = os.fork()
    if process == 0:
        signal.alarm(timeout)
        call_at_once()
        os._exit(0)
    exits.append(os.waitpid(process, 0)[1])
print(json.dumps(exits))
"""


FORK_IN_A_CALL = """
import os, threading
import spacy
from scripts import compiled_transformer

path, text = json.load(sys.stdin)
computes, forks, finished = threading.Event(), threading.Event(), []
encoder_module = sys.modules["scripts.compiled_transformer.encoder"]
start = encoder_module.start_engine

def start_slow_engine(*arguments):
    engine = start(*arguments)

    def run(inputs):
        computes.set()
        forks.wait()
        found = engine(inputs)
        finished.append(True)
        return found

    return run

encoder_module.start_engine = start_slow_engine
nlp = spacy.load(path)
thread = threading.Thread(target=nlp, args=(text,))
thread.start()
computes.wait()
os.register_at_fork(before=forks.set)  # It is called before those that were registered sooner.
process = os.fork()
if process == 0:
    os._exit(0 if finished else 1)
_, status = os.waitpid(process, 0)
thread.join()
print(json.dumps([status, len(nlp(text).ents)]))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fork_waits_for_the_engine(paths, texts, expected, tmp_path, engine):
    """A lock that was taken inside an engine would stay taken in the child."""
    assert run_here(tmp_path, FORK_IN_A_CALL, [str(paths[engine]), texts[0]]) == [0, len(expected[0].ents)]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux tells which threads a process has")
def test_a_fork_waits_for_threads_that_end():
    """Python has left a joined thread, but what the engine's libraries keep for each thread is still being freed."""
    libc, key, numbers = ctypes.CDLL(None), ctypes.c_uint(), []
    # At a thread's end it is called with what the thread has set.
    assert libc.pthread_key_create(ctypes.byref(key), libc.usleep) == 0

    def engine() -> None:
        libc.pthread_setspecific(key, ctypes.c_void_p(300_000))
        numbers.append(threading.get_native_id())

    thread = threading.Thread(target=GATE.guard(engine))
    thread.start()
    thread.join()
    GATE.close()
    try:
        assert not Path(f"/proc/self/task/{numbers[0]}").exists()
    finally:
        GATE.open()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="only Linux tells which threads a process has")
def test_a_fork_waits_for_no_thread_that_lives():
    """Also one that Python did not start, as servers written in C have them."""
    called, forked = threading.Event(), threading.Event()
    call = GATE.guard(called.set)

    @ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    def serve(_) -> None:
        call()
        forked.wait()

    libc, thread = ctypes.CDLL(None), ctypes.c_void_p()
    assert libc.pthread_create(ctypes.byref(thread), None, serve, None) == 0
    called.wait()
    try:
        assert not GATE._has_ending_callers()
    finally:
        forked.set()
        libc.pthread_join(thread, None)


@pytest.mark.parametrize("engine", ENGINES)
def test_first_calls_by_two_threads_at_once(paths, tmp_path, engine):
    """OpenVINO's Python layer hung in one of five processes."""
    assert run_here(tmp_path, FIRST_CALLS, [str(paths[engine]), 20, 60]) == [0] * 20


@pytest.mark.parametrize("engine", ENGINES)
def test_four_threads_share_one_pipeline(paths, texts, expected, engine):
    """They start together, so that they also race for the engine."""
    nlp = spacy.load(paths[engine])
    results: Dict[int, List] = {}
    barrier = threading.Barrier(4)

    def annotate(number: int) -> None:
        barrier.wait()
        # Each in another order, else all of them would write the same numbers.
        order = [(index + 5 * number) % len(texts) for index in range(len(texts))]
        docs = dict(zip(order, [nlp(texts[index]) for index in order]))
        results[number] = [docs[index] for index in range(len(texts))]

    threads = [threading.Thread(target=annotate, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for docs in results.values():
        for doc, expected_doc in zip(docs, expected):
            assert helpers.get_entities(doc) == helpers.get_entities(expected_doc)
            assert_allclose(doc.tensor, expected_doc.tensor, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("engine", ENGINES)
def test_micro_batches_at_once(paths, texts, expected, engine, threads):
    """Many more of them than threads: each goes to the Docs that it came from."""
    settings = {"threads": threads, "batch_wordpieces": 50, "window": 30, "stride": 20}
    nlp = spacy.load(paths[engine], config={"components": {"transformer": settings}})
    one_by_one = [nlp(text) for text in texts]
    for doc, other in zip(nlp.pipe(texts), one_by_one):
        assert helpers.get_entities(doc) == helpers.get_entities(other)
        assert_allclose(doc.tensor, other.tensor, atol=1e-4)


@pytest.mark.skipif(available_cores() < 2, reason="needs two cores to choose from")
@pytest.mark.parametrize("limit", ["setting", "quota"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_part_of_the_cores_is_not_always_the_same_part(paths, texts, tmp_path, engine, limit):
    """Two processes with one thread each, or two containers with a core's worth of time, would else share the first core."""
    (tmp_path / "cpu.max").write_text("100000 100000" if limit == "quota" else "max 100000")
    code = """
import os, threading
from pathlib import Path
import spacy
from scripts.compiled_transformer import cpu
path, texts, quota, threads = json.load(sys.stdin)
cpu.CGROUPS = Path(quota)
nlp = spacy.load(path, config={"components.transformer.threads": threads})
nlp(texts[0])  # What starts looks at the cores one by one.
work = threading.Thread(target=lambda: list(nlp.pipe(texts * 20)))
work.start()
cores = set()
while work.is_alive():  # Threads are pinned only while they compute.
    for task in os.listdir("/proc/self/task"):
        try:
            cores.add(len(os.sched_getaffinity(int(task))))
        except ProcessLookupError:
            pass
print(json.dumps(sorted(cores)))
"""
    threads = None if limit == "quota" else 1
    cores = run_here(tmp_path, code, [str(paths[engine]), texts, str(tmp_path), threads])
    assert cores == [len(os.sched_getaffinity(0))]
