"""The training loop, for one process and for many.

It does what `spacy.training.loop.train` does, which has no place between the gradients and the step; in one process the
trained weights are the same. The functions around it are spaCy's own: corpus, batches, evaluation, logger.
"""

import itertools
import json
import math
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any, Callable, Dict, List, Optional, Tuple

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training import loop as spacy_loop
from spacy.util import registry, resolve_dot_names
from thinc.api import constant, fix_random_seed, set_gpu_allocator
from wasabi import msg

from ..common.console import UserError
from . import layer_rates  # noqa: F401 (configs name the optimizer)
from .checkpoint import load_checkpoint, save_checkpoint
from .core_times import read_core_times
from .memory import STEPS_BETWEEN, give_back_memory
from .parameters import has_finite_gradients, walk_parameters
from .progress import Progress, describe_drop
from .ranks import OneProcess, digest_weights
from .torn_entities import NO_MOVE, find_torn_entity

MODEL_BEST, MODEL_LAST = spacy_loop.DIR_MODEL_BEST, spacy_loop.DIR_MODEL_LAST


class Trainer:
    """Trains an initialized pipeline by the `training` section of its config.

    nlp (Language): The pipeline.
    output_dir (Path): A folder for model-best and model-last.
    group (OneProcess): The processes that train together.
    gpu (int): The GPU in use, -1 for the CPU.
    checkpoint (Optional[Path]): Folder to write at each evaluation, None for no checkpoints.
    """

    def __init__(
        self,
        nlp: Language,
        output_dir: Path,
        *,
        group: OneProcess = OneProcess(),
        gpu: int = -1,
        checkpoint: Optional[Path] = None,
    ) -> None:
        self.nlp = nlp
        self.output_dir = output_dir
        self.group = group
        self.checkpoint = checkpoint
        config = nlp.config.interpolate()
        self.settings = config["training"]
        if self.settings["seed"] is not None:
            fix_random_seed(self.settings["seed"])
        if gpu >= 0 and self.settings["gpu_allocator"]:
            set_gpu_allocator(self.settings["gpu_allocator"])
        self.training = registry.resolve(self.settings, schema=ConfigSchemaTraining)
        self.optimizer = self.training["optimizer"]
        self.frozen = self.training["frozen_components"]
        self.components = [name for name, pipe in nlp.pipeline if name not in self.frozen and is_trainable(pipe)]
        train_corpus, dev_corpus = resolve_dot_names(
            config, [self.training["train_corpus"], self.training["dev_corpus"]]
        )
        self.batches = group.make_batches(
            spacy_loop.create_train_batches(nlp, train_corpus, self.training["batcher"], self.training["max_epochs"])
        )
        dropout = self.training["dropout"]
        self.dropouts = constant(dropout) if isinstance(dropout, float) else dropout
        self.score = spacy_loop.create_evaluation_callback(nlp, dev_corpus, self.training["score_weights"])
        self.before_to_disk = spacy_loop.create_before_to_disk_callback(self.training["before_to_disk"])
        self.progress = Progress()
        self.losses = dict.fromkeys(self.components, 0.0)  # since the last evaluation
        self.last_rate: Optional[float] = None  # the learning rate of the step before, None before the first one

    def run(self, *, resume: bool = False) -> Progress:
        """Train until the config says that it is enough, and save the last pipeline.

        resume (bool): Continue from the checkpoint.
        RETURNS (Progress): What was done. The evaluations are known to the first rank only.
        RAISES (UserError): If a loss or a gradient is not finite, or the ranks' weights differ.
        """
        if resume:
            self.resume()
        log_step, finish_log = self.start_log() if self.group.leads else (lambda info: None, lambda: None)
        try:
            while not self.is_over():
                started = perf_counter()
                self.progress.epoch, batch = next(self.batches, (self.progress.epoch, None))
                if batch is None:
                    break
                self.update(batch)
                if self.progress.step % STEPS_BETWEEN == 0:
                    give_back_memory()
                self.progress.seconds += perf_counter() - started
                log_step(self.evaluate() if self.progress.step % self.training["eval_frequency"] == 0 else None)
                self.progress.step += 1
        finally:
            finish_log()
        if self.group.leads:
            self.save_models(is_best=False)
        return self.progress

    def is_over(self) -> bool:
        """Tell whether the steps are exhausted, or as many as `patience` brought nothing better."""
        last_step = self.progress.step - 1
        if not self.progress.results:
            return False
        # Of equal scores the earliest counts.
        _, best_step = max((score, -step) for score, step in self.progress.results)
        patience, max_steps = self.training["patience"], self.training["max_steps"]
        return bool(patience and last_step + best_step >= patience or max_steps and last_step >= max_steps)

    def update(self, batch: List[Example]) -> None:
        """Make one step of the optimizer.

        RAISES (UserError): If a loss or a gradient is not finite, or an entity can't be learned.
        """
        step, nlp = self.progress.step, self.nlp
        self.group.start_step(step)
        if self.training["before_update"]:
            self.training["before_update"](nlp, {"step": step, "epoch": self.progress.epoch})
        dropout, annotating = next(self.dropouts), self.training["annotating_components"]
        losses = dict.fromkeys(self.components, 0.0)
        for examples in spacy_loop.subdivide_batch(batch, self.training["accumulate_gradient"]):
            examples = self.group.share(examples)
            try:
                nlp.update(
                    examples,
                    drop=dropout,
                    losses=losses,
                    sgd=False,
                    exclude=self.frozen,
                    annotates=annotating,
                )
            except ValueError as error:
                if NO_MOVE in str(error) and (problem := find_torn_entity(nlp, annotating, examples)):
                    raise UserError(problem) from error
                raise
        self.group.combine(nlp, self.components, losses)
        self.check_finite(losses)
        for name in self.components:
            nlp.get_pipe(name).finish_update(self.optimizer)
        self.step_schedules()
        for name, loss in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + float(loss)
        self.progress.words += sum(len(example) for example in batch)
        self.progress.samples += len(batch)

    def check_finite(self, losses: Dict[str, float]) -> None:
        """Check that the weights stay finite in this step.

        losses (Dict[str, float]): The loss of each component.
        RAISES (UserError): If they would become NaN or infinite.
        """
        found = [f"loss of {name!r} is {loss}" for name, loss in losses.items() if not math.isfinite(loss)]
        if not found and not has_finite_gradients(walk_parameters(self.nlp, self.components)):
            found = ["gradient is not finite"]
        if found:
            if self.last_rate is None:
                advice = "No weight was changed before it: look for NaN or infinity in the weights of the encoder."
            else:
                advice = f"Lower the learning rate, which was {self.last_rate:g} at the step before, or warm up longer."
            raise UserError(
                f"The {' and the '.join(found)} at step {self.progress.step}, so the training stopped and wrote no "
                f"pipeline. {advice}"
            )

    def step_schedules(self) -> None:
        """Set the optimizer's learning rate, and its other settings that change, for the next step."""
        self.last_rate = self.optimizer.learn_rate
        self.optimizer.step_schedules()

    def evaluate(self) -> Optional[Dict[str, Any]]:
        """Score the pipeline on the first rank, and save it there.

        RETURNS (Optional[Dict[str, Any]]): What spaCy's loggers take; None on the other ranks.
        """
        group, progress = self.group, self.progress
        if group.size > 1:
            message = (
                f"The weights of the ranks are no longer equal after step {progress.step}, so the training stopped."
            )
            group.check_equal(digest_weights(walk_parameters(self.nlp, self.components)), message)
        score, scores = None, {}
        if group.leads:
            with self.nlp.use_params(self.optimizer.averages or {}):
                score, scores = self.score()
        score = json.loads(group.broadcast(json.dumps(score).encode("utf8")))
        progress.results.append((score, progress.step))
        info = {
            "epoch": progress.epoch,
            "step": progress.step,
            "score": score,
            "other_scores": scores,
            "losses": self.losses,
            "checkpoints": progress.results,
            "seconds": int(progress.seconds),
            "words": progress.words,
        }
        self.losses = dict.fromkeys(self.components, 0.0)
        if not group.leads:
            return None
        with self.nlp.select_pipes(disable=self.frozen):
            spacy_loop.update_meta(self.training, self.nlp, info)
        self.save_models(is_best=score == max(progress.results)[0])
        self.record(info)
        if self.checkpoint:
            self.save_checkpoint()
        return info

    def record(self, info: Dict[str, Any]) -> None:
        """Keep an evaluation, with the speed since the one before."""
        now = {"seconds": self.progress.seconds, "words": self.progress.words, "samples": self.progress.samples}
        before = self.progress.evaluations[-1] if self.progress.evaluations else dict.fromkeys(now, 0)
        seconds = now["seconds"] - before["seconds"]
        rates = {f"{kind}_per_second": (now[kind] - before[kind]) / seconds for kind in ("words", "samples")}
        result = {"losses": dict(info["losses"]), "score": info["score"], "scores": info["other_scores"]}
        self.progress.evaluations.append({"step": info["step"], "epoch": info["epoch"], **now, **rates, **result})

    def save_models(self, *, is_best: bool) -> None:
        """Save the pipeline as the last one and, if it is, as the best one."""
        with self.nlp.use_params(self.optimizer.averages or {}):
            self.before_to_disk(self.nlp).to_disk(self.output_dir / MODEL_LAST)
        if is_best:
            shutil.rmtree(self.output_dir / MODEL_BEST, ignore_errors=True)
            shutil.copytree(self.output_dir / MODEL_LAST, self.output_dir / MODEL_BEST)

    def save_checkpoint(self) -> None:
        """Save what `resume` needs to go on after this step."""
        progress = {**asdict(self.progress), "step": self.progress.step + 1}
        parameters = walk_parameters(self.nlp, self.components)
        document = {"settings": self.settings, "progress": progress}
        save_checkpoint(self.checkpoint, self.nlp, parameters, self.optimizer, document, self.output_dir / MODEL_BEST)

    def resume(self) -> None:
        """Go back to where the checkpoint was written: weights, optimizer, schedules, batches and the best pipeline."""
        parameters = walk_parameters(self.nlp, self.components)
        document = load_checkpoint(self.checkpoint, self.nlp, parameters, self.optimizer, self.group)
        for name, value in json.loads(json.dumps(self.settings)).items():
            if document["settings"].get(name) != value:
                raise UserError(
                    f"The checkpoint in {self.checkpoint} is of a training with training.{name} = "
                    f"{document['settings'].get(name)}, not {value}. Continue with the same settings, or without --resume."
                )
        self.progress = Progress(**document["progress"])
        self.progress.results = [tuple(result) for result in self.progress.results]
        for _ in range(self.progress.step):
            self.step_schedules()
        for stream in (self.batches, self.dropouts):
            next(itertools.islice(stream, self.progress.step, self.progress.step), None)
        if self.group.leads:
            shutil.copytree(self.checkpoint / MODEL_BEST, self.output_dir / MODEL_BEST)

    def start_log(self) -> Tuple[Callable, Callable]:
        """Start the config's logger, with a line of the speed after each evaluation, and what is wrong with it.

        RETURNS (Tuple[Callable, Callable]): What logs a step, and what ends the log.
        """
        print(f"Pipeline: {', '.join(self.nlp.pipe_names)}. Trained: {', '.join(self.components)}.")
        with self.nlp.select_pipes(disable=self.frozen):
            log_step, finish_log = self.training["logger"](self.nlp, sys.stdout, sys.stderr)
        times = [read_core_times()]

        def log_step_and_speed(info: Optional[Dict[str, Any]]) -> None:
            log_step(info)
            if info:
                now = self.progress.evaluations[-1]
                print(
                    f"     {now['words_per_second']:,.0f} words/s, {now['samples_per_second']:,.1f} samples/s, "
                    f"{now['seconds']:,.0f} s of training",
                    flush=True,
                )
                times.append(read_core_times())
                for problem in (describe_drop(self.progress.results), times[-1].describe_waiting(times[-2])):
                    if problem:
                        msg.warn(problem)

        return log_step_and_speed, finish_log


def is_trainable(component: Any) -> bool:
    """Tell whether a component has weights to train."""
    return getattr(component, "is_trainable", False) and component.model not in (True, False, None)
