"""The registry against its golden facts, and the download against a small server that misbehaves."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from cellixir.exceptions import ConfigurationError, DownloadFailed, HashMismatch, UnknownIds
from cellixir.sources import registry
from cellixir.sources.registry import Source, at_hand, cache_folder, collections, expand, fetch, sources

BODY = np.random.default_rng(7).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Sends ``body``; ``mode`` says what goes wrong; ``sent`` holds (status, bytes) of each answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.mode = "range"
        self.sent: list[tuple[int, int]] = []
        self.encodings: list[str | None] = []
        self.half_sent, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/table.csv.gz"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        mode, body = self.server.mode, self.server.body
        self.server.encodings.append(self.headers["Accept-Encoding"])
        if mode == "404":
            self._send(404, b"not here")
            return
        start = self._start()
        if start >= len(body):
            self._send(416, b"")
        elif start:
            self._send(206, body[start:], {"Content-Range": self._content_range(start)})
        else:
            self._send(200, body)

    def _start(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(asked[1]) if asked and self.server.mode != "no range" else 0

    def _content_range(self, start: int) -> str:
        first = 0 if self.server.mode == "wrong offset" else start
        return f"bytes {first}-{len(self.server.body) - 1}/{len(self.server.body)}"

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        half = len(body) // 2
        cut = self.server.mode.startswith("cut")
        self.server.sent.append((status, half if cut else len(body)))  # before the client can ask again
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.server.mode != "cut, length unknown":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.mode == "trickle":
            self._trickle(body)
            return
        self.wfile.write(body[:half])
        self.wfile.flush()
        self.server.half_sent.set()
        self.server.go_on.wait(10)
        if not cut:
            self.wfile.write(body[half:])

    def _trickle(self, body: bytes) -> None:
        for byte in body:
            try:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            except OSError:  # nobody listens any more
                return
            self.server.go_on.wait(0)
            time.sleep(0.02)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield running
        running.go_on.set()
        running.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no data folder, and no proxy between the test and its server."""
    for name in ("CELLIXIR_DATA_DIR", "CELLIXIR_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("CELLIXIR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _table(url: str, body: bytes = BODY) -> Source:
    digest = hashlib.sha256(body).hexdigest()
    return Source("table", "table.csv.gz", url, digest, len(body), "MIT", "", "A table", "Nobody 2024")


@pytest.fixture
def table(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """The only source of the registry: what the server sends."""
    source = _table(server.url)
    monkeypatch.setattr(registry, "sources", lambda: {"table": source})
    return source


def _visible(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if not p.name.startswith(".")}


# The registry itself


def test_every_entry_is_pinned() -> None:
    assert len(sources()) == 26
    for key, source in sources().items():
        assert source.key == key
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256), key
        assert source.bytes > 0
        assert urlsplit(source.url).scheme == "https"
        assert re.search(r"/[0-9a-f]{40}/", source.url), f"{key} is not pinned to a commit"
        assert Path(source.file).name == source.file
        assert source.what
        assert source.citation
        assert source.licence


def test_files_and_hashes_are_unique() -> None:
    assert len({s.file for s in sources().values()}) == len(sources())
    assert len({s.sha256 for s in sources().values()}) == len(sources())


def test_golden_entry() -> None:
    source = sources()["gdsc-v17-ic50"]
    assert source.sha256 == "db719ed21ab8725611b9c2ff74dfc0063ff657bc4758ccc97489a047ec46f9d7"
    assert source.bytes == 1_437_973
    assert source.licence == "BSD-3-Clause"


def test_terms_are_shown_where_they_bind() -> None:
    bound = {key for key, source in sources().items() if "no commercial use" in source.terms}
    assert {"gdsc-v17-ic50", "gdsc-v17-features", "gdsc-drug-list", "genesets-kegg"} <= bound
    assert not {"genesets-reactome", "l1000-pairs", "oneil-smiles"} & bound


def test_collections_hold_known_keys() -> None:
    assert set(collections()) == {"gdsc-v17"}
    assert len(collections()["gdsc-v17"]) == 5
    assert set(collections()["gdsc-v17"]) <= set(sources())
    assert not set(collections()) & set(sources())


def test_expand_spells_out_collections_once() -> None:
    keys = expand(["gdsc-drug-list", "gdsc-v17", "clock-reg"])
    assert keys[0] == "gdsc-drug-list"
    assert keys[-1] == "clock-reg"
    assert len(keys) == len(set(keys)) == 6


def test_unknown_key_lists_close_matches() -> None:
    with pytest.raises(UnknownIds, match=r"'geneset-halmark'.*did you mean genesets-hallmark"):
        expand(["geneset-halmark"])
    with pytest.raises(UnknownIds, match="data list"):
        fetch("§§")


def test_fetch_of_a_collection_says_what_to_do() -> None:
    with pytest.raises(UnknownIds, match="collection of 5 files"):
        fetch("gdsc-v17")


@pytest.mark.real_data
def test_published_files_match(data_dir: Path) -> None:
    present = [s for s in sources().values() if (data_dir / s.file).exists()]
    assert present
    for source in present:
        content = (data_dir / source.file).read_bytes()
        assert len(content) == source.bytes
        assert hashlib.sha256(content).hexdigest() == source.sha256, source.file


# Where files come from


def test_cache_folder_follows_the_environment(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("CELLIXIR_CACHE_DIR")
    assert cache_folder().name == "cellixir"


def test_download_then_cache(server: Server, table: Source, cache: Path) -> None:
    assert at_hand("table") == "to download"
    path = fetch("table")
    assert path == cache / table.file
    assert path.read_bytes() == BODY
    assert _visible(cache) == {table.file}
    assert at_hand("table") == "cache"
    assert fetch("table") == path
    assert server.sent == [(200, len(BODY))]
    assert server.encodings == ["identity"]


def test_explicit_folder(table: Source, cache: Path, tmp_path: Path) -> None:
    assert fetch("table", folder=tmp_path / "mine", progress=False) == tmp_path / "mine" / table.file
    assert not cache.exists()


def test_damaged_file_in_the_cache_is_replaced(server: Server, table: Source, cache: Path) -> None:
    cache.mkdir()
    (cache / table.file).write_bytes(BODY[:-1] + b"?")
    assert at_hand("table") == "to download"
    assert fetch("table").read_bytes() == BODY


def test_data_dir_comes_first_and_is_only_read(
    server: Server, table: Source, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / table.file).write_bytes(BODY)
    monkeypatch.setenv("CELLIXIR_DATA_DIR", str(folder))
    assert at_hand("table") == "data dir"
    assert fetch("table") == folder / table.file
    assert not server.sent
    assert not cache.exists()
    assert [p.name for p in folder.iterdir()] == [table.file]


def test_wrong_file_in_data_dir_is_refused_and_left_alone(
    server: Server, table: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / table.file
    wrong.write_bytes(b"something else")
    monkeypatch.setenv("CELLIXIR_DATA_DIR", str(tmp_path))
    assert at_hand("table") == "wrong bytes in data dir"
    with pytest.raises(HashMismatch) as refused:
        fetch("table")
    found = hashlib.sha256(b"something else").hexdigest()
    for part in (str(wrong), found, table.sha256, "delete or replace"):
        assert part in str(refused.value)
    assert wrong.read_bytes() == b"something else"
    assert not server.sent


def test_file_missing_in_data_dir_is_downloaded_to_the_cache(
    table: Source, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CELLIXIR_DATA_DIR", str(folder))
    assert fetch("table") == cache / table.file
    assert not list(folder.iterdir())


def test_data_dir_that_is_no_folder(table: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLIXIR_DATA_DIR", "no/such/folder")
    with pytest.raises(ConfigurationError, match="no/such/folder"):
        fetch("table")


def test_verified_files_are_hashed_once(table: Source, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch("table")
    fetch("table")
    hashed: list[Path] = []

    def digest(path: Path) -> str:
        hashed.append(path)
        return "0" * 64

    monkeypatch.setattr(registry, "digest_of", digest)
    fetch("table")
    assert not hashed
    path.write_bytes(BODY)  # same bytes, new time of change: must be looked at again
    at_hand("table")
    assert hashed == [path]


def test_offline_refuses(server: Server, table: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLIXIR_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match=r"CELLIXIR_OFFLINE.*CELLIXIR_DATA_DIR.*table\.csv\.gz"):
        fetch("table")
    assert not server.sent
    monkeypatch.setenv("CELLIXIR_OFFLINE", "0")
    assert fetch("table").read_bytes() == BODY


# Servers that misbehave


@pytest.mark.parametrize("mode", ["cut", "cut, length unknown"])
def test_cut_download_goes_on(server: Server, table: Source, cache: Path, mode: str) -> None:
    server.mode = mode
    with pytest.raises(DownloadFailed, match=r"cut off after [\d,]+ of 300,000 bytes.*CELLIXIR_DATA_DIR"):
        fetch("table")
    assert _visible(cache) == {f"{table.file}.part"}
    kept = (cache / f"{table.file}.part").read_bytes()
    assert 100_000 < len(kept) < len(BODY)
    assert BODY.startswith(kept)
    server.mode = "range"
    assert fetch("table").read_bytes() == BODY
    assert server.sent[1] == (206, len(BODY) - len(kept))
    assert _visible(cache) == {table.file}


def test_cut_twice(server: Server, table: Source, cache: Path) -> None:
    server.mode = "cut"
    sizes = []
    for _ in range(2):
        with pytest.raises(DownloadFailed):
            fetch("table")
        sizes.append((cache / f"{table.file}.part").stat().st_size)
    assert sizes[0] < sizes[1]
    server.mode = "range"
    assert fetch("table").read_bytes() == BODY


@pytest.mark.parametrize("mode", ["no range", "wrong offset"])
def test_server_without_ranges_starts_again(server: Server, table: Source, cache: Path, mode: str) -> None:
    cache.mkdir()
    (cache / f"{table.file}.part").write_bytes(BODY[:1000])
    server.mode = mode
    assert fetch("table").read_bytes() == BODY
    assert server.sent[-1] == (200, len(BODY))
    assert _visible(cache) == {table.file}


@pytest.mark.parametrize(
    "part",
    [b"?" * 1000, BODY + b"more", b"?" * len(BODY), b""],
    ids=["other content", "too long", "complete but wrong", "empty"],
)
def test_unusable_part_is_dropped(server: Server, table: Source, cache: Path, part: bytes) -> None:
    cache.mkdir()
    (cache / f"{table.file}.part").write_bytes(part)
    assert fetch("table").read_bytes() == BODY
    assert server.sent[-1] == (200, len(BODY))
    assert _visible(cache) == {table.file}


def test_complete_part_needs_no_download(server: Server, table: Source, cache: Path) -> None:
    cache.mkdir()
    (cache / f"{table.file}.part").write_bytes(BODY)
    assert fetch("table").read_bytes() == BODY
    assert not server.sent


def test_part_longer_than_a_file_that_shrank(server: Server, table: Source, cache: Path) -> None:
    cache.mkdir()
    (cache / f"{table.file}.part").write_bytes(BODY[:1000])
    server.body = BODY[:500]  # the server answers 416, then sends the wrong file
    with pytest.raises(HashMismatch):
        fetch("table")
    assert [status for status, _ in server.sent] == [416, 200]


@pytest.mark.parametrize("body", [b"<html>log in</html>", BODY[:-1] + b"?"])
def test_wrong_body_is_refused_and_not_kept(server: Server, table: Source, cache: Path, body: bytes) -> None:
    server.body = body
    with pytest.raises(HashMismatch) as refused:
        fetch("table")
    for part in (server.url, hashlib.sha256(body).hexdigest(), table.sha256, f"{len(body):,}", table.file):
        assert part in str(refused.value)
    assert _visible(cache) == set()


@pytest.mark.parametrize("mode", ["range", "cut, length unknown"])
def test_a_server_that_sends_more_than_was_pinned_is_cut_off(
    server: Server, table: Source, cache: Path, mode: str
) -> None:
    server.mode, server.body = mode, BODY * 20
    with pytest.raises(HashMismatch, match=r"sends more than the 300,000 bytes of table"):
        fetch("table")
    assert _visible(cache) == set()


def test_a_trickle_is_given_up(server: Server, table: Source, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.mode = "trickle"  # 50 bytes a second: 300,000 would take 100 minutes
    patient = registry.ResumableDownload.__init__
    monkeypatch.setattr(
        registry.ResumableDownload,
        "__init__",
        lambda self, *given, **named: patient(self, *given, **named, patience=0.3),
    )
    start = time.monotonic()
    with pytest.raises(DownloadFailed, match=r"bytes came in 0 seconds \(CELLIXIR_MIN_SPEED is 1,000\)"):
        fetch("table")
    assert time.monotonic() - start < 10
    kept = (cache / f"{table.file}.part").read_bytes()
    assert kept == BODY[: len(kept)] != b""
    server.mode = "range"
    assert fetch("table").read_bytes() == BODY  # the next try goes on


def test_404_says_so(server: Server, table: Source, cache: Path) -> None:
    server.mode = "404"
    with pytest.raises(DownloadFailed, match=r"table\.csv\.gz: the server answered 404 Not Found"):
        fetch("table")
    assert _visible(cache) == set()


def test_404_keeps_what_an_earlier_try_got(server: Server, table: Source, cache: Path) -> None:
    cache.mkdir()
    (cache / f"{table.file}.part").write_bytes(BODY[:1000])
    server.mode = "404"
    with pytest.raises(DownloadFailed):
        fetch("table")
    assert (cache / f"{table.file}.part").read_bytes() == BODY[:1000]


def test_no_server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as gone:
        url = gone.url
    monkeypatch.setattr(registry, "sources", lambda: {"table": _table(url)})
    with pytest.raises(DownloadFailed, match=r"no answer from 127\.0\.0\.1 \(ConnectionError\)"):
        fetch("table")


def test_nothing_half_written_while_downloading(server: Server, table: Source, cache: Path) -> None:
    server.go_on.clear()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(fetch, "table")
        assert server.half_sent.wait(10)
        assert not (cache / table.file).exists()
        server.go_on.set()
        assert running.result(10).read_bytes() == BODY


def test_many_at_once_download_once(server: Server, table: Source, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(fetch, ["table"] * 4))
    assert {p.read_bytes() for p in paths} == {BODY}
    assert server.sent == [(200, len(BODY))]
    assert _visible(cache) == {table.file}


def test_cache_that_cannot_be_written(table: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CELLIXIR_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigurationError, match="set CELLIXIR_CACHE_DIR"):
        fetch("table")


def test_progress_goes_to_standard_error_of_a_terminal_only(
    table: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch("table", folder=tmp_path / "pipe")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes anything for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    fetch("table", folder=tmp_path / "quiet", progress=False)
    assert capfd.readouterr() == ("", "")
    fetch("table", folder=tmp_path / "drawn")
    out, err = capfd.readouterr()
    assert not out
    assert "table.csv.gz" in err
    assert "300.0/300.0 kB" in err


def test_registry_file_is_tidy() -> None:
    content = json.loads(Path(registry.__file__).with_name("registry.json").read_text(encoding="utf-8"))
    assert set(content) == {"terms", "files", "collections"}
    fields = {"file", "what", "url", "sha256", "bytes", "licence", "terms", "citation"}
    assert all(set(entry) == fields for entry in content["files"].values())
