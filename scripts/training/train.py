"""Train a pipeline in this process."""

from ..common.files import check_folder
from .loop import Trainer
from .prepare import begin_training, make_pipeline, publish
from .settings import TrainingSettings
from .threads import limit_threads


def train(settings: TrainingSettings) -> None:
    """Train a pipeline and put it in the output folder when it is done.

    settings (TrainingSettings): What is trained, and where it goes.
    RAISES (UserError): If a file or the GPU is missing, a corpus can't be read, the output is a file, or a loss is not
        finite.
    """
    check_folder(settings.output_dir)
    limit_threads()
    nlp = make_pipeline(settings)
    with begin_training(settings.output_dir) as in_progress:
        trainer = Trainer(nlp, in_progress, gpu=settings.gpu)
        trainer.run()
        publish(settings, trainer, in_progress)
