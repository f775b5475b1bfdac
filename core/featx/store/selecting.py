"""Which features of a store a name such as ``mfcc.summary`` means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from featx.errors import ParameterError, listed, meant

if TYPE_CHECKING:
    from featx.store.reading import Store
    from featx.store.views import FeatureView
    from featx.types import FeatureSpec


def split_name(store: Store, name: str) -> tuple[str, str]:
    """Split ``extractor.feature``; extractor names may hold dots themselves."""
    if name in store:
        return name, ""
    extractor, _, feature = name.rpartition(".")
    if extractor in store:
        return extractor, feature
    store.recipe(extractor or name)  # raises with a hint
    return name, ""


def choose_features(
    store: Store,
    names: Sequence[str],
    *,
    kinds: Sequence[str],
    purpose: str,
    fits: Callable[[FeatureSpec], bool] = lambda _: True,
    needs: str = "",
) -> dict[str, FeatureView]:
    """Return features by label ``extractor.feature``; without names all that ``purpose`` takes.

    Names of whole extractors give what fits, names of features must fit.

    It takes features of the given kinds that it ``fits``, in words those that have what it needs.
    """
    chosen: dict[str, FeatureView] = {}
    requirement = f"{' or '.join(kinds)} features{' with ' * bool(needs)}{needs}"
    for name in names or list(store):
        extractor, feature = split_name(store, name)
        view = store[extractor]
        for item in [feature] if feature else list(view):
            spec = view[item].spec
            if spec.kind in kinds and fits(spec):
                chosen[f"{extractor}.{item}"] = view[item]
            elif feature:
                columns = f" with the columns {listed(spec.column_names)}" * (spec.kind in kinds)
                raise ParameterError(
                    f"{purpose} takes {requirement}, got {name!r}, "
                    f"which is of kind {spec.kind!r}{columns}."
                )
    if not chosen:
        raise ParameterError(f"the store has no {requirement} for {purpose}.")
    return chosen


def clip_feature(
    store: Store,
    extractor: str | None = None,
    feature: str | None = None,
    *,
    column: str | None = None,
) -> FeatureView:
    """Return the clip feature that the names mean.

    ``extractor`` is a name as the store lists it; it may be omitted where one has clip features,
    or where ``feature`` names it. ``feature`` is such as ``summary`` or ``mfcc.summary``; by
    default the one with ``column``, ``embedding``, or the only clip feature there is. Anything
    else raises `ParameterError`.
    """
    if extractor is None and feature is not None and ("." in feature or feature in store):
        extractor, feature = split_name(store, feature)
    elif extractor is not None and feature is not None and feature.startswith(f"{extractor}."):
        feature = feature[len(extractor) + 1 :]
    if extractor is None:
        if not len(store):
            raise ParameterError(
                f"{store.path} holds no features yet. Run: featx run MUSIC -o {store.path} -p NAME"
            )
        names = list(store)
        if len(names) > 1:  # those that only have frames or events are no answer
            names = [name for name in names if _has_clips(store, name, column)] or names
        if len(names) != 1:
            got = repr(feature) if feature else "none"
            raise ParameterError(
                f"extractor must be named, one of {listed(names)}, got {got}."
                f"{meant(feature or '', names)} Add --plugin NAME or --features NAME.FEATURE (in "
                "Python extractor= or feature=)."
            )
        (extractor,) = names
    views = store[extractor]
    if feature:
        view = views[feature]
        if view.spec.kind != "clip":
            clips = [name for name, item in views.items() if item.spec.kind == "clip"]
            raise ParameterError(
                f"{feature} is not a clip feature (one vector per track) but {view.spec.kind}. "
                f"Clip features of {views.name!r}: {listed(clips)}."
            )
        return view
    clips = [
        name
        for name, item in views.items()
        if item.spec.kind == "clip" and (column is None or column in item.spec.column_names)
    ]
    if "embedding" in clips or len(clips) == 1:
        return views["embedding" if "embedding" in clips else clips[0]]
    if column is not None and not clips:
        known = [name for item in views.values() for name in item.spec.column_names]
        bare = column.rpartition("/")[2]  # of an aspect, as in instruments/piano
        hint = meant(bare, known, otherwise=f" Columns: {listed(known)}.")
        raise ParameterError(
            f"column must be that of a clip feature of {views.name!r}, got {column!r}.{hint}"
        )
    if not clips:
        there = [f"{name} ({item.spec.kind})" for name, item in views.items()]
        raise ParameterError(
            f"this store has no clip feature of {views.name}, only {listed(there)}. Run: featx run "
            f"MUSIC -o {store.path} -p {views.name}, or give --features with a clip feature."
        )
    raise ParameterError(
        f"feature of {views.name!r} must be named, one of {listed(clips)}, got none."
    )


def _has_clips(store: Store, name: str, column: str | None = None) -> bool:
    return any(
        view.spec.kind == "clip" and (column is None or column in view.spec.column_names)
        for view in store[name].values()
    )
