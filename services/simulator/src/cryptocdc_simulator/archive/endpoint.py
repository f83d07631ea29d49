"""The archive over HTTP: files, their checksums, and parts of files."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from cryptocdc_simulator.archive.faults import INSTEAD, Struck
from cryptocdc_simulator.archive.files import ArchiveFile, Format, parse
from cryptocdc_simulator.archive.rows import pieces
from cryptocdc_simulator.archive.store import Store, Stored, Zip
from cryptocdc_simulator.faults import Faults, Span
from cryptocdc_simulator.market.market import Listing, Market

_CHECKSUM = ".CHECKSUM"
_ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Key>{}</Key></Error>'
_PAGE = b"<html><head><title>Binance Data Collection</title></head><body>Please try again later.</body></html>"


class ArchiveEndpoint:
    """Serves the files of `form` about `market`: a day's from the next day on (UTC), a month's from the next month on.

    A file about a day before the symbol was listed, or after it was delisted, does not exist.
    """

    def __init__(self, form: Format, market: Market, faults: Faults) -> None:
        self._form, self._market, self._faults = form, market, faults
        self._store = Store()
        self._early: dict[str, tuple[Span, int]] = {}
        """By name, the fault that publishes a file early, and up to when (ms) the file has rows."""
        self.path = f"/{form.folder}/{{file:path}}"

    def close(self) -> None:
        self._store.close()

    async def __call__(self, request: Request) -> Response:
        response = await self._respond(request.path_params["file"], request.method == "GET")
        response.headers["X-Simulated"] = "market"
        return response

    async def _respond(self, path: str, get: bool) -> Response:
        requested = path.rpartition("/")[2]
        instead = self._faults.archive.get(requested, {})
        if kind := next((kind for kind in INSTEAD if kind in instead), None):
            self._count(kind)
            match kind:
                case "missing":
                    return _no_file(path)
                case "unavailable":
                    return Response(_ERROR.format("SlowDown", ""), 503, media_type="application/xml")
            return Response(_PAGE, 200, media_type="text/html")
        found = self._found(path.removesuffix(_CHECKSUM))
        if found is None:
            return _no_file(path)
        file, listing = found
        struck = self._faults.archive.get(f"{file.name}.zip", {})
        stored = await self._stored(file, listing, struck)
        if path.endswith(_CHECKSUM):
            digest = stored.digest[::-1] if "wrong-checksum" in struck else stored.digest
            return Response(f"{digest}  {file.name}.zip\n", media_type="binary/octet-stream")
        if "cut" in struck and get:
            del self._faults.archive[requested]["cut"]
            self._count("cut")
            return _Cut(stored.path, media_type="application/zip")
        return FileResponse(stored.path, media_type="application/zip")

    def _count(self, kind: str) -> None:
        self._faults.counts[f"archive_{kind}"] += 1

    def _found(self, path: str) -> tuple[ArchiveFile, Listing] | None:
        """Return a published file and its market."""
        file = parse(path, self._form.intervals)
        listing = None if file is None else self._market.listings.get(file.symbol)
        if file is None or listing is None:
            return None
        if self._market.clock() < file.published and "early" not in self._faults.archive.get(f"{file.name}.zip", {}):
            return None
        exists = file.end > listing.tape.listed_ms and file.start <= listing.now()
        return (file, listing) if exists else None

    async def _stored(self, file: ArchiveFile, listing: Listing, struck: Struck) -> Stored:
        made_of = {kind: rows for kind, rows in struck.items() if kind not in ("wrong-checksum", "cut", "early")}
        # What may change a past day: the end of trading, another market of the name, and the fault cut-kline.
        until = min(file.end, listing.now() + 1)
        if early := struck.get("early"):
            # Like any published file it stays as it is: its checksum is requested before it.
            if file.name not in self._early or self._early[file.name][0] is not early:
                self._early[file.name] = early, until
            until = self._early[file.name][1]
        key = (file, until, listing.tape.listed_ms, len(self._faults.cut_klines), tuple(sorted(made_of.items())))
        content = Zip(
            f"{file.name}.csv",
            partial(pieces, file, self._form, listing, self._faults, made_of, until),
            b"republished" if "republished" in struck else b"",
            "truncated" in struck,
        )
        return await self._store.get(key, content)


def _no_file(path: str) -> Response:
    return Response(_ERROR.format("NoSuchKey", quote(path)), 404, media_type="application/xml")


class _Cut(FileResponse):
    """Announces the whole file and sends half of it; the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = -1

        async def half(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(dict(message["headers"])[b"content-length"]) // 2
            elif left > 0:
                message = {**message, "body": message["body"][:left], "more_body": True}
                left -= len(message["body"])
            else:
                return
            await send(message)

        await super().__call__(scope, receive, half)
