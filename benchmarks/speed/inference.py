"""Time the inference of SampleCNN against the network as published code runs it.

    python benchmarks/speed/inference.py [--models 3^9 sr8000] [--batches 1 8 32] [--rounds N]
        [--threads N] [--compile] [--json]

Every round lets each contender do one batch of noise, one after the other, in one process; a time
is the smallest over the rounds of this thread's processor time (with --threads above 1, of the
clock), so that other work on the machine hardly shows. ``eager`` is the plain module, ``folded``
has its normalisation folded into the convolutions, ``freeze`` is folded and frozen by
TorchScript, ``compile`` is folded and compiled by inductor (--compile: minutes, needs a C++
compiler), ``featx`` is what the extractor runs. Peak is the rate of a square sgemm of 1024 in the
same process, and the share of it counts the products of convolutions and dense layers alone.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from featx_samplecnn.catalogue import MODELS
from featx_samplecnn.fast import fold, make_forward
from featx_samplecnn.networks import Network, seeded_network

#: Outputs may differ by this much of the largest logit, or a contender is not one.
ROUNDING = 1e-4
PEAK_SIZE = 1024


def contenders(
    network: Network, y: Tensor, *, compiled: bool
) -> dict[str, Callable[[Tensor], Any]]:
    folded = fold(network)
    forward = make_forward(network)
    found: dict[str, Callable[[Tensor], Any]] = {
        "eager": network,
        "folded": folded,
        "freeze": torch.jit.freeze(torch.jit.trace(folded, y)),
        "featx": lambda batch: forward(batch)[2],
    }
    if compiled:
        found["compile"] = torch.compile(folded)
    return found


def flops(network: nn.Module, y: Tensor) -> float:
    """Two operations for every product of a convolution or a dense layer."""
    total = 0.0

    def count(module: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += 2.0 * out.numel() * weight[0].numel()

    handles = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv1d | nn.Linear)
    ]
    network(y)
    for handle in handles:
        handle.remove()
    return total


def inputs(network: Network, batch: int) -> Tensor:
    config = network.config
    shape: tuple[int, ...] = (batch, config.length)
    if config.front_end is not None:
        shape = (*shape, config.front_end.n_bands())
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def measure(
    name: str, batch: int, *, rounds: int, clock: Callable[[], float], compiled: bool
) -> dict[str, Any]:
    network = seeded_network(MODELS[name], torch.Generator().manual_seed(0))
    y = inputs(network, batch)
    work = contenders(network, y, compiled=compiled)
    expected = network(y)
    for label, run in work.items():
        difference = float((run(y) - expected).abs().max() / expected.abs().max())
        if difference > ROUNDING:
            raise SystemExit(f"{label} must give what eager gives, but differs by {difference:g}.")
        run(y)
    square = torch.randn(PEAK_SIZE, PEAK_SIZE)
    work["sgemm"] = lambda _: square @ square
    best = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        for label, run in work.items():
            began = clock()
            run(y)
            best[label] = min(best[label], clock() - began)
    peak = 2.0 * PEAK_SIZE**3 / best.pop("sgemm")
    work_done = flops(network, y)
    seconds = batch * network.config.n_samples / network.config.sr
    return {
        "model": name,
        "batch": batch,
        "gflops_peak": peak / 1e9,
        "contenders": {
            label: {
                "seconds": spent,
                "real_time": seconds / spent,
                "times_eager": best["eager"] / spent,
                "share_of_peak": work_done / spent / peak,
            }
            for label, spent in best.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["3^9", "sr8000"], choices=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    rows = []
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still a contender
        for name in options.models:
            for batch in options.batches:
                row = measure(
                    name, batch, rounds=options.rounds, clock=clock, compiled=options.compile
                )
                rows.append(row)
                if not options.json:
                    show(row)
    if options.json:
        print(json.dumps({"threads": options.threads, "cores": os.cpu_count(), "rows": rows}))


def show(row: dict[str, Any]) -> None:
    print(f"{row['model']}, batch {row['batch']}, peak {row['gflops_peak']:.0f} GFLOP/s")
    for label, told in row["contenders"].items():
        print(
            f"  {label:<8}{1000 * told['seconds'] / row['batch']:8.1f} ms a segment"
            f"{told['real_time']:8.0f} x real time{told['times_eager']:7.2f} x eager"
            f"{100 * told['share_of_peak']:6.0f} % of peak"
        )


if __name__ == "__main__":
    main()
