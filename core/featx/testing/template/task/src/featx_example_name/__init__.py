"""A task of featx bench: music of the same synthesised artist."""

from __future__ import annotations

from pathlib import Path

from featx_bench.harness import Sources, TaskSpec, hookimpl

__all__ = ["featx_bench_tasks", "music"]

N_TRACKS, SECONDS, SR = 12, 6.0, 22050


@hookimpl
def featx_bench_tasks() -> list[TaskSpec]:
    """Return the task."""
    return [
        TaskSpec(
            name="example-name",
            summary="Synthesised music of the same artist",
            data="featx_example_name:music",
            protocol="retrieval",
            metric="MAP",
            options={"label": "artist"},
            licence="CC0",
        )
    ]


def music(sources: Sources) -> Path:
    """Write the audio once, and return the manifest."""
    import soundfile
    from featx.testing import synthesise

    folder = sources.work / "example-name"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,artist"]
    for seed in range(N_TRACKS):
        path = folder / f"{seed}.wav"
        piece = synthesise(seed=seed, duration=SECONDS, sr=SR)
        if not path.is_file():
            part = folder / f".{seed}.part"
            soundfile.write(part, piece.y, SR, format="WAV")
            part.replace(path)
        lines.append(f"{path.name},{piece.artist}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest
