"""A pipeline in a process of its own that answers what `benchmark` asks beyond speed and memory."""

from typing import Any, Dict, List, Optional

from .process import PipelineProcess


class ProfiledProcess(PipelineProcess):
    """A loaded pipeline that can be looked into. Use it as a context manager; the process ends with the block."""

    def architecture(self) -> Dict[str, int]:
        """RETURNS (Dict[str, int]): "layers", "width" and "intermediate" width of a trained pipeline's transformer."""
        return self._ask("architecture")

    def stages(self, texts: List[str], batch_size: int) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): Seconds of a compiled pipeline by stage, see `stages.profile`."""
        return self._ask("stages", texts=texts, batch_size=batch_size)

    def peak_rate(self) -> Optional[float]:
        """RETURNS (Optional[float]): Operations a second of large matrix products, see `peak.measure_peak`."""
        return self._ask("peak_rate")

    def documents(self, texts: List[str]) -> Dict[str, float]:
        """RETURNS (Dict[str, float]): "seconds" that `nlp(text)` took for texts of any length, and their "words"."""
        return self._ask("documents", texts=texts)

    def loaded_memory(self) -> float:
        """RETURNS (float): Memory that the process used after its first text, in 10^6 bytes."""
        return self._ask("loaded_memory")
