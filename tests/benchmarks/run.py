r"""Where the time goes: `python tests/benchmarks/run.py [FOLDER]` writes speed.json and speed.png there.

Everything in one run, interleaved, medians and quartiles: products of matrices of the same size, one evaluation of
the reconstruction loss and its gradients, and the authors' step in PyTorch, if it is installed; then training,
scoring, the demos and memory. The floor of an evaluation is the time its matrix products would take at the measured
rate, counted by hand in docs/speed.md. About 15 minutes on two cores; nothing else should run meanwhile.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from autograd import value_and_grad
from matplotlib.figure import Figure

import minirecon as mr
from minirecon import losses, metrics, mlp
from minirecon.io import memory

try:
    import torch

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pytorch"))
    from authors import authors_loss, tensors
except ImportError:
    torch = None

INPUTS = {"mnist": 784, "cifar10": 3072}
ALPHA, LAM_MIN = 149.87, 0.4471


def flops(widths, m):
    r"""Floating-point operations of the matrix products in one evaluation with gradients, in the forms chosen.

    Direct: forward 2, residual 2, its two derivatives 4, back through the forward pass 2, each times m·out·in; except
    in layer 1 the backward pass 2 and back through that 2. Gram: without the residual and its derivatives, but
    3 m² (out + in) for the two Gram matrices (half of a product each, by symmetry) and their derivatives.
    """
    total = 0
    for number, (fan_in, fan_out) in enumerate(zip(widths, [*widths[1:], 1], strict=True)):
        passes = (4 if number == 0 else 8) * m * fan_out * fan_in
        gram = losses.gram_is_cheaper(m, fan_out, fan_in)
        total += passes + (3 * m * m * (fan_out + fan_in) if gram else 6 * m * fan_out * fan_in)
    return total


def evaluation(widths, m, dtype):
    r"""A function that evaluates loss and gradients once, and one that takes the authors' step's place."""
    rng = np.random.default_rng(0)
    params = mlp.initialise(rng, widths[0], widths[1:], first_scale=0.05, dtype=dtype)
    x = rng.normal(size=(m, widths[0])).astype(dtype)
    lam, y = rng.uniform(0, 1, m).astype(dtype), np.where(np.arange(m) < m // 2, -1, 1).astype(dtype)
    ours = value_and_grad(lambda unknowns: losses.total_loss(params, *unknowns, y, ALPHA, LAM_MIN))

    def theirs():
        x_t, lam_t = torch.tensor(x, requires_grad=True), torch.tensor(lam, requires_grad=True)
        authors_loss(theta, x_t, lam_t, y_t, ALPHA, LAM_MIN).backward()
        return x_t.grad.numpy(), lam_t.grad.numpy()

    if torch is None:
        return lambda: ours((x, lam))[1], None
    theta, y_t = tensors(params), torch.tensor(y)
    return lambda: ours((x, lam))[1], theirs


def spread(seconds):
    r"""Median and quartiles, in milliseconds."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {"median": round(1e3 * middle, 3), "quartiles": [round(1e3 * low, 3), round(1e3 * high, 3)]}


def interleaved(jobs, repeats):
    r"""Times of several functions, called in turn: a dict of `spread`s.

    NumPy's and PyTorch's threads wait for more work in a loop, and would take the cores from whoever comes next: before
    each measurement they get the time to go to sleep, and the function runs once for itself.
    """
    seconds = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            time.sleep(0.1)
            # the attack keeps freed memory; PyTorch runs as its users run it, and once more with kept memory
            with contextlib.nullcontext() if name in ("PyTorch float32", "PyTorch float64") else memory.kept():
                job()
                start = time.perf_counter()
                job()
                seconds[name].append(time.perf_counter() - start)
    return {name: spread(each) for name, each in seconds.items()}


def products(width, m):
    r"""The yardstick: a product (m, width) × (width, width) in float32."""
    rng = np.random.default_rng(0)
    a, w = (rng.normal(size=(rows, width)).astype(np.float32) for rows in (m, width))
    return lambda: np.dot(a, w.T)


def compare(name, widths, m, repeats, with_pytorch=True):
    r"""One line of the table: rate of the products, floor, ours and PyTorch's."""
    ours, theirs = evaluation(widths, m, np.float32)
    jobs = {"product": products(widths[-1], m), "ours float32": ours}
    if with_pytorch:
        jobs["ours float64"], theirs64 = evaluation(widths, m, np.float64)
        if torch is not None:
            for mine, other in zip(ours(), theirs(), strict=True):  # the same gradients
                assert np.linalg.norm(mine - other) < 1e-3 * np.linalg.norm(other)
            jobs |= {"PyTorch float32": theirs, "PyTorch float32, memory kept": theirs, "PyTorch float64": theirs64}
    times = interleaved(jobs, repeats)
    rate = 2e-6 * m * widths[-1] ** 2 / times["product"]["median"]  # GFLOP/s
    floor = 1e-6 * flops(widths, m) / rate
    line = {"net": name, "widths": widths, "m": m, "gflops": round(rate, 1), "floor": round(floor, 2)}
    line |= {key: value for key, value in times.items() if key != "product"}
    mine = times["ours float32"]["median"]
    line["of the floor"] = round(mine / floor, 2)
    for kind in ("float32", "float64"):
        if f"PyTorch {kind}" in times:
            line[f"PyTorch {kind}, times ours"] = round(times[f"PyTorch {kind}"]["median"] / mine, 2)
    print(json.dumps(line), flush=True)
    return line


def training_step():
    r"""The training of the paper's MNIST net against 6·n·weights operations a step, 4 in layer 1."""
    data = mr.load_dataset("mnist", 500)
    start = time.perf_counter()
    history = mr.train(data).history
    seconds, steps = time.perf_counter() - start, int(history["step"][-1])
    rate = 1e-9 * 2 * 500 * 1000**2 / (1e-3 * interleaved({"product": products(1000, 500)}, 40)["product"]["median"])
    floor = steps * 500 * (4 * 784 * 1000 + 6 * 1000 * 1001) / (1e9 * rate)
    return {"seconds": round(seconds, 1), "steps": steps, "T": history["time"][-1], "gflops": round(rate, 1),
            "floor": round(floor, 1), "of the floor": round(seconds / floor, 2)}  # fmt: skip


def scoring():
    r"""1000 candidates against 500 images of CIFAR-10, with the null baselines."""
    data, rng = mr.load_dataset("cifar10", 500), np.random.default_rng(0)
    x = rng.normal(size=(1000, 3072)).astype(np.float32)
    rec = mr.candidates.Reconstruction(x, np.ones(1000), np.ones(1000), x, {})
    return interleaved({"score": lambda: metrics.score(rec, data)}, 5)["score"]


def command(*arguments):
    r"""Wall time in seconds and peak memory in MB of a Python process."""
    code = (
        "import runpy\n"
        "try: runpy.run_module('minirecon', run_name='__main__')\n"
        # (ru_maxrss would be at least this process's, which it was forked from)
        "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return {"seconds": round(time.perf_counter() - start, 2), "peak_mb": round(float(done.stdout.split()[-1]) / 1024)}


def growth(repeats):
    r"""How cost grows with one size at a time, the others at m = 300, d = 784, two hidden layers of 1000."""
    nets = {
        "candidates m": [(m, m, [784, 1000, 1000]) for m in (20, 50, 100, 200, 500, 1000, 2000)],
        "width": [(width, 300, [784, width, width]) for width in (100, 200, 500, 1000, 2000)],
        "hidden layers": [(depth, 300, [784] + [1000] * depth) for depth in (1, 2, 3, 4, 5)],
        "inputs d": [(d, 300, [d, 1000, 1000]) for d in (50, 200, 784, 1500, 3072)],
    }
    return {
        name: [{"size": size, **compare(name, widths, m, repeats, with_pytorch=False)} for size, m, widths in lines]
        for name, lines in nets.items()
    }


def picture(growth, path):
    r"""Measured time and floor against each size, both axes logarithmic; the floor at one rate for all, the median."""
    rate = statistics.median(line["gflops"] for lines in growth.values() for line in lines)
    ticks = [3, 5, 10, 20, 50, 100, 200, 500]
    figure = Figure(figsize=(9, 7), layout="constrained")
    for axes, (name, lines) in zip(figure.subplots(2, 2).ravel(), growth.items(), strict=True):
        sizes, floors = [], []
        for line in lines:
            sizes.append(line["size"])
            floors.append(1e-6 * flops(line["widths"], line["m"]) / rate)
        axes.loglog(sizes, [line["ours float32"]["median"] for line in lines], "o-", color="#0072B2", label="measured")
        axes.loglog(sizes, floors, "--", color="#D55E00", label=f"the matrix products alone, at {rate:.0f} GFLOP/s")
        axes.set(xlabel=name, ylabel="ms per evaluation", ylim=(2, 600))
        axes.minorticks_off()
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        axes.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle("Loss and gradients, float32, 2 cores; else d = 784, two layers of 1000, m = 300")
    figure.savefig(path, dpi=110)


def main(folder="."):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    result = {"versions": {"numpy": np.__version__, "torch": torch and torch.__version__}}
    result["evaluation"] = [
        compare(name, [d, width, width], m, 5 if m * width * d > 1e9 else 15)
        for width in (1000, 300)
        for name, d in INPUTS.items()
        for m in (20, 100, 300, 1000, 2000)
    ]
    result["growth"] = growth(7)
    result["score, 1000 candidates, 500 CIFAR images"] = scoring()
    result["train mnist, n = 500"] = training_step()
    with tempfile.TemporaryDirectory() as out:
        result["help"] = command("--help")
        for case in ("mnist", "cifar10", "colours", "circle"):
            result[f"demo {case}"] = command("demo", case, "--out", f"{out}/{case}")
        weights = str(Path(mr.__file__).resolve().parents[1] / "data" / "mnist-n500.pth")
        result["attack, m = 1000, 30 iterations"] = command("attack", weights, "--m", "1000", "--set", "iterations=30",
                                                            "--out", f"{out}/attack")  # fmt: skip
    for name, value in result.items():
        if name not in ("evaluation", "growth"):
            print(f"{name}: {value}")
    partial = folder / "speed.json.part"
    partial.write_text(json.dumps(result, indent=1))
    partial.rename(folder / "speed.json")
    picture(result["growth"], folder / "speed.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
