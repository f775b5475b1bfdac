"""Files behind URLs: which there are, how large and how old they are, and their bytes.

fsspec does the work. The extra ``featx[remote]`` brings what ``https``, ``http`` and ``s3`` need;
other protocols need the package that fsspec names, such as gcsfs for ``gs``. Errors of the network
are retried; what persists is an `UnreachableError`, and never says anything about the file.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import json
import logging
import os
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from featx.errors import AudioError, FeatxError, ParameterError, UnreachableError, is_exhaustion
from featx.installed import install_extra

_URL = re.compile(r"(?!file:|local:)[A-Za-z][A-Za-z0-9+.-]+://[^/]")
_WEB = ("http", "https")
#: Attempts at one request, and seconds before the second one; they double from one to the next.
ATTEMPTS = 6
_PAUSE_SECONDS = 0.25
#: From so many first pauses on it is reported that requests are repeated.
_REPORTED = 4
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 30.0
#: Requests for sizes and times at once.
_THREADS = 32
_BATCH = 500

#: Size and version of a file that does not exist, or of which nothing is known.
UNKNOWN = (-1, -1)
#: Where the packages below fsspec keep the time of the last change, and the tag of the content.
_TIMES = ("Last-Modified", "LastModified", "last_modified", "mtime")
_TAGS = ("ETag", "etag")
#: Answers to a request that say nothing about the file, besides those from 500 on.
_NOT_NOW = frozenset({401, 407, 408, 409, 425, 429})
_CODES = {404: "missing", 410: "missing", 403: "permission"}
#: Refusals by S3 because of the credentials.
_CREDENTIALS = re.compile("ExpiredToken|InvalidToken|InvalidAccessKey|Signature|RequestTimeToo")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_Answer = TypeVar("_Answer")


class RemoteFile(NamedTuple):
    """A file of a listing: its name below the URL, and what `states` says of it."""

    name: str
    size: int
    version: int


def is_url(path: str) -> bool:
    """Return whether ``path`` is a URL, and not the path of a file of this machine."""
    return _URL.match(path) is not None


def is_listed(url: str) -> bool:
    """Return whether a URL of this protocol may stand for all files below it."""
    return url.partition("://")[0].lower() not in _WEB


def check_url(url: str) -> None:
    """Raise `ParameterError` for a URL that holds a password, or names no file on the web."""
    if re.match(r"[^/]+//[^/]*@", url):
        raise ParameterError(
            f"a URL must not hold a name or password, got {url.partition('://')[0]}://...@...: the "
            "store would keep it. Set it in the environment or the configuration of fsspec."
        )
    path = without_query(url)
    if not is_listed(url) and (path.endswith("/") or path.count("/") < 3):
        raise ParameterError(
            f"a URL must name a file, got {url}: web servers have no listings. "
            "List the files in a manifest (CSV) with a column path."
        )


def without_query(url: str) -> str:
    """Return a URL without what follows ``?`` or ``#``, which is part of the name elsewhere."""
    return url if is_listed(url) else re.split(r"[?#]", url, maxsplit=1)[0]


def list_files(url: str) -> Iterator[RemoteFile]:
    """Yield every file below ``url``; memory holds the names below one of its subfolders.

    Raises
    ------
    ParameterError
        If there is nothing.
    UnreachableError
        If the server cannot be reached, or refuses.
    """
    files, root = _located(url.rstrip("/"))
    try:
        entries = _retried(lambda: files.ls(root, detail=True))
    except AudioError as error:
        raise ParameterError(
            f"inputs must exist, got {url!r}, which cannot be listed: {error}."
        ) from error
    for entry in entries:
        name = entry["name"].rstrip("/")
        if entry["type"] != "directory":
            below = {entry["name"]: entry}
        elif name == root:  # an object that stands for the folder
            continue
        else:
            below = _retried(functools.partial(files.find, name, detail=True))
        for path, info in below.items():
            yield RemoteFile(path[len(root) + 1 :], *_state(info))


def states(urls: Sequence[str]) -> list[tuple[int, int]]:
    """Return size and version of each file, `UNKNOWN` for those without an answer.

    The version is a hash of the ETag or else the time of the last change in nanoseconds; 0 where
    the server states neither. Raises `UnreachableError` if there is no answer for several files.
    """
    answers = _states_or_errors(urls)
    errors = [answer for answer in answers if isinstance(answer, UnreachableError)]
    if len(errors) == len(urls) > 1:
        raise errors[0]
    return [UNKNOWN if isinstance(answer, FeatxError) else answer for answer in answers]


def missing(urls: Sequence[str]) -> list[bool]:
    """Return of each file whether its server says that there is none."""
    batches = (urls[first : first + _BATCH] for first in range(0, len(urls), _BATCH))
    answers = itertools.chain.from_iterable(map(_states_or_errors, batches))
    return [isinstance(item, AudioError) and item.code == "missing" for item in answers]


def exists(url: str) -> bool:
    """Return whether there is a file that can be read; raises `UnreachableError`."""
    answer = _state_or_error(url)
    if isinstance(answer, UnreachableError):
        raise answer
    return not isinstance(answer, AudioError) and answer != UNKNOWN


def fetch(
    url: str,
    target: str,
    *,
    max_bytes: int,
    size: int = -1,
    attempts: int = ATTEMPTS,
    stop: threading.Event | None = None,
) -> None:
    """Write the bytes of a file to the path ``target``.

    Parameters
    ----------
    max_bytes : int > 0
        Limit of the size.
    size : int
        What the file must have; another size counts as an interrupted transfer. -1 if unknown.
    attempts : int > 0
        How often it is tried.
    stop : threading.Event, optional
        Ends the transfer.

    Raises
    ------
    AudioError
        Where the fault is the file's: ``missing``, ``permission``, ``unreadable``, ``too-large``.
    UnreachableError
        Where it is not.
    """
    from fsspec.callbacks import Callback

    stop = stop or threading.Event()

    def check(total: int | None, value: int, **_: object) -> None:
        if value > max_bytes or (total or 0) > max_bytes:
            bytes_ = max(value, total or 0)
            raise AudioError("too-large", f"{bytes_} bytes, the limit is {max_bytes}")
        if stop.is_set():
            raise UnreachableError("interrupted")

    def get() -> None:
        check(size, 0)
        try:
            Path(target).touch()
        except OSError as error:
            raise _not_written(error) from error
        files, path = _located(url)
        files.get_file(path, target, callback=Callback(hooks={"check": check}))
        got = os.path.getsize(target)  # noqa: PTH202
        if size not in (-1, got):
            raise UnreachableError(f"{got} bytes came instead of {size}")

    _retried(get, attempts=attempts, stop=stop)


def _located(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it."""
    scheme = url.partition("://")[0].lower()
    try:
        import fsspec

        own = fsspec.get_filesystem_class(scheme)._get_kwargs_from_urls(url)
        settings = repr(fsspec.config.conf.get(scheme))
        files = _file_system(scheme, json.dumps(own), settings, os.getpid())
    except ImportError as error:
        raise ParameterError(
            f"{scheme}:// cannot be read here: {error}. "
            f"What https and s3 need is installed by: {install_extra('remote')}"
        ) from error
    except ValueError as error:
        raise ParameterError(f"inputs must be URLs that fsspec knows, got {url!r}.") from error
    return files, files._strip_protocol(url)


@functools.lru_cache(maxsize=64)
def _file_system(scheme: str, own: str, *_: object) -> Any:
    """Return one file system for all threads; another one for other settings, or after a fork."""
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme in _WEB:
        import aiohttp

        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS
        )
        headers = {"Accept-Encoding": "identity"}
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True, "headers": headers}
    elif scheme in ("s3", "s3a"):
        options["config_kwargs"] = {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": 3},  # of one page of a listing
            "max_pool_connections": 4 * _THREADS,
        }
    options |= {**json.loads(own), **fsspec.config.conf.get(scheme, {})}
    files = fsspec.filesystem(scheme, **options)
    files.retries = 1
    return files


def _retried(
    action: Callable[[], _Answer], *, attempts: int = ATTEMPTS, stop: threading.Event | None = None
) -> _Answer:
    """Return what ``action`` returns, trying again with growing pauses while a server fails."""
    pause = _PAUSE_SECONDS
    while True:
        attempts -= 1
        try:
            return action()
        except Exception as error:  # the packages below fsspec raise classes of their own
            failure = _failure(error)
            if not attempts or not isinstance(failure, UnreachableError):
                raise failure from error
        if pause >= _REPORTED * _PAUSE_SECONDS:
            _report(str(failure))
        if (stop or threading.Event()).wait(random.uniform(0.5, 1.0) * pause):  # noqa: S311
            raise UnreachableError("interrupted")
        pause *= 2


@functools.lru_cache(maxsize=64)
def _report(failure: str) -> None:
    """Say once in this process that requests are repeated; without a handler on stderr."""
    logging.getLogger(__name__).warning("remote files: %s; trying again", failure)


def _failure(error: Exception) -> FeatxError:
    """Return what an error means: an `AudioError` where the fault is the file's."""
    from http.client import responses

    if isinstance(error, FeatxError):
        return error
    chain = list(_chain(error))
    status, code = next(filter(any, map(_answer, chain)), (0, ""))
    reason = f"the server answered {status} {responses.get(status, '')}".rstrip()
    if _CREDENTIALS.match(code):
        return UnreachableError(f"the credentials are refused ({code})")
    if status >= 500 or status in _NOT_NOW:
        return UnreachableError(reason)
    if status >= 400:
        return AudioError(_CODES.get(status, "unreadable"), reason)
    if len(chain) == 1 and isinstance(error, FileNotFoundError):
        return AudioError("missing", "the server has no such file")
    if len(chain) == 1 and isinstance(error, PermissionError):
        return AudioError("permission", "the server refuses access to the file")
    if is_exhaustion(error) or (isinstance(error, OSError) and error.errno in _NO_SPACE):
        return _not_written(error)
    return UnreachableError(f"no complete answer ({type(chain[-1]).__name__})")


def _not_written(error: Exception) -> UnreachableError:
    return UnreachableError(f"it could not be written to the folder that TMPDIR names: {error}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it comes from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _answer(error: BaseException) -> tuple[int, str]:
    """Return the HTTP status and the code of S3 that an error holds; 0 and ``""`` for none."""
    answer = getattr(error, "response", None)
    if isinstance(answer, Mapping):
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status, str(answer.get("Error", {}).get("Code", ""))
    numbers = (getattr(error, name, 0) for name in ("status", "code"))
    return next((number for number in numbers if isinstance(number, int)), 0), ""


def _states_or_errors(urls: Sequence[str]) -> list[tuple[int, int] | AudioError | UnreachableError]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_state_or_error, urls))


def _state_or_error(url: str) -> tuple[int, int] | AudioError | UnreachableError:
    files, path = _located(url)
    try:
        return _state(_retried(lambda: files.info(path)))
    except (AudioError, UnreachableError) as error:
        return error


def _state(info: Mapping[str, Any]) -> tuple[int, int]:
    """Return what changes with a file as two numbers; see `states`."""
    from email.utils import parsedate_to_datetime

    if info["type"] == "directory":
        return UNKNOWN
    size = -1 if info.get("size") is None else int(info["size"])
    tag = next(filter(None, map(info.get, _TAGS)), "")
    if tag and not tag.startswith("W/"):
        digest = hashlib.blake2b(tag.strip('"').encode(), digest_size=7).digest()
        return size, int.from_bytes(digest, "little")
    changed = next(filter(None, map(info.get, _TIMES)), 0)
    if isinstance(changed, str):
        with contextlib.suppress(ValueError):
            changed = parsedate_to_datetime(changed)
    return size, int(changed.timestamp()) * 10**9 if isinstance(changed, datetime) else 0
