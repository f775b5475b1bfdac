"""Where weights lie, and how they get there: cache, packaged resource, fetch, import."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from featx.errors import FeatxError, WeightsError, listed
from featx.folders import cache_folder
from featx.types import WeightsSpec
from featx.weights.cards import STATE_NAME, origin
from featx.weights.files import (
    SUFFIX,
    Provenance,
    file_sha256,
    load_weights,
    read_config,
    replacing,
    write_weights,
)

if TYPE_CHECKING:
    from featx.types import AnyArray

#: ``converter(path) -> (tensors, config)``
Converter: TypeAlias = Callable[[Path], tuple[Mapping[str, "AnyArray"], Mapping[str, Any]]]

#: Bytes that are fetched at most where a spec does not say how many there are.
MAX_FETCH_BYTES = 8 << 30

_SCHEMES = ("https", "http", "file")
_BLOCK = 1 << 20
#: A parameter in the name of a packaged file.
_FIELD = re.compile(r"\{(\w+)\}")


class Trainable(Protocol):
    """An `ExtractorSpec`, as far as messages about missing weights need it."""

    @property
    def name(self) -> str:
        """Short name."""

    @property
    def methods(self) -> Sequence[Any]:
        """Its `MethodSpec` values."""


def cached_path(spec: WeightsSpec, value: object = "") -> Path:
    """Return the path of ``spec`` in the cache, whether it exists or not.

    ``value`` is that of the parameter `WeightsSpec.slot`, where there is one.
    """
    name = f"{spec.name}-{value}" if spec.slot and value != "" else spec.name
    return cache_folder() / "weights" / f"{name}{SUFFIX}"


def _cached(spec: WeightsSpec, params: object) -> Path | None:
    """Return the cached file of ``params``, or else the only one that there is."""
    if not spec.slot:
        path = cached_path(spec)
        return path if path.is_file() else None
    own = cached_path(spec, getattr(params, spec.slot, ""))
    if own.is_file():
        return own
    others = _slots(spec)
    return others[0] if others and (len(others) == 1 or params is None) else None


def _slots(spec: WeightsSpec) -> list[Path]:
    """Return the cached files of all values of `WeightsSpec.slot`."""
    if not spec.slot:
        return []
    files = sorted(cached_path(spec).parent.glob(f"{spec.name}-*{SUFFIX}"))
    return [path for path in files if path == cached_path(spec, _slot_value(path, spec.slot))]


def _slot_value(path: Path, slot: str) -> object:
    """Return the value of a slot that a file belongs to: names of weights may begin alike."""
    return (read_config(path).get("params") or {}).get(slot, "")


def locate(
    spec: WeightsSpec, *, override: str | Path | None = None, params: object = None
) -> Path | None:
    """Return the safetensors file of ``spec``: override, cache, packaged resource, in this order.

    Parameters
    ----------
    spec : WeightsSpec
        What the extractor declares.
    override : str or Path, optional
        A file, or a folder that holds ``<name>.safetensors``. Its hash is the user's business.
    params : object, optional
        The extractor's parameters, where they choose among several packaged resources.

    Returns
    -------
    Path or None
        None if there are none; `missing_message` returns the remedy.

    Raises
    ------
    WeightsError
        If the override does not exist or has another format, or the cached file does not have the
        SHA-256 of ``spec``.
    """
    if override is not None:
        return _overridden(spec, Path(override))
    cached = _cached(spec, params)
    if cached is not None:
        _check_hash(spec, cached)
        return cached
    return next(iter(_resources(spec, params)), None)


def _overridden(spec: WeightsSpec, override: Path) -> Path:
    path = override / f"{spec.name}{SUFFIX}" if override.is_dir() else override
    if not override.exists():
        raise WeightsError(
            f"weights {spec.name!r} must be a file or folder, {path} does not exist."
        )
    if not path.is_file():
        training = override / STATE_NAME
        if not training.is_file():
            raise WeightsError(f"weights {spec.name!r} must lie in {override}, got no {path.name}.")
        raise WeightsError(
            f"{override} holds a training without weights yet "
            f"({read_config(training)['step']} steps); run the same 'featx train' again."
        )
    if path.suffix != SUFFIX:
        raise WeightsError(
            f"weights {spec.name!r} must be a {SUFFIX} file, got {path.name!r}. "
            f"Convert it with: featx weights convert {spec.name} {path} {path.stem}{SUFFIX}"
        )
    return path


def _check_hash(spec: WeightsSpec, path: Path) -> None:
    if not spec.sha256:
        return
    actual = file_sha256(path)
    if actual != spec.sha256:
        raise WeightsError(
            f"{path} must have SHA-256 {spec.sha256}, got {actual}. It is damaged or of another "
            f"version. Delete it. {_remedy(spec)}"
        )


def _resources(spec: WeightsSpec, params: object = None) -> list[Path]:
    """Return the packaged file of ``params``, or all files where none are given."""
    folders, inside = _package_folders(spec)
    if params is None:
        pattern = _FIELD.sub("*", inside)
        return [path for folder in folders for path in sorted(folder.glob(pattern))]
    named = _FIELD.sub(lambda match: str(getattr(params, match[1])), inside)
    return [path for folder in folders if (path := folder / named).is_file()]


def _package_folders(spec: WeightsSpec) -> tuple[list[Path], str]:
    """Return where the package of ``spec.resource`` lies, and the path inside."""
    package, _, inside = spec.resource.partition(":")
    if not package:
        return [], ""
    try:
        module_spec = importlib.util.find_spec(package)
    except ModuleNotFoundError as error:
        raise WeightsError(f"weights {spec.name!r} must lie in a package, but {error}.") from error
    return [
        Path(folder) for folder in (module_spec and module_spec.submodule_search_locations) or ()
    ], inside


def shipped_settings(spec: WeightsSpec) -> tuple[str, ...]:
    """Return the parameters for which a file is shipped, such as ``("model=sr8000",)``.

    They are read off the names of the files that exist; empty where ``resource`` has no field.
    """
    folders, inside = _package_folders(spec)
    parts = _FIELD.split(inside)
    literals, fields = parts[::2], parts[1::2]
    if not fields:
        return ()
    pattern = re.compile("([^/]+)".join(map(re.escape, literals)))
    names = (
        path.relative_to(folder).as_posix()
        for folder in folders
        for path in sorted(folder.glob("*".join(literals)))
    )
    return tuple(
        " ".join(map("=".join, zip(fields, match.groups(), strict=True)))
        for name in names
        if (match := pattern.fullmatch(name))
    )


def missing_message(spec: WeightsSpec, extractor: Trainable | None = None) -> str:
    """Say that the weights of ``spec`` are missing, and the command that helps.

    ``extractor``, which uses them, gives its methods of training.
    """
    name = spec.name if extractor is None else extractor.name
    return f"{name} has no weights yet. {_remedy(spec, extractor)}"


def _remedy(spec: WeightsSpec, extractor: Trainable | None = None) -> str:
    settings = shipped_settings(spec)
    remedies = [f"Trained weights ship for {listed(settings)}."] if settings else []
    if spec.urls:
        remedies.append(f"Run: featx weights fetch {spec.name}")
    if spec.converter:
        suffix = Path(spec.source.partition(" ")[0].rstrip(",")).suffix
        source = f" It reads {spec.source}." if spec.source else ""
        remedies.append(f"Run: featx weights import {spec.name} <file{suffix}>.{source}")
    if extractor is not None and extractor.methods:
        remedies.append(
            f"Train them: featx train -p {extractor.name} --method {extractor.methods[0].name} "
            "-m MANIFEST -o FOLDER, then --weights FOLDER."
        )
    if not remedies and not spec.required:
        remedies.append("None are published yet; name your own with --weights.")
    elif not remedies:
        remedies.append(f"Put the file at {cached_path(spec)}, or name it with --weights.")
    text = " Or: ".join(remedies)
    return text.replace("Or: Run:", "Or run:").replace("Or: Train", "Or train")


@dataclass(frozen=True, kw_only=True)
class WeightsState:
    """Whether the weights of one spec are at hand.

    ``status`` is ``given`` (an override),
    ``cached``, ``shipped`` (inside the plugin), ``missing``, ``untrained`` (missing,
    but the extractor also runs with seeded weights) or ``damaged``; ``note`` says more.
    Where a plugin ships several, ``path`` is one of them, ``bytes`` counts all, and ``sha256`` is
    empty. ``origins`` tells by the names of files what they learned from, see `origin`.
    """

    name: str
    status: Literal["given", "cached", "shipped", "missing", "untrained", "damaged"]
    path: str = ""
    sha256: str = ""
    bytes: int = 0
    licence: str = ""
    note: str = ""
    origins: Mapping[str, str] = field(default_factory=dict, hash=False)


def state(
    spec: WeightsSpec,
    *,
    override: str | Path | None = None,
    params: object = None,
    extractor: Trainable | None = None,
) -> WeightsState:
    """Look where the weights of ``spec`` lie and read the file once to see whether it is sound.

    ``override`` and ``params`` as in `locate`, ``extractor`` as in `missing_message`.
    """
    cached = cached_path(spec)
    try:
        path = locate(spec, override=override, params=params)
        in_cache = path is not None and path.parent == cached.parent
        single = override is not None or in_cache
        files = [path] if path is not None and single else _resources(spec, params)
        if override is None and in_cache and params is None:
            files = _slots(spec) or files
        for file in files:
            load_weights(file)
    except WeightsError as error:
        return WeightsState(
            name=spec.name,
            status="damaged",
            path=str(override or cached),
            licence=spec.licence,
            note=str(error),
        )
    if path is None:
        return WeightsState(
            name=spec.name,
            status="missing" if spec.required else "untrained",
            licence=spec.licence,
            note=_remedy(spec, extractor),
        )
    return WeightsState(
        name=spec.name,
        status="given" if override is not None else "cached" if in_cache else "shipped",
        path=str(path),
        sha256=file_sha256(path) if len(files) == 1 else "",
        bytes=sum(file.stat().st_size for file in files),
        licence=spec.licence,
        note="; ".join(map(str, files)) if len(files) > 1 else "",
        origins={file.name: summary for file in files if (summary := origin(file))},
    )


def import_weights(spec: WeightsSpec, source: str | Path, *, converter: Converter) -> Path:
    """Convert somebody's file with the converter of ``spec`` and put the result into the cache.

    Parameters
    ----------
    spec : WeightsSpec
        Names the cache entry; where it has a ``sha256``, the result must have it.
    source : str or Path
        The file to convert. A ``.safetensors`` file is converted like any other.
    converter : callable
        ``featx.registry.import_object(spec.converter)``.

    Returns
    -------
    Path
        The file in the cache.

    Raises
    ------
    WeightsError
        If the source cannot be read or converted, or the result has another hash.
    """
    provenance, tensors, config = _converted(spec, Path(source), converter)
    params = config.get("params", {})
    if spec.slot and spec.slot not in params:
        raise WeightsError(
            f"{spec.converter} must give params with {spec.slot!r} in the configuration, because "
            f"weights {spec.name!r} have one file for each, got {listed(params)}."
        )
    target = cached_path(spec, params.get(spec.slot, "") if spec.slot else "")
    write_weights(target, tensors, config, provenance=provenance, expected=spec.sha256)
    return target


def convert(
    spec: WeightsSpec, source: str | Path, target: str | Path, *, converter: Converter
) -> str:
    """Convert ``source`` to the safetensors file ``target``; return its SHA-256.

    The provenance inside holds name and SHA-256 of the source and the name of the converter.
    Raises `WeightsError` as `import_weights` does.
    """
    provenance, tensors, config = _converted(spec, Path(source), converter)
    return write_weights(Path(target), tensors, config, provenance=provenance, expected="")


def _converted(
    spec: WeightsSpec, source: Path, converter: Converter
) -> tuple[Provenance, Mapping[str, AnyArray], Mapping[str, Any]]:
    provenance = Provenance(
        source=source.name, source_sha256=file_sha256(source), converter=spec.converter
    )
    try:
        tensors, config = converter(source)
    except FeatxError:
        raise
    except Exception as error:
        raise WeightsError(
            f"{source} must be what {spec.converter} reads, but it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    return provenance, tensors, config


def fetch(
    spec: WeightsSpec,
    *,
    progress: Callable[[int, int], None] | None = None,
    timeout: float = 30.0,
    extractor: Trainable | None = None,
) -> Path:
    """Download the weights of ``spec`` into the cache, unless they are there and sound.

    Parameters
    ----------
    spec : WeightsSpec
        Its ``urls`` (https, http or file) are tried in order until one gives the right bytes.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes; total is 0 if unknown.
    timeout : float > 0
        Seconds without an answer after which a URL is given up.
    extractor : Trainable, optional
        Gives its methods of training to the message where there is no URL.

    Raises
    ------
    WeightsError
        If there is no URL, ``FEATX_OFFLINE=1`` forbids it, or none returns a file of the right size
        and hash (each with its reason).
    """
    target = cached_path(spec)
    if target.is_file() and spec.sha256 and file_sha256(target) == spec.sha256:
        return target
    if not spec.urls:
        raise WeightsError(f"weights {spec.name!r} cannot be fetched. {_remedy(spec, extractor)}")
    problems = []
    for url in spec.urls:
        try:
            with replacing(target) as temporary:
                _download(url, temporary, spec, progress, timeout)
            return target
        except WeightsError as error:
            problems.append(f"{url}: {error}")
    raise WeightsError(f"weights {spec.name!r} could not be fetched. " + " ".join(problems))


def _download(
    url: str,
    path: Path,
    spec: WeightsSpec,
    progress: Callable[[int, int], None] | None,
    timeout: float,
) -> None:
    import hashlib
    import http.client
    import urllib.error
    import urllib.request

    scheme = url.partition(":")[0]
    if scheme not in _SCHEMES:
        raise WeightsError(f"scheme must be one of {listed(_SCHEMES)}, got {scheme!r}.")
    if scheme != "file" and os.environ.get("FEATX_OFFLINE") == "1":
        raise WeightsError("FEATX_OFFLINE=1 forbids fetching.")
    limit = spec.bytes or MAX_FETCH_BYTES
    digest, done = hashlib.sha256(), 0
    try:
        with (
            urllib.request.urlopen(url, timeout=timeout) as answer,  # noqa: S310  (scheme checked)
            path.open("wb") as out,
        ):
            while block := answer.read(_BLOCK):
                done += len(block)
                if done > limit:
                    raise WeightsError(f"must have at most {limit} bytes, got more.")
                digest.update(block)
                out.write(block)
                if progress is not None:
                    progress(done, spec.bytes)
    except urllib.error.HTTPError as error:
        raise WeightsError(f"answers {error.code} {error.reason}.") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise WeightsError(f"{getattr(error, 'reason', None) or error}.") from error
    if spec.bytes and done != spec.bytes:
        raise WeightsError(f"must have {spec.bytes} bytes, got {done}.")
    if spec.sha256 and digest.hexdigest() != spec.sha256:
        raise WeightsError(f"must have SHA-256 {spec.sha256}, got {digest.hexdigest()}.")
    load_weights(path)
