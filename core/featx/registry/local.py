"""Extractors without a package: a class in a script, a module or a notebook."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import tokenize
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from featx.errors import ParameterError, PluginError
from featx.folders import file_sha256
from featx.interfaces import API_VERSION, Extractor, ExtractorSpec
from featx.registry.records import LocalModule, Registered
from featx.registry.sources import namespace_of, script_of, source_of

#: In place of a distribution, in full names such as ``local:loudness``.
LOCAL = "local"


def local_extractor(cls: type[Extractor]) -> Registered[ExtractorSpec]:
    """Return the spec of an `Extractor` class that declares itself by class attributes.

    Its version holds a hash of the source, so that results of an older text are stale.

    Raises
    ------
    ParameterError
        If ``cls`` is not such a class, or has an invalid declaration.
    PluginError
        If no other process could define it.
    """
    from featx.registry.checks import BrokenPluginError, check_spec

    kind: Any = cls
    if not (isinstance(kind, type) and issubclass(kind, Extractor)):
        raise ParameterError(
            f"extractors must be names or subclasses of featx.Extractor, got {cls!r}."
        )
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        raise ParameterError(f"extractor {cls.__name__} must implement {missing}.")
    if "<locals>" in cls.__qualname__:
        raise PluginError(
            f"extractor {cls.__qualname__} must be usable in another process, but it is defined "
            "inside a function. Move the class to the top level of its file."
        )
    source = source_of(cls)
    digest = hashlib.sha256(source.encode()).hexdigest()
    module = _module_of(cls, source, digest)
    path = f"{module.name}:{cls.__qualname__}"
    spec = ExtractorSpec(
        name=cls.name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower(),
        summary=(cls.__doc__ or cls.__name__).strip().partition("\n")[0],
        version=f"{cls.version}+{digest[:12]}",
        factory=path,
        resolve=f"{path}.resolve",
        api=API_VERSION,
        params=cls.params,
        min_duration=cls.min_duration,
    )
    try:
        check_spec(spec)
    except BrokenPluginError as error:
        raise ParameterError(f"extractor {cls.__name__}: {error}.") from error
    full_name = f"{LOCAL}:{spec.name}"
    return Registered(
        full_name=full_name, distribution=LOCAL, plugin=LOCAL, spec=spec, module=module
    )


def class_of_file(path: str) -> type[Extractor]:
    """Return the class that ``folder/file.py:Class`` names.

    Raises `PluginError` if the file does not exist, cannot be run, or has no such class.
    """
    file, _, name = path.rpartition(":")
    script = Path(file).absolute()
    if not script.is_file():
        raise PluginError(f"extractor {path} must name a file, but {file} does not exist.")
    module = LocalModule(
        name=_alias(str(script)),
        origin=_alias(str(script)),
        folder=str(script.parent),
        file=str(script),
        sha256=file_sha256(script),
        script=True,
    )
    load_module(module, name)
    cls: type[Extractor] = getattr(sys.modules[module.name], name)
    return cls


def _module_of(cls: type, source: str, digest: str) -> LocalModule:
    """Return how another process gets ``cls``, and make the name of its module known here."""
    origin = cls.__module__
    script = script_of(cls)
    if script is None:
        name = f"featx_local_{digest[:16]}"
        alias = ModuleType(name)
        vars(alias).update(namespace_of(cls))
        sys.modules[name] = alias
        folder = str(Path.cwd()) if {"", str(Path.cwd())} & set(sys.path) else ""
        return LocalModule(name=name, origin=origin, folder=folder, source=source)
    if origin != "__main__" and (folder := _import_folder(origin, script)):
        return LocalModule(
            name=origin, origin=origin, folder=folder, file=str(script), sha256=file_sha256(script)
        )
    name = _alias(str(script)) if origin == "__main__" else origin
    module = sys.modules[origin]
    sys.modules[name] = module
    return LocalModule(
        name=name,
        origin=origin,
        folder=str(script.parent),
        file=str(script),
        sha256=file_sha256(script),
        script=True,
        package=getattr(module, "__package__", None) or "",
    )


def _alias(file: str) -> str:
    return f"featx_local_{hashlib.sha256(file.encode()).hexdigest()[:16]}"


def _import_folder(name: str, script: Path) -> str:
    """Return the folder from which ``name`` is imported; empty where its file lies elsewhere."""
    parts = name.split(".")
    own = [*parts, "__init__"] if script.stem == "__init__" else parts
    if list(script.with_suffix("").parts[-len(own) :]) != own:
        return ""
    return str(script.parents[len(own) - 1])


class _DefinedError(BaseException):
    """Ends a script in a worker where it would start another run."""


class _Loading:
    """The script that is being run here, if any: the class it has to define, its names."""

    current: _Loading | None = None

    def __init__(self, module: LocalModule, class_name: str, names: dict[str, Any]) -> None:
        self.module = module
        self.class_name = class_name.partition(".")[0]
        self.names = names


def load_module(module: LocalModule, class_name: str) -> None:
    """Make the module of a local extractor importable by its name; ``class_name`` is in it.

    A script is run under another name than ``__main__``. It ends early where it calls featx to run
    or open extractors: the definitions above are what is needed here. Raises `PluginError` if it
    cannot be run, or does not define the class.
    """
    if module.name in sys.modules:
        return
    if module.folder and module.folder not in sys.path:
        sys.path.append(module.folder)
    if module.file:
        _check_file(module, class_name)
    if not (module.script or module.source):
        return
    text, file = module.source, f"<{module.name}>"
    if module.script:
        file = module.file
        with tokenize.open(file) as stream:
            text = stream.read()
    loaded = ModuleType(module.name)
    loaded.__file__ = module.file or None
    loaded.__package__ = module.package
    loaded.__spec__ = ModuleSpec(module.name, None)
    sys.modules[module.name] = loaded
    outer, _Loading.current = _Loading.current, _Loading(module, class_name, vars(loaded))
    try:
        exec(compile(text, file, "exec", dont_inherit=True), vars(loaded))  # noqa: S102
    except _DefinedError:
        pass
    except (Exception, SystemExit) as error:
        del sys.modules[module.name]
        raise PluginError(
            f"{file} must define extractor {class_name}, but raised {type(error).__name__}: "
            f"{error}. Worker processes run the file, too: put everything except definitions under "
            "if __name__ == '__main__'."
        ) from error
    finally:
        _Loading.current = outer
    if class_name.partition(".")[0] not in vars(loaded):
        del sys.modules[module.name]
        raise PluginError(f"{file} must define extractor {class_name}, but has no such class.")


def _check_file(module: LocalModule, class_name: str) -> None:
    try:
        changed = file_sha256(module.file) != module.sha256
    except OSError as error:
        raise PluginError(
            f"{module.file} must define extractor {class_name}, but {error}."
        ) from error
    if changed:
        raise PluginError(
            f"{module.file} must not change during a run, but has changed; run again."
        )


def end_of_definitions() -> None:
    """End the script that is loaded here as a module, if any; called by what opens extractors.

    Raises `PluginError` if the class that it has to define is not defined yet.
    """
    loading = _Loading.current
    if loading is None:
        return
    if loading.class_name in loading.names:
        raise _DefinedError
    raise PluginError(
        f"{loading.class_name} is defined below a call of featx. Move it above, or put the call "
        "under if __name__ == '__main__'"
    )
