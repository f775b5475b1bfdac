"""Draw time against feature for all contenders, from what peers.py wrote.

python benchmarks/speed/peers.py --json peers.json
python benchmarks/speed/picture.py peers.json docs/_static/speed.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from contenders import DISTRIBUTIONS

#: who is drawn how: featx stands out, the others differ by shape as well as by colour
_MARKS = dict(zip(DISTRIBUTIONS, "sDo^vP<", strict=True))
_TITLES = {"log-mel": "log-mel\n1024 / 512, 128", "STFT": "STFT\n2048 / 512",
           "MFCC": "MFCC\n2048 / 512, 20", "CQT": "CQT\n84 bins",
           "Kaldi fbank": "Kaldi fbank\n16 kHz, 23"}  # fmt: skip


def draw(about: dict[str, Any], out: Path) -> None:
    """Write the picture; peers that are not aligned with featx are left out."""
    rows = [row for row in about["rows"] if row["who"] == "featx" or row["ratio"] is not None]
    features = list(dict.fromkeys(row["feature"] for row in rows))
    figure, axes = plt.subplots(figsize=(8.0, 4.6), layout="constrained")
    for who in ("featx", *DISTRIBUTIONS):
        own = [row for row in rows if row["who"] == who]
        places = [features.index(row["feature"]) for row in own]
        times = [row["ms"] for row in own]
        if not own:
            continue
        if who == "featx":
            axes.scatter(places, times, marker="_", s=1600, color="black", linewidths=3, label=who)
        else:
            shift = 0.09 * (list(DISTRIBUTIONS).index(who) - 3)
            axes.scatter([x + shift for x in places], times, marker=_MARKS[who], s=45, label=who)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xticks(range(len(features)), [_TITLES.get(name, name) for name in features])
    axes.set_ylabel(f"ms for a clip of {about['seconds']:g} s, one thread")
    axes.grid(axis="y", which="both", alpha=0.25)
    axes.set_axisbelow(True)
    legend = figure.legend(loc="outside right center", frameon=False)
    for handle in legend.legend_handles:
        handle.set_sizes([45])
    figure.savefig(out, dpi=100, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    draw(json.loads(options.json.read_text()), options.out)


if __name__ == "__main__":
    main()
