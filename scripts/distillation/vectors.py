"""Train a student encoder on the vectors of its teacher, before it sees a label."""

import math
import random
from statistics import mean
from typing import List

import torch
import tqdm
from spacy.tokens import Doc
from torch.nn.functional import mse_loss
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from ..common.console import UserError
from ..compilation.reference import Reference
from ..training.precision import has_fast_bf16
from .settings import VectorTraining

WARMUP_SHARE = 0.1
GRADIENT_CLIP = 1.0
POOL_SIZE = 2048  # windows that are sorted by length together

Window = List[int]  # wordpiece ids


def tokenize_windows(reference: Reference, docs: List[Doc]) -> List[Window]:
    """Cut Docs into what the encoder sees at once, as wordpieces.

    reference (Reference): The pipeline that cuts them.
    docs (List[Doc]): Docs of any length.
    RETURNS (List[Window]): The windows, without overlap.
    """
    texts = reference.cut_texts(docs)
    return reference.tokenizer(texts, truncation=True, max_length=reference.max_length)["input_ids"]


def train_vectors(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    windows: List[Window],
    settings: VectorTraining,
    *,
    seed: int = 0,
    gpu: int = -1,
    silent: bool = True,
) -> List[float]:
    """Bring a student's last hidden states closer to those of its teacher, on the same wordpieces.

    student (PreTrainedModel): An encoder with fewer layers, trained in place.
    teacher (PreTrainedModel): The encoder it was made from.
    windows (List[Window]): Text, labelled or not, as both tokenize it.
    settings (VectorTraining): How long and how fast.
    seed (int): Of the order of the batches.
    gpu (int): GPU to train on, -1 for the CPU.
    silent (bool): Show no progress.
    RETURNS (List[float]): Mean squared error in each epoch.
    RAISES (UserError): If the error is no longer finite.
    """
    device = torch.device("cuda", gpu) if gpu >= 0 else torch.device("cpu")
    # Without dropout: more text is the better regularization.
    student, teacher = student.to(device).eval(), teacher.to(device).eval()
    generator = random.Random(seed)
    epochs = [make_batches(windows, settings.batch_wordpieces, generator) for _ in range(settings.epochs)]
    n_steps = sum(map(len, epochs))
    optimizer = torch.optim.AdamW(student.parameters(), lr=settings.learning_rate)
    rates = get_linear_schedule_with_warmup(optimizer, round(WARMUP_SHARE * n_steps), n_steps)
    errors: List[float] = []
    with tqdm.tqdm(total=n_steps, unit="step", disable=silent, leave=False) as progress:
        for number, batches in enumerate(epochs, start=1):
            losses = []
            for batch in batches:
                loss = compute_error(student, teacher, batch, bf16=has_fast_bf16(gpu))
                losses.append(loss.item())
                if not math.isfinite(losses[-1]):
                    raise UserError(
                        f"The error of the student's vectors is {losses[-1]} in epoch {number}. Train with a lower "
                        f"--vector-rate than {settings.learning_rate:g}."
                    )
                optimizer.zero_grad()
                loss.backward()
                clip_grad_norm_(student.parameters(), GRADIENT_CLIP)
                optimizer.step()
                rates.step()
                progress.update()
            errors.append(mean(losses))
            progress.set_description(f"Vectors, error {errors[-1]:.4f}")
    return errors


def make_batches(windows: List[Window], budget: int, generator: random.Random) -> List[List[Window]]:
    """Shuffle windows into batches of similar length.

    windows (List[Window]): All windows.
    budget (int): Wordpieces of a batch, padding included; one window always fits.
    generator (random.Random): Decides the order.
    RETURNS (List[List[Window]]): The batches, in random order.
    """
    shuffled = generator.sample(windows, len(windows))
    batches: List[List[Window]] = []
    for start in range(0, len(shuffled), POOL_SIZE):
        batch: List[Window] = []
        for window in sorted(shuffled[start : start + POOL_SIZE], key=len):
            if batch and len(window) * (len(batch) + 1) > budget:
                batches.append(batch)
                batch = []
            batch.append(window)
        batches.append(batch)
    generator.shuffle(batches)
    return batches


def compute_error(
    student: PreTrainedModel, teacher: PreTrainedModel, batch: List[Window], *, bf16: bool
) -> torch.Tensor:
    """Compute the mean squared error of a batch, over its wordpieces, special ones included.

    student (PreTrainedModel): The encoder that is trained.
    teacher (PreTrainedModel): The encoder whose vectors it learns.
    batch (List[Window]): Wordpiece ids.
    bf16 (bool): Compute products in bfloat16.
    """
    device = student.device
    pad_id = student.config.pad_token_id or 0
    ids = pad_sequence([torch.tensor(window) for window in batch], batch_first=True, padding_value=pad_id).to(device)
    lengths = torch.tensor([len(window) for window in batch], device=device)
    mask = torch.arange(ids.shape[1], device=device) < lengths[:, None]
    inputs = {"input_ids": ids, "attention_mask": mask.long()}
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
        with torch.no_grad():
            expected = teacher(**inputs).last_hidden_state
        found = student(**inputs).last_hidden_state
    return mse_loss(found.float()[mask], expected.float()[mask])
