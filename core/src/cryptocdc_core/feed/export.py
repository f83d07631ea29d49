"""Where a feed's rows are exported to as Parquet files."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cryptocdc_core.feed.base import FeedModel

SCHEME = "s3://"
URI = r"^(s3:/)?(/[A-Za-z0-9._=-]+)+/?$"
ENDPOINT = r"^https?://[^\s/?#@]+/?$"
STREAM = "^[a-z][A-Za-z0-9]*$"
SECRET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION")
"""The keys of the secret that are read, named as AWS's variables."""


class Export(FeedModel):
    """Exports each hour of the feed's rows as Parquet files once it is proven."""

    uri: str = Field(pattern=URI, max_length=500)
    """Where the files go: into a bucket, as `s3://BUCKET/PATH`, or on one machine into a folder, by its absolute path.
    Two feeds can't share it."""
    endpoint: str | None = Field(None, pattern=ENDPOINT, max_length=500)
    """URL of a store that speaks S3's protocol, if it is not AWS's."""
    secret_ref: str | None = Field(None, alias="secretRef", max_length=253)
    """On Kubernetes, name of the secret with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, optionally
    `AWS_DEFAULT_REGION` and `AWS_SESSION_TOKEN`. On one machine these come from the environment."""
    streams: list[Annotated[str, Field(pattern=STREAM, max_length=63)]] | None = Field(
        None, min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """Names of the streams to export, captured or computed; all of the feed by default."""

    @property
    def in_bucket(self) -> bool:
        return self.uri.startswith(SCHEME)
