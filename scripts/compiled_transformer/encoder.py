"""The artefact in memory, and its engines, started once in each process."""

import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Deque, Dict, Iterator, List, Optional, Sequence, Tuple

import srsly
from thinc.shims import Shim
from thinc.types import Floats3d

from .ahead import submit
from .arrangement import make_batches
from .artefact import MANIFEST, choose_artefact, get_digest, read_file
from .batches import Batch
from .cpu import get_threads
from .engines import Engine, make_inputs, start_engine
from .manifest import read_manifest
from .observation import Observer
from .processes import GATE, LOCK, Engines
from .remote import RemoteEncoder, get_encoder_id
from .segmentation import Segmentation, read_segmentation
from .wordpieces import Wordpieces

FIXED_LENGTHS = (32, 64)  # Wordpieces; see `list_fixed_lengths`.
SMALL = 50 * 2**20  # Bytes of weights


class CompiledEncoder(Shim):
    """Own the files of an exported encoder and the engine that runs it.

    The files are `engine.json` (the manifest: what the artefact is), those of the segmentation and the engine's own. They stay
    in memory: engines are started when they are first used, again in every process, and when the pipeline is saved.
    """

    def __init__(self) -> None:
        super().__init__(None)
        self.manifest: Dict[str, Any] = {}
        self._files: Dict[str, bytes] = {}
        self._artefact: Optional[Tuple] = None  # What `choose_artefact` chose for this CPU
        self._engines = Engines()
        self.observer = Observer()

    def from_disk(self, folder: Path, manifest_only: bool = False) -> "CompiledEncoder":
        """Use the files in a folder.

        manifest_only (bool): Leave the encoder and tokenizer where they are, or missing: a service has them.
        RAISES (ValueError): If a file is missing or is not the one that `engine.json` describes.
        """
        if not (folder / MANIFEST).is_file():
            raise ValueError(f"There is no {MANIFEST} in {folder}: not a compiled transformer. Run optimize again.")
        manifest = read_manifest((folder / MANIFEST).read_bytes(), str(folder))
        if manifest_only:
            return self._use_remote(manifest)
        files = {name: read_file(folder, name) for name in manifest["files"]}
        return self._use(manifest, files, str(folder))

    def from_bytes(self, data: bytes, manifest_only: bool = False) -> "CompiledEncoder":
        """Use the files from `CompiledTransformer.to_bytes`."""
        files = srsly.msgpack_loads(data)
        if not isinstance(files, dict) or MANIFEST not in files:
            raise ValueError(f"There is no {MANIFEST} in the bytes: not a compiled transformer, or saved without it.")
        manifest = read_manifest(files.pop(MANIFEST), "the bytes")
        if manifest_only:
            return self._use_remote(manifest)
        return self._use(manifest, files, "the bytes")

    def _use(self, manifest: Dict[str, Any], files: Dict[str, bytes], where: str) -> "CompiledEncoder":
        unknown = sorted(map(str, files.keys() - manifest["files"].keys()))
        if unknown:
            raise ValueError(f"{MANIFEST} in {where} doesn't describe {', '.join(unknown)}. Don't use this pipeline.")
        for name, digest in manifest["files"].items():
            if name not in files:
                raise ValueError(f"{name} is missing in {where}. Copy the whole pipeline again.")
            if get_digest(files[name]) != digest:
                raise ValueError(
                    f"{name} in {where} is not the file that {MANIFEST} describes (its SHA-256 differs): damaged, or "
                    "changed by somebody. Copy the pipeline from where it was built, or build it again."
                )
        self.manifest = manifest
        self._files = files
        self.segmentation: Segmentation = read_segmentation(manifest, files)
        self._artefact = None
        self._engines = Engines()
        return self

    def _use_remote(self, manifest: Dict[str, Any]) -> "CompiledEncoder":
        self.manifest = manifest
        self._files = {}
        self._engines = Engines()
        return self

    def read_files(self) -> Dict[str, bytes]:
        """Collect the content of all files by name, the manifest too."""
        self.check_loaded()
        manifest = json.dumps(self.manifest, indent=2, ensure_ascii=False).encode("utf8")
        return {MANIFEST: manifest, **self._files}

    def make_batches(self, wordpieces: Wordpieces, settings: Dict[str, Any]) -> List[Batch]:
        """Arrange windows for the engine.

        settings (Dict[str, Any]): The component's.
        """
        manifest, _ = self.get_artefact()
        return make_batches(wordpieces, manifest, settings, self.list_fixed_lengths())

    def list_fixed_lengths(self) -> Sequence[int]:
        """List the lengths for which a single window has an engine that takes no other shape.

        OpenVINO computes shapes anew whenever one differs from the last: 1.2 ms for an encoder of six layers, of the 3 ms that a
        sentence takes. Padding costs less where the encoder is small, and so does the memory for an engine more.
        """
        manifest, files = self.get_artefact()
        is_small = manifest["engine"] == "openvino" and len(files["encoder.bin"]) <= SMALL
        return FIXED_LENGTHS if is_small and not manifest.get("exact_lengths") else ()

    def predict(self, batches: List[Batch], settings: Dict[str, Any]) -> Iterator[Floats3d]:
        """Run the engine, on several batches at once if there are several: one thread each does more together than all
        threads on one, which have to wait for each other after every operation.

        settings (Dict[str, Any]): The component's.
        YIELDS (Floats3d): *Shape:* (n_rows, length, width). The last hidden state of each batch, float32.
        """
        device, threads = settings["device"], get_threads(settings)
        streams = min(threads, len(batches)) if device == "cpu" else 1
        if streams == 1:
            n_rows, length = batches[0].index.shape
            is_single = n_rows == len(batches) == 1
            is_fixed = is_single and length in (*settings["warm_up_lengths"], *self.list_fixed_lengths())
            engine = self.get_engine(device, threads, 1, length if is_fixed else None)
            for batch in batches:
                yield engine(batch.inputs)
            return
        engine = self.get_engine(device, threads, threads)
        with ThreadPoolExecutor(streams) as executor:
            running: Deque[Future] = deque()
            for batch in batches:
                running.append(submit(executor, engine, batch.inputs))
                # No more than the next ones: their outputs wait in memory.
                if len(running) > streams:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()

    def warm_up(self, settings: Dict[str, Any]) -> None:
        """Start the engines for texts of one window.

        settings (Dict[str, Any]): The component's.
        """
        for length in settings["warm_up_lengths"]:
            manifest, _ = self.get_artefact()
            if length <= manifest["max_length"]:
                engine = self.get_engine(settings["device"], get_threads(settings), 1, length)
                engine(make_inputs(manifest, length))

    def get_engine(self, device: str, threads: int, streams: int, length: Optional[int] = None) -> Engine:
        """Start the engine, once in each process: its threads don't survive a fork.

        device (str): "cpu" or "cuda".
        threads (int): Threads of the engine.
        streams (int): Calls that run at once and share the threads.
        length (Optional[int]): Take only one window of this length at a time. None takes any number and length.
        RETURNS (Engine): The engine, which any Python thread may call.
        RAISES (ValueError): If the engine is unknown, or has no such device.
        RAISES (ImportError): If the engine is not installed.
        """
        manifest, files = self.get_artefact()
        if manifest["engine"] != "openvino":
            length = (
                None  # Others gain little by it, and sessions of onnxruntime disturb each other: their threads spin.
            )
        settings = (device, threads, streams, length)

        def start() -> Engine:
            shared = self._engines.get(manifest["engine"], ("shared", device), dict)
            return GATE.guard(start_engine(manifest, files, *settings, shared))

        return self._engines.get(manifest["engine"], settings, start)

    def get_artefact(self) -> Tuple[Dict[str, Any], Dict[str, bytes]]:
        """Choose what this CPU runs, once, see `choose_artefact`.

        RETURNS (Tuple): Its manifest and files.
        """
        self.check_loaded()
        if self._artefact is None:
            with LOCK:
                if self._artefact is None:
                    self._artefact = choose_artefact(self.manifest, self._files)
        return self._artefact

    def get_remote(self, settings: Dict[str, Any]) -> RemoteEncoder:
        """Open connections to a service, once in each process: two processes must not share any.

        settings (Dict[str, Any]): The component's.
        """

        def start() -> RemoteEncoder:
            return RemoteEncoder(settings["remote"], get_encoder_id(self.manifest, settings), self.manifest["width"])

        return self._engines.get("remote", (settings["remote"],), start)

    def check_loaded(self) -> None:
        """Check that there is an artefact.

        RAISES (ValueError): If there is no artefact yet.
        """
        if not self.manifest:
            raise ValueError("The compiled transformer has no encoder yet. Load a pipeline that has: spacy.load(PATH).")

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_artefact": None, "_engines": Engines(), "observer": Observer()}

    def to_bytes(self) -> bytes:
        """Put all files into msgpack."""
        return srsly.msgpack_dumps(self.read_files())

    def to_device(self, device_type: str, device_id: int) -> None:
        """Nothing to do: the component's `device` setting says where the engine runs."""
