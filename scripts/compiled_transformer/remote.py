"""Token vectors from a service, instead of an engine in this process."""

import json
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import urlsplit

import numpy
import srsly
import urllib3
from spacy import util
from spacy.attrs import IDX, LENGTH, SENT_START
from spacy.tokens import Doc
from thinc.types import Floats2d
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import Retry

from .artefact import get_digest

TIMEOUT = 60  # Seconds without a byte from the service.
TRIES = 7
BACKOFF_FACTOR = 0.1  # Seconds between tries: 0, 0.2, 0.4 and so on.
MAX_RETRY_WAIT = 10  # Seconds, whatever the service asks for.
REMOTE_DOCS = 128  # Docs of a request, at most.
CONNECTIONS = 8
OCTETS = "application/octet-stream"


def is_url(value: Any) -> bool:
    """Tell whether a value is the URL of a server."""
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except (ValueError, AttributeError, TypeError):
        return False


def get_encoder_id(manifest: Dict[str, Any], settings: Dict[str, Any]) -> str:
    """Digest what the token vectors depend on: the encoder's files and the windows."""
    parts = [sorted(manifest["files"].items()), settings["spans"], settings["window"], settings["stride"]]
    return get_digest(json.dumps(parts).encode("utf8"))


class RemoteEncoder:
    """Ask a service for token vectors: `python -m scripts.serve PIPELINE --encoder-only`.

    A request is msgpack with the "encoder" that is expected and "docs": each has its "text", its "tokens" (a row of
    offset and length in characters each, int32, little-endian) and "sents" (whether each token starts a sentence, int8)
    where the windows are sentences. The answer is the vectors of all tokens, float32, little-endian.

    url (str): Where the service is.
    encoder_id (str): What `get_encoder_id` says of the encoder that this pipeline was made with.
    width (int): Of the vectors.
    """

    def __init__(self, url: str, encoder_id: str, width: int) -> None:
        self.url = url.rstrip("/")
        self.encoder_id = encoder_id
        self.width = width
        self._connections = urllib3.PoolManager(
            retries=RetryAnything(
                TRIES - 1,
                redirect=False,
                status_forcelist=[503],
                allowed_methods=None,
                raise_on_status=False,
                backoff_factor=BACKOFF_FACTOR,
            ),
            timeout=TIMEOUT,
            # As many as there are threads that encode; urllib3 warns when it closes some.
            maxsize=CONNECTIONS,
        )

    def encode(self, docs: List[Doc], budget: int) -> List[Floats2d]:
        """Get the vectors of Docs, in requests of bounded size.

        budget (int): Tokens of a request; one Doc always fits.
        RETURNS (List[Floats2d]): One `(n_tokens, width)` array a Doc.
        RAISES (ConnectionError): If the service is away, or too busy for too long.
        RAISES (ValueError): If it refuses: another encoder, a Doc that is too long.
        """
        vectors: List[Floats2d] = []
        for batch in util.minibatch(docs, size=REMOTE_DOCS):
            for part in split_by_tokens(batch, budget):
                vectors.extend(self._encode(part))
        return vectors

    def _encode(self, docs: List[Doc]) -> List[Floats2d]:
        request = {"encoder": self.encoder_id, "docs": [pack_doc(doc) for doc in docs]}
        answer = numpy.frombuffer(self._post(srsly.msgpack_dumps(request)), dtype="<f4").reshape(-1, self.width)
        ends = numpy.cumsum([len(doc) for doc in docs])
        if len(answer) != ends[-1]:
            raise ValueError(
                f"The encoder service at {self.url} sent {len(answer)} vectors for {ends[-1]} tokens. "
                "Run the same version of the project here and there."
            )
        return [array.copy() for array in numpy.split(answer, ends[:-1])]

    def _post(self, body: bytes) -> bytes:
        """Send a request.

        RETURNS (bytes): The service's answer.
        """
        try:
            response = self._connections.request(
                "POST", f"{self.url}/vectors", body=body, headers={"Content-Type": OCTETS}
            )
        except ReadTimeoutError as error:
            raise ConnectionError(self._describe(f"did not answer within {TIMEOUT} seconds")) from error
        except HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise ConnectionError(self._describe(f"does not answer ({reason})")) from error
        if response.status == 503:
            reason = read_error(response.data, response.status).rstrip(".")
            raise ConnectionError(self._describe(f"is too busy ({reason})"))
        if response.status != 200:
            raise ValueError(f"The encoder service at {self.url} refused: {read_error(response.data, response.status)}")
        return response.data

    def _describe(self, reason: str) -> str:
        return (
            f"The encoder service at {self.url} {reason}. Start it with `python -m scripts.serve PIPELINE "
            "--encoder-only`, or load the pipeline without the setting 'remote'."
        )


class RetryAnything(Retry):
    """Try again whatever happens, also a POST, but not after a timeout: the service would do the same work again."""

    def increment(self, method=None, url=None, response=None, error=None, *arguments, **settings) -> Any:
        """Count a try.

        RAISES (ReadTimeoutError): If it was one.
        """
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, *arguments, **settings)

    def get_retry_after(self, response) -> Optional[float]:
        """Read the seconds that the service asks to wait, within limits."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, MAX_RETRY_WAIT)


def split_by_tokens(docs: List[Doc], budget: int) -> Iterator[List[Doc]]:
    """Split Docs into parts of up to `budget` tokens together, or of one that has more."""
    part: List[Doc] = []
    size = 0
    for doc in docs:
        if part and size + len(doc) > budget:
            yield part
            part, size = [], 0
        part.append(doc)
        size += len(doc)
    if part:
        yield part


def pack_doc(doc: Doc) -> Dict[str, Any]:
    """Pack what a service has to know of a Doc."""
    packed = {"text": doc.text, "tokens": doc.to_array([IDX, LENGTH]).astype("<i4").tobytes()}
    if doc.has_annotation("SENT_START"):
        packed["sents"] = (doc.to_array(SENT_START) == 1).astype("int8").tobytes()
    return packed


def read_error(answer: bytes, status: int) -> str:
    """Read the service's own sentence, if there is one."""
    try:
        return json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {status}."
