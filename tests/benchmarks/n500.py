r"""The numbers of docs/research.md on large training sets: `python tests/benchmarks/n500.py [--quick] [OUT]`.

1. n = 500, the paper's networks: runs from eight random starts, each judged alone and all pooled, beside baselines
   that know nothing; what the runs agree on; networks trained from other initial weights and on the next 500 images,
   on which nothing was chosen.
2. n = 100: each setting at half and at twice its default, two starts each.

Networks and runs are kept in the folder OUT (n500 or n500-quick) and not done again: the command can be cut short and
given once more. With the attack's own number of iterations about 3 hours on one core, with --iterations 300 about
70 minutes; --quick, about 2: 5 iterations and networks that are hardly trained, to see that it works.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from demos import next_images

import minirecon as mr
from minirecon import attack, metrics, mlp
from minirecon.attack import consensus, restarts
from minirecon.cli import tables

CASES = ("mnist", "cifar10")
STD = 0.25  # of the images themselves
ROBUST = ("alpha", "m", "lam_min", "lam_max", "start_scale", "span", "margin_weight")


def five(score):
    r"""SSIM: mean of the ten best, best, 30th, how many above 0.4; and the median NCC."""
    ranked = np.sort(score.ssim)[::-1]
    return [float(v) for v in (ranked[:10].mean(), ranked[0], ranked[29], np.sum(ranked > 0.4), np.median(score.ncc))]


def line(out, name, values):
    r"""Print and keep one line of the table."""
    print(f"{name:58}" + (values if isinstance(values, str) else "  ".join(f"{v:6.3f}" for v in values)), flush=True)
    with open(out / "table.jsonl", "a") as file:
        file.write(json.dumps([name, values]) + "\n")


def short(kind):
    return kind.replace("seed ", "s")


def network(out, case, n, kind, quick):
    r"""A trained network (kept in `out`) and its training set: `kind` "seed 0", "seed 1" or "next"."""
    data = next_images(case, n) if kind == "next" else mr.load_dataset(case, n)
    path = out / f"{case}-n{n}-{short(kind)}.npz"
    if not path.exists():
        seed = int(kind.removeprefix("seed ")) if kind != "next" else 0
        mr.save(mr.train(data, seed=seed, target_time=30 if quick else 1e4).params, path)
    return mr.load(path), data


def large(out, case, kind, runs, options, quick):
    r"""`runs` attacks on a network of n = 500: alone, pooled, beside the nulls."""
    params, data = network(out, case, 500, kind, quick)
    rec = restarts.restarts(
        params, 100 if quick else 1000, runs, jobs=1, folder=out / f"{case}-{short(kind)}", **options
    )
    for scaled in (False, True):
        x = rec.x / rec.x.std(axis=1, keepdims=True) * STD if scaled else rec.x
        single = np.array([five(metrics.score(rec._replace(x=x[rec.run == r], start=None), data)) for r in range(runs)])
        name = f"{case}, {kind}{f', std {STD}' if scaled else ''}"
        for r, values in enumerate(single.tolist()):
            line(out, f"{name}: run {r}", values)
        line(out, f"{name}: median of the first {min(runs, 5)}", np.median(single[:5], axis=0).tolist())
        score = metrics.score(rec._replace(x=x), data)
        line(out, f"{name}: {runs} pooled", five(score))
    nearer = np.sum(score.ncc > score.null["unseen"].ncc)
    over = [np.sum(each.ncc > 0.8) for each in (score, score.null["unseen"])]
    text = f"nearer than any unseen image {nearer} of {len(data.x)}; over 0.8 {over[0]}, by unseen images {over[1]}"
    line(out, f"{case}, {kind}: NCC of {runs} pooled", text)
    for null, each in score.null.items():
        line(out, f"{case}, {kind}: null, {null}", five(each))
    unseen = data.x_test / data.x_test.std(axis=1, keepdims=True) * STD
    line(out, f"{case}, {kind}: null, unseen, std {STD}", five(metrics.score(rec._replace(x=unseen, start=None), data)))
    gamma(out, f"{case}, {kind}", params, data, rec)
    if runs > 1:
        rows = [consensus.evaluate(consensus.consensus(rec._replace(x=x)), data) for x in (rec.x, rec.start)]
        line(out, f"{case}, {kind}: what the runs agree on", "\n" + tables.consensus(*rows))


def gamma(out, name, params, data, rec):
    r"""Σλᵢ yᵢΦ(xᵢ) = ‖θˡ‖² for each layer l at a KKT point, so γ = ‖θˡ‖²/Σλ: what comes of it, beside the truth."""
    total = rec.lam.astype(float).sum() / len(rec.lam)
    true, own = (y * mlp.forward(params, x.astype(np.float32)).phi[:, 0] for x, y in ((data.x, data.y), (rec.x, rec.y)))
    layers = ", ".join(f"{mlp.square_norm([layer]) / total:.1f}" for layer in params)
    mean = mlp.square_norm(params) / len(params) / total
    line(
        out,
        f"{name}: gamma",
        f"from Σλ = {total:.3f}: layers {layers}, all {mean:.1f}; training images {true.min():.1f} to "
        f"{true.max():.1f}, median {np.median(true):.1f}; candidates' root mean square {np.sqrt(np.mean(own**2)):.1f}",
    )


def robust(out, case, options, quick):
    r"""The median NCC with one setting at half and twice its default, relative to the default's: n = 100, m = 200."""
    params, data = network(out, case, 100, "seed 0", quick)
    kept = out / "robust.json"
    done = json.loads(kept.read_text()) if kept.exists() else {}
    default = {**attack.SETTINGS["lbfgs"], **options, "m": 200, "span": 100}
    base = None
    for name, factor in [("m", 1)] + [(name, factor) for name in ROBUST for factor in (0.5, 2)]:
        value = type(default[name])(default[name] * factor)
        for seed in range(2):
            key = f"{case} {name} {value} seed {seed} {options}"
            if key not in done:
                rec = mr.reconstruct(params, seed=seed, **{**default, name: value})
                done[key] = float(np.median(metrics.score(rec, data).ncc))
                kept.write_text(json.dumps(done))
        values = [done[f"{case} {name} {value} seed {seed} {options}"] for seed in range(2)]
        base = base or np.mean(values)  # of the default, the first
        change = np.mean(values) / base - 1
        label = "default" if factor == 1 else f"{name} = {value:g}"
        line(out, f"{case}, n = 100: {label}", f"{values[0]:.3f} {values[1]:.3f} {change:+.1%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--iterations", type=int, default=attack.SETTINGS["lbfgs"]["iterations"])
    parser.add_argument("--runs", type=int, default=8, help="of seed 0's networks")
    given = parser.parse_args()
    given.out = given.out or Path("n500-quick" if given.quick else "n500")
    given.out.mkdir(exist_ok=True)
    options = {"iterations": 5 if given.quick else given.iterations}
    robust_options = {"iterations": min(options["iterations"], 300)}
    for kind, runs in (("seed 0", 2 if given.quick else given.runs), ("seed 1", 1), ("next", 1)):
        for case in CASES:
            large(given.out, case, kind, runs, options, given.quick)
    for case in CASES:
        robust(given.out, case, robust_options, given.quick)


if __name__ == "__main__":
    main()
