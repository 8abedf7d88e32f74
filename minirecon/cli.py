r"""The command line, `minirecon VERB`: options and printing; the mathematics is elsewhere."""

import argparse
import sys
import textwrap
from pathlib import Path

from .report import Run

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
        sub = verbs.add_parser(name, help=text, description=text)
        sub.add_argument("--seed", type=int, default=0, help="of all random numbers (default %(default)s)")
        sub.add_argument("--out", metavar="DIR", help=f"folder for results (default {out})")
        sub.set_defaults(run=run)
        return sub

    sub = verb("demo", _demo, "attack shipped weights, score the result, draw it", "minirecon-out/demo-CASE")
    cases = ["mnist", "cifar10", "colours", "circle"]
    sub.add_argument("case", nargs="?", choices=cases, default="mnist", help="which weights (default %(default)s)")

    count = {"type": int, "default": 20, "help": "training samples; the paper has 500 (default %(default)s)"}
    sub = verb("train", _train, "train a network and write its weights", "minirecon-out/train-CASE")
    sub.add_argument("case", help=CASES)
    sub.add_argument("--n", **count)
    sub.add_argument("--hidden", type=_widths, default="1000,1000", help="widths of hidden layers (%(default)s)")
    sub.add_argument(
        "--method", choices=["flow", "gd"], default="flow", help="log-loss time (default), or the paper's steps of 0.01"
    )
    sub.add_argument("--time", type=float, default=1e4, help="flow time to stop at, or inf (default %(default)g)")
    sub.add_argument("--log-loss", type=float, help="log L to stop at (default: none)")
    sub.add_argument("--first-scale", type=float, default=1e-4, help="of layer 1's initial weights (%(default)g)")
    sub.add_argument("--hidden-biases", action="store_true", help="biases in all hidden layers; not homogeneous")
    sub.add_argument("--half", action="store_true", help="write the weights as float16, half the size")

    sub = verb("attack", _attack, "reconstruct samples from weights; needs no data", "minirecon-out/attack-NAME")
    sub.add_argument("weights", help="trained weights, .npz")
    sub.add_argument("--m", type=int, default=40, help="candidates; twice n is a good choice (default %(default)s)")
    sub.add_argument(
        "--optimizer", choices=["lbfgs", "sgd"], default="lbfgs", help="L-BFGS-B (default), or the authors' SGD"
    )
    sub.add_argument("--iterations", type=int, help="default 600, for sgd 50000")
    sub.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="default %(default)s")
    sub.add_argument(
        "--set",
        type=_setting,
        action="append",
        metavar="NAME=NUMBER",
        help="another setting, as in alpha=50; may be repeated (default: those that the run prints first)",
    )

    sub = verb("score", _score, "compare candidates with the true training set", "DIR/score")
    sub.add_argument("dir", metavar="DIR", help="folder with candidates.npz, written by attack")
    sub.add_argument("--against", metavar="CASE", required=True, help=CASES)
    sub.add_argument("--n", **count)
    return parser


def _widths(text):
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected widths such as 1000,1000") from None


def _setting(text):
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdigit() else float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=NUMBER, such as alpha=50") from None


DEMO_TEXT = (
    "A network was trained on {n} samples of {case}. The attack is given its weights, {weights}, and nothing "
    "else. Gradient descent has made them a weighted sum of gradients at the training samples, "
    "θ = Σ λᵢ yᵢ ∇Φ(xᵢ). Solve that for the samples x and the multipliers λ, and training data appears."
)


def _demo(args):
    from . import attack, experiments

    preset = experiments.DEMOS[args.case]
    print(textwrap.fill(DEMO_TEXT.format(weights=preset.weights, n=preset.n, case=args.case), 79) + "\n")
    config = {"case": args.case, "weights": preset.weights, "n": preset.n, "m": preset.m, "optimizer": "lbfgs"}
    config |= {**attack.SETTINGS["lbfgs"], **preset.settings}
    with Run("demo", args.out or f"minirecon-out/demo-{args.case}", args.seed, config) as run:
        params, data, rec, score = experiments.demo(args.case, args.seed, progress=True)
        run.write_candidates(params, rec, data.class_names)
        run.write_score(score, data, len(rec.x))
        run.finish()


def _train(args):
    from . import checkpoint, datasets, figures
    from .train import train

    data = datasets.load_dataset(args.case, args.n)
    config = {
        "hidden": args.hidden,
        "method": args.method,
        "target_time": args.time if args.time < float("inf") else None,
        "target_log_loss": args.log_loss,
        "first_scale": args.first_scale,
        "hidden_biases": args.hidden_biases,
    }
    out = args.out or f"minirecon-out/train-{Path(args.case).stem}"
    with Run("train", out, args.seed, {"case": args.case, "n": args.n, **config}) as run:
        trained = train(data, seed=args.seed, progress=True, **config)
        if trained.interrupted:
            print("interrupted: keeping the weights so far")
        weights = checkpoint.cast(trained.params, "float16" if args.half else "float32")
        checkpoint.save(weights, run.out / "weights.npz")
        run.draw("training", figures.training(trained.history))
        last = {key: values[-1].tolist() for key, values in trained.history.items()}
        print(
            f"flow time T {last['time']:.4g} after {last['step']} steps, log L {last['log_loss']:.2f}, "
            f"smallest margin {last['min_margin']:.2f}"
        )
        held_out = f"test {last['test_accuracy']:.3f} (of {len(data.x_test)})" if len(data.x_test) else "no test set"
        print(f"accuracy: training {last['train_accuracy']:.3f} (of {args.n}), {held_out}")
        if not len(data.x_test):
            last["test_accuracy"] = None  # JSON has no NaN
        run.finish(n=args.n, training=last)


def _attack(args):
    from . import attack, checkpoint

    params = checkpoint.check(checkpoint.load(args.weights), args.weights, outputs=1)
    given = dict(args.set or [])
    if args.iterations is not None:
        given["iterations"] = args.iterations
    config = {"m": args.m, "optimizer": args.optimizer, "dtype": args.dtype}
    config |= attack.complete(args.optimizer, given)
    out = args.out or f"minirecon-out/attack-{Path(args.weights).stem}"
    with Run("attack", out, args.seed, {"weights": args.weights, **config}) as run:
        rec = attack.reconstruct(params, seed=args.seed, progress=True, **config)
        if rec.interrupted:
            print("interrupted: keeping the best candidates so far")
        run.write_candidates(params, rec)
        run.finish()


def _score(args):
    from . import candidates, datasets, metrics

    rec = candidates.load_candidates(Path(args.dir) / "candidates.npz")
    data = datasets.load_dataset(args.against, args.n)
    score = metrics.score(rec, data)
    config = {"dir": args.dir, "against": args.against, "n": args.n}
    with Run("score", args.out or Path(args.dir) / "score", args.seed, config) as run:
        run.write_score(score, data, len(rec.x))
        run.finish(m=len(rec.x))
