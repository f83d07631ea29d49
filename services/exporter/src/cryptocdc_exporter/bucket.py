"""Files in a bucket of S3, or of a store that speaks its protocol.

An upload in several parts appears as a whole or not at all. Files are made on this machine first: pyarrow completes an
upload whenever a stream to it goes away, even after an exception.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pyarrow as pa
from pyarrow import fs

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.storage.files import SUFFIX, stream_folder
from cryptocdc_exporter.writing import Written, metadata_of

SCHEME = "s3://"


def _with_endpoint(uri: str) -> str:
    """Return the URI with the endpoint of AWS_ENDPOINT_URL, which pyarrow does not read."""
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    if not endpoint.netloc or "endpoint_override=" in uri:
        return uri
    more = urlencode({"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme})
    return f"{uri}{'&' if '?' in uri else '?'}{more}"


class Bucket:
    """Credentials, region and endpoint come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
    AWS_DEFAULT_REGION, AWS_ENDPOINT_URL …) or from AWS's files."""

    def __init__(self, uri: str) -> None:
        """Look for the bucket. Raises BadInput."""
        self.name = uri.partition("?")[0]
        try:
            self._fs, root = fs.FileSystem.from_uri(_with_endpoint(uri))
            self._root = root.rstrip("/")
            bucket = self._root.partition("/")[0]
            found = self._fs.get_file_info(bucket)
        except (OSError, pa.ArrowInvalid) as error:
            raise BadInput(f"--out: {self.name}: {error}; accepted: s3://BUCKET/PATH of a bucket with access") from None
        if found.type is fs.FileType.NotFound:
            raise BadInput(f"--out: there is no bucket {bucket}; accepted: s3://BUCKET/PATH of one that exists")
        self._drafts = tempfile.TemporaryDirectory(prefix="cryptocdc-export-")

    def draft(self) -> Path:
        with tempfile.NamedTemporaryFile(dir=self._drafts.name, suffix=".tmp", delete=False) as made:
            return Path(made.name)

    def publish(self, files: Sequence[tuple[Written, str]]) -> None:
        for written, path in files:
            with written.path.open("rb") as draft, self._fs.open_output_stream(self._path(path)) as upload:
                shutil.copyfileobj(draft, upload, 1 << 20)

    def metadata(self, path: str) -> dict[str, str] | None:
        try:
            with self._fs.open_input_file(self._path(path)) as file:
                return metadata_of(file)
        except FileNotFoundError:
            return None

    def remove(self, path: str) -> None:
        self._fs.delete_file(self._path(path))

    def some(self, stream: Stream) -> str | None:
        folder = fs.FileSelector(self._path(stream_folder(stream)), allow_not_found=True, recursive=True)
        found: list[Any] = self._fs.get_file_info(folder)
        return next((one.path.removeprefix(f"{self._root}/") for one in found if one.path.endswith(SUFFIX)), None)

    def close(self) -> None:
        self._drafts.cleanup()

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"
