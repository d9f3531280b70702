"""The processes that train one pipeline together: what they share, and what keeps their weights equal.

Every rank holds the whole pipeline and the whole corpus, and makes the same batches in the same order. It computes the
gradients of its share of a batch. spaCy's losses are sums over the examples of a batch, not means, so the gradient of
the batch is the sum of the ranks' gradients, however many examples each of them had.
"""

import hashlib
import os
import random
import signal
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import Dict, Iterable, Iterator, List, Tuple

import numpy
import torch
import torch.distributed as distributed
from spacy.language import Language
from spacy.training import Example
from thinc.api import fix_random_seed

from ..common.console import UserError
from ..compiled_transformer.cpu import available_cores
from .parameters import Parameter, find_unseen_classes, list_scalers, walk_parameters

# The others wait as long as the first rank evaluates and saves. torchrun ends them if it dies.
TIMEOUT = timedelta(hours=6)
DIGEST_SIZE = 16
Batch = Tuple[int, List[Example]]  # epoch, examples


class OneProcess:
    """A training without others: it has all of each batch, and its gradients are those of the batch."""

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Tell whether this process evaluates, saves and prints."""
        return self.rank == 0

    def make_batches(self, stream: Iterable[Batch]) -> Iterator[Batch]:
        """Pass on the batches of the whole training, the same ones on every rank."""
        yield from stream

    def start_step(self, step: int) -> None:
        """Prepare what is random in a step."""

    def share(self, examples: List[Example]) -> List[Example]:
        """Choose the examples that this process computes."""
        return examples

    def combine(self, nlp: Language, components: List[str], losses: Dict[str, float]) -> None:
        """Turn the gradients and losses of shares into those of the batch, in place.

        nlp (Language): The pipeline, after `nlp.update(..., sgd=False)` with a share.
        components (List[str]): Names of the components that are trained.
        losses (Dict[str, float]): The loss of each of them.
        """

    def broadcast(self, data: bytes) -> bytes:
        """Hand what the first rank gives to all."""
        return data

    def check_equal(self, data: bytes, message: str) -> None:
        """Check that all ranks have the same data.

        data (bytes): That of this rank.
        message (str): What to say if the ranks differ.
        RAISES (UserError): If they do.
        """


class Ranks(OneProcess):
    """One of several processes, started by torchrun.

    gpu (int): The first GPU of this machine to use, -1 for the CPU.
    seed (int): Of everything random in the training.
    """

    def __init__(self, gpu: int, seed: int) -> None:
        self.seed = seed
        self.device = torch.device("cuda", gpu) if gpu >= 0 else torch.device("cpu")
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def make_batches(self, stream: Iterable[Batch]) -> Iterator[Batch]:
        """Shuffle with a random state that only the batches use: a rank's own draws must not change the next epoch."""
        batches = iter(stream)
        state = random.getstate()
        while True:
            outside = random.getstate()
            random.setstate(state)
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                state = random.getstate()
                random.setstate(outside)
            yield batch

    def start_step(self, step: int) -> None:
        """Seed by the step, so that a resumed training draws what an uninterrupted one does.

        Dropout differs from rank to rank. Python's own generator, from which the parser draws how long its cuts are, is
        the same on all ranks, as it is for all examples of a batch in one process.
        """
        fix_random_seed(((self.seed * 1_000_003 + step) * self.size + self.rank) % 2**32)
        random.seed(self.seed * 1_000_003 + step)

    def share(self, examples: List[Example]) -> List[Example]:
        """Take every n-th example: of a batch sorted by length, each rank gets as much as the others."""
        return examples[self.rank :: self.size]

    def combine(self, nlp: Language, components: List[str], losses: Dict[str, float]) -> None:
        """Sum gradients and losses in one transfer. Weights that have a gradient on one rank have one on all then."""
        parameters = walk_parameters(nlp, components)
        gradients = [parameter.gradient for parameter in parameters]
        shapes = [parameter.weights.shape for parameter in parameters]
        sizes = [shape.numel() for shape in shapes]
        scalers = list_scalers(parameters)
        unseen = [(classes, nlp.get_pipe(name).moves.n_moves) for name, classes in find_unseen_classes(nlp).items()]
        flags = [gradient is not None for gradient in gradients] + [scaler.found_inf for scaler in scalers]
        flags += [number in classes for classes, n_classes in unseen for number in range(n_classes)]
        numbers = [*flags, *(losses[name] for name in components)]
        extras = torch.tensor([float(number) for number in numbers], device=self.device)
        buffer = torch.zeros(sum(sizes) + len(extras), device=self.device)
        *slices, summed = buffer.split([*sizes, len(extras)])
        for part, gradient in zip(slices, gradients):
            if gradient is not None:
                part.copy_(gradient.reshape(-1))
        summed.copy_(extras)
        with explain_lost_ranks(self.rank):
            distributed.all_reduce(buffer)
        sums = iter(summed.tolist())
        for parameter, part, shape in zip(parameters, slices, shapes):
            if next(sums) > 0:
                parameter.gradient = part.view(shape)
        for scaler in scalers:
            # One rank's overflow is everyone's: all of them skip the step, or none.
            scaler._found_inf = next(sums) > 0
        for classes, n_classes in unseen:
            # The parser masks a class until a batch has shown it; then it has been seen, by whichever rank.
            classes.intersection_update({number for number in range(n_classes) if next(sums) == self.size})
        losses.update(zip(components, sums))

    def broadcast(self, data: bytes) -> bytes:
        size = torch.tensor([len(data)], device=self.device)
        with explain_lost_ranks(self.rank):
            distributed.broadcast(size, 0)
            values = torch.empty(int(size), dtype=torch.uint8, device=self.device)
            if self.leads:
                values.copy_(torch.from_numpy(numpy.frombuffer(data, dtype="uint8").copy()))
            distributed.broadcast(values, 0)
        return values.cpu().numpy().tobytes()

    def check_equal(self, data: bytes, message: str) -> None:
        digest = hashlib.blake2b(data, digest_size=DIGEST_SIZE).digest()
        mine = torch.tensor(list(digest), dtype=torch.uint8, device=self.device)
        digests = [torch.empty_like(mine) for _ in range(self.size)]
        with explain_lost_ranks(self.rank):
            distributed.all_gather(digests, mine)
        different = [str(rank) for rank, other in enumerate(digests) if not torch.equal(other, digests[0])]
        if different:
            raise UserError(f"{message} Rank 0 differs from rank {', '.join(different)}.")


def digest_weights(parameters: List[Parameter]) -> bytes:
    """Digest weights, to tell whether they are the same, bit by bit."""
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for parameter in parameters:
        digest.update(parameter.name.encode("utf8"))
        digest.update(parameter.weights.cpu().contiguous().numpy())
    return digest.digest()


@contextmanager
def explain_lost_ranks(rank: int) -> Iterator[None]:
    """Turn an error of torch.distributed into a message for users.

    rank (int): The rank of this process.
    RAISES (UserError): If the others can't be reached any more.
    """
    try:
        yield
    except RuntimeError as error:
        raise UserError(
            f"Rank {rank} lost the others ({str(error).splitlines()[0]}), so the training stopped. What the rank that "
            "ended first printed says why. Continue from the last checkpoint with --resume."
        ) from error


@contextmanager
def connect(gpu: int) -> Iterator[int]:
    """Join the processes that torchrun has started.

    gpu (int): The first GPU of this machine to use, -1 for CPUs.
    YIELDS (int): The GPU of this process, -1 for the CPU.
    RAISES (UserError): If torchrun did not start this process, or there are too few GPUs.
    """
    if "LOCAL_RANK" not in os.environ:
        raise UserError(
            "There are no ranks here. Start them with "
            "`python -m torch.distributed.run --standalone --nproc-per-node 2 -m scripts.train_distributed ...`."
        )
    local_rank, n_local = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if gpu >= 0:
        if gpu + n_local > torch.cuda.device_count():
            raise UserError(
                f"{n_local} ranks need as many GPUs from GPU {gpu} on, but torch finds {torch.cuda.device_count()} here. "
                "Start fewer with --nproc-per-node, or use `--gpu -1` for the CPU."
            )
        gpu += local_rank
        torch.cuda.set_device(gpu)
    else:
        torch.set_num_threads(max(1, available_cores() // n_local))
    say_why_it_ends(f"Rank {os.environ['RANK']}")
    distributed.init_process_group("nccl" if gpu >= 0 else "gloo", timeout=TIMEOUT)
    yield gpu
    # After an error torchrun ends all ranks; to take leave from one that is gone would be to wait for it.
    distributed.destroy_process_group()


def say_why_it_ends(name: str) -> None:
    """Print a line when torchrun ends this process, also while it waits for another one inside torch.

    Python runs its signal handlers between two instructions of the main thread, and there are none until the wait is
    over. The wakeup descriptor is written at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        while os.read(reader, 1)[0] != signal.SIGTERM:
            pass
        line = f"✘ {name} stops: another rank ended, or the job was told to. Continue from the last checkpoint with --resume.\n"
        os.write(2, line.encode("utf8"))
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
