r"""The command line, `minirecon VERB`: options and printing; the mathematics is elsewhere."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

CASES = "mnist, cifar10, colours, circle, a folder of MNIST or CIFAR-10 files, or an .npz file"


def main(argv=None):
    r"""Run one verb. Returns the exit status: 0; 2 with one line on standard error for bad input."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except (ValueError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        print(f"minirecon {args.verb}: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"minirecon {args.verb}: interrupted before there was anything to keep", file=sys.stderr)
        return 130
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="minirecon",
        description="Reconstruct the training data of a neural network from its weights (arXiv 2206.07758).",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name, run, text, out):
        sub = verbs.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        sub.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
        sub.add_argument("--out", metavar="DIR", help=f"folder for results (default: {out})")
        sub.set_defaults(run=run)
        return sub

    sub = verb("demo", _demo, "attack shipped weights, score the result, draw it", "minirecon-out/demo-CASE")
    sub.add_argument("case", nargs="?", choices=["mnist", "cifar10", "colours", "circle"], default="mnist")

    sub = verb("train", _train, "train a network and write its weights", "minirecon-out/train-CASE")
    sub.add_argument("case", help=CASES)
    sub.add_argument("--n", type=int, default=20, help="number of training samples; the paper has 500")
    sub.add_argument("--hidden", type=_widths, default="1000,1000", help="widths of the hidden layers")
    sub.add_argument("--method", choices=["flow", "gd"], default="flow", help="log-loss time, or the paper's steps")
    sub.add_argument("--time", type=float, default=1e4, help="flow time to stop at; inf for no limit")
    sub.add_argument("--log-loss", type=float, help="stop at this log L, if it is reached sooner")
    sub.add_argument("--first-scale", type=float, default=1e-4, help="scale of layer 1's initial weights")
    sub.add_argument("--hidden-biases", action="store_true", help="biases in all hidden layers (not homogeneous)")
    sub.add_argument("--half", action="store_true", help="write the weights as float16, half the size")

    sub = verb("attack", _attack, "reconstruct samples from weights; needs no data", "minirecon-out/attack-NAME")
    sub.add_argument("weights", help="trained weights, .npz")
    sub.add_argument("--m", type=int, default=40, help="number of candidates; about twice n is a good choice")
    sub.add_argument("--optimizer", choices=["lbfgs", "sgd"], default="lbfgs", help="ours, or the authors'")
    sub.add_argument("--iterations", type=int, help="default: 600 for lbfgs, 50000 for sgd")
    sub.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="precision")

    sub = verb("score", _score, "compare candidates with the true training set", "DIR/score")
    sub.add_argument("dir", metavar="DIR", help="folder with candidates.npz, written by attack")
    sub.add_argument("--against", metavar="CASE", required=True, help=CASES)
    sub.add_argument("--n", type=int, default=20, help="number of training samples")
    return parser


def _widths(text):
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected widths such as 1000,1000") from None


class _Run:
    r"""The output folder of a verb, its clock, and the results.json it ends with."""

    def __init__(self, args, default_out, config):
        self.out = Path(args.out or default_out)
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"--out {self.out}: is a file; expected a folder")
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.out).close()
        except OSError as error:
            raise ValueError(f"--out {self.out}: can't write there ({error.strerror}); choose another folder") from None
        self.start = time.monotonic()
        self.results = {"command": args.verb, "config": config, "seed": args.seed}
        print(f"minirecon {args.verb}:", ", ".join(f"{key} {value}" for key, value in config.items()), flush=True)

    def draw(self, name, figure):
        from . import figures

        if figure is not None:
            figures.save(figure, self.out / f"{name}.png")

    def write_candidates(self, params, rec, class_names=("−1", "+1")):
        from . import attack, figures, losses

        attack.save_candidates(rec, self.out / "candidates.npz")
        self.draw("candidates", figures.candidates(rec.x, rec.y, rec.lam, class_names))
        self.draw("losses", figures.loss_history(rec.history))
        residual = losses.residual(params, rec.x, rec.lam, rec.y)
        self.results |= {"m": len(rec.x), "residual": residual}
        print(
            f"KKT residual ‖θ − Σ λᵢyᵢ∇Φ(xᵢ)‖²: {residual['total']:.4g}, {residual['relative']:.1%} of ‖θ‖².\n"
            f"By layer: {', '.join(f'{part:.3g}' for part in residual['per_layer'])}. In the upper layers it is mostly"
            " their\nrandom start, which no sum over training samples explains."
        )

    def write_score(self, score, data, m):
        from . import figures, metrics

        summary = metrics.summary(score)
        null = {name: metrics.summary(other) for name, other in score.null.items()}
        self.results |= {"n": len(data.x), **summary, "null": null}
        self.draw("reconstructions", figures.reconstructions(score, data))
        print(
            "\n"
            + _table({f"{m} candidates": summary} | {f"null: {NULLS[name]}": null[name] for name in null}, len(data.x))
        )
        print(
            "Each score picks the best of all candidates for each training sample, with the\n"
            "sample in hand: an evaluation, not part of the attack. Compare with the nulls."
        )

    def finish(self, **results):
        from .checkpoint import atomic

        self.results |= {
            "versions": _versions(),
            "seconds": round(time.monotonic() - self.start, 2),
            "peak_mb": _peak_mb(),
        }
        self.results |= results
        with atomic(self.out / "results.json") as temporary:
            Path(temporary).write_text(json.dumps(self.results, indent=1, allow_nan=False) + "\n")
        files = ", ".join(sorted(path.name for path in self.out.iterdir() if path.is_file()))
        print(f"\nTook {self.results['seconds']:.0f} s. Wrote to {self.out}:\n  {files}")


NULLS = {
    "mean_image": "mean image",
    "start": "the attack's start",
    "unseen": "unseen images",
    "untrained": "untrained net",
}

DEMO_TEXT = """\
A network was trained on {n} samples of {case}. Here are its weights, {weights},
and nothing else. Gradient descent has made them a weighted sum of gradients at
the training samples, θ = Σ λᵢ yᵢ ∇Φ(xᵢ): this demo solves for the samples.
"""


def _table(rows, n):
    if "ssim" in next(iter(rows.values())):
        lines = [
            f"{'':26}{'NCC':>8}{'NCC':>11}{'SSIM':>9}{'SSIM':>9}{'SSIM':>11}",
            f"{'':26}{'median':>8}{'over 0.9':>11}{'median':>9}{'top 10':>9}{'over 0.4':>11}",
        ]
        for name, row in rows.items():
            ncc, ssim = row["ncc"], row["ssim"]
            over = [f"{count} of {n}" for count in (ncc["over_0.9"], ssim["over_0.4"])]
            lines.append(
                f"{name:26}{ncc['median']:8.3f}{over[0]:>11}{ssim['median']:9.3f}{ssim['top10_mean']:9.3f}{over[1]:>11}"
            )
    else:
        lines = [
            f"{'':26}{'candidates within':>20}{'samples with a':>20}",
            f"{'':26}{'0.15 of a sample':>20}{'candidate in 0.15':>20}",
        ]
        for name, row in rows.items():
            d = row["distance"]
            lines.append(f"{name:26}{d['candidates_within_0.15']:>20}{d['samples_within_0.15']:>20}")
    return "\n".join(lines)


def _versions():
    import platform
    from importlib.metadata import version

    return {"python": platform.python_version()} | {
        name: version(name) for name in ("minirecon", "numpy", "scipy", "autograd", "matplotlib")
    }


def _peak_mb():
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _demo(args):
    from . import experiments

    preset = experiments.DEMOS[args.case]
    print(DEMO_TEXT.format(weights=preset.weights, n=preset.n, case=args.case))
    run = _Run(args, f"minirecon-out/demo-{args.case}", {"case": args.case, **preset._asdict()})
    params, data, rec, score = experiments.demo(args.case, args.seed, progress=True)
    run.write_candidates(params, rec, data.class_names)
    run.write_score(score, data, len(rec.x))
    run.finish()


def _train(args):
    from . import checkpoint, datasets, figures
    from .train import train

    data = datasets.load_dataset(args.case, args.n)
    time_limit = args.time if args.time < float("inf") else None
    config = {
        "case": args.case,
        "n": args.n,
        "hidden": list(args.hidden),
        "method": args.method,
        "time": time_limit,
        "log_loss": args.log_loss,
        "first_scale": args.first_scale,
        "hidden_biases": args.hidden_biases,
    }
    run = _Run(args, f"minirecon-out/train-{Path(args.case).stem}", config)
    params, history = train(
        data,
        args.hidden,
        args.seed,
        method=args.method,
        target_time=time_limit,
        target_log_loss=args.log_loss,
        first_scale=args.first_scale,
        hidden_biases=args.hidden_biases,
        progress=True,
    )
    checkpoint.save(checkpoint.cast(params, "float16" if args.half else "float32"), run.out / "weights.npz")
    run.draw("training", figures.training(history))
    last = {key: values[-1].tolist() for key, values in history.items()}
    print(
        f"flow time T {last['time']:.4g} after {last['step']} steps, log L {last['log_loss']:.2f}, "
        f"smallest margin {last['min_margin']:.2f}"
    )
    held_out = "none held out" if last["test_accuracy"] is None else f"{last['test_accuracy']:.3f}"
    print(f"accuracy: training {last['train_accuracy']:.3f}, test {held_out} (of {len(data.x_test)} samples)")
    run.finish(n=args.n, training=last)


def _attack(args):
    from . import attack, checkpoint

    params = checkpoint.load(args.weights)
    settings = dict(attack.SETTINGS[args.optimizer])
    if args.iterations is not None:
        settings["iterations"] = args.iterations
    attack.check_attackable(params, args.weights)
    config = {"weights": args.weights, "m": args.m, "optimizer": args.optimizer, "dtype": args.dtype, **settings}
    run = _Run(args, f"minirecon-out/attack-{Path(args.weights).stem}", config)
    rec = attack.reconstruct(
        params, args.m, seed=args.seed, optimizer=args.optimizer, dtype=args.dtype, progress=True, **settings
    )
    if rec.interrupted:
        print(f"interrupted: keeping the best candidates of {len(rec.history['parameter'])} iterations")
    run.write_candidates(params, rec)
    run.finish()


def _score(args):
    from . import attack, datasets, metrics

    rec = attack.load_candidates(Path(args.dir) / "candidates.npz")
    data = datasets.load_dataset(args.against, args.n)
    score = metrics.score(rec, data)
    run = _Run(args, Path(args.dir) / "score", {"dir": args.dir, "against": args.against, "n": args.n})
    run.write_score(score, data, len(rec.x))
    run.finish(m=len(rec.x))
