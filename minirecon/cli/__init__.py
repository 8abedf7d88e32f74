r"""The command line, `minirecon VERB`: its options, and its errors in one line; `verbs` does the work."""

import argparse
import sys

import numpy as np

from .. import course, experiments
from ..attack import SETTINGS, decay
from ..experiments.demo import DEMOS
from ..io.archive import shown
from ..io.inputs import written
from ..io.weights import ENDINGS
from . import attack, figure, verbs
from .streams import unbroken

INPUTS = "what the network was given for pixels in [0, 1]: centred, less the mean training image; raw; or MEAN,STD, \
such as 0.1307,0.3081, for RGB R,G,B means, then R,G,B stds"
TRAINED = "The network must consist of Linear layers and ReLUs, with a bias in the first layer at most, and be trained \
long after it fits its samples, from a small start of layer 1. Otherwise: --initial for known initial weights of any \
size; after weight decay --optimizer differences or --decay, with biases in any layer."
CASES = "mnist, cifar10, colours, circle, a folder of MNIST or CIFAR-10 files, or an .npz file"


def main(argv=None):
    r"""Run one verb. Returns the exit status: 0; 1 if `course check` found a mistake; 2 with one line for bad input."""
    with unbroken():
        return _main(argv)


def _main(argv):
    args = _parser().parse_args(argv)
    try:
        with np.errstate(all="ignore"):  # what overflows is refused where it matters, in one line
            return args.run(args) or 0
    except (ValueError, OSError, NotImplementedError, ArithmeticError, MemoryError) as error:
        reason = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error
        unwritten = " is not written yet" if isinstance(error, NotImplementedError) else ""  # in a handout
        print(shown(f"minirecon {args.verb}: {reason}{unwritten}", 300), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"minirecon {args.verb}: interrupted before there was a result", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="minirecon",
        description="Reconstruct the training data of a neural network from its weights (arXiv 2206.07758).",
    )
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name, run, text, out=None, more="", among=subparsers):
        sub = among.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}. {more}")
        sub.set_defaults(run=run)
        if out is not None:
            sub.add_argument("--seed", type=seed, default=0, help="of all random numbers (default %(default)s)")
            sub.add_argument("--out", metavar="DIR", help=f"folder for results (default {out})")
        return sub

    def taken(sub, default="centred"):
        text = f"{INPUTS} (default {default or 'what the attack was told'})"
        sub.add_argument("--inputs", type=pixels_as, metavar="INPUTS", default=default, help=text)

    sub = verb("demo", verbs.run_demo, "attack shipped weights, score the result, draw it", "minirecon-out/demo-CASE")
    sub.add_argument("case", nargs="?", choices=list(DEMOS), default="mnist", help="whose weights (%(default)s)")

    def samples(sub, name, **options):
        sub.add_argument(name, metavar="CASE", help=CASES, **options)
        text = "training samples; the paper has 500 (default %(default)s)"
        sub.add_argument("--n", type=int, default=20, help=text)
        text = "2 (default), or 10 for MNIST and CIFAR-10; of an .npz file as many as it has"
        sub.add_argument("--classes", type=int, default=2, help=text)

    sub = verb("train", verbs.run_train, "train a network and write its weights", "minirecon-out/train-CASE")
    samples(sub, "case")
    taken(sub)
    sub.add_argument("--hidden", type=widths, default="1000,1000", help="widths of hidden layers (%(default)s)")
    text = "log-loss time (default), or the paper's steps of 0.01"
    sub.add_argument("--method", choices=["flow", "gd"], default="flow", help=text)
    text = "logistic (default for 2 classes), softmax (one output a class) or mse"
    sub.add_argument("--loss", choices=["logistic", "softmax", "mse"], help=text)
    text = "weight decay: L-BFGS to a stationary point, whatever --method and --time (default %(default)g)"
    sub.add_argument("--decay", type=float, default=0.0, help=text)
    sub.add_argument("--time", type=float, default=1e4, help="flow time to stop at (default %(default)g)")
    sub.add_argument("--first-scale", type=float, default=1e-4, help="of layer 1's initial weights (%(default)g)")
    sub.add_argument("--hidden-biases", action="store_true", help="biases in all hidden layers; not homogeneous")
    sub.add_argument("--save-initial", action="store_true", help="write the initial weights too, initial.pth")
    sub.add_argument("--half", action="store_true", help="write the weights as float16, half the size")

    sub = verb(
        "attack",
        attack.run_attack,
        "reconstruct samples from weights; needs no data",
        "minirecon-out/attack-NAME",
        more=TRAINED,
    )
    taken(sub)
    sub.add_argument("weights", help=f"trained weights, {ENDINGS}")
    sub.add_argument("--m", type=int, default=40, help="candidates; twice n is a good choice (default %(default)s)")
    sub.add_argument("--initial", metavar="FILE", help="weights before the training, or an earlier checkpoint")
    text = "the weight decay the net was trained with: multipliers are then known from x; --set samples=N tells n, too"
    sub.add_argument("--decay", type=float, help=text)
    text = "the loss it was trained with, beside --decay; default: logistic, of several outputs softmax"
    sub.add_argument("--loss", choices=["logistic", "softmax", "mse"], help=text)
    text = "L-BFGS (default), the authors' SGD, or differences of units: seconds"
    sub.add_argument("--optimizer", choices=list(SETTINGS), default="lbfgs", help=text)
    default, sgd, told = (each["iterations"] for each in (SETTINGS["lbfgs"], SETTINGS["sgd"], decay.DEFAULTS))
    sub.add_argument("--iterations", type=int, help=f"default {default}, for sgd {sgd}, with --decay {told}")
    sub.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="default %(default)s")
    text = "another setting, as in alpha=50; may be repeated (default: those that the run prints first)"
    sub.add_argument("--set", type=setting, action="append", metavar="NAME=NUMBER", help=text)
    sub.add_argument("--runs", type=int, default=1, help="how many, from different starts (default %(default)s)")
    sub.add_argument("--jobs", type=int, help="runs at a time on this machine (default: one on each core)")
    sub.add_argument("--scheduler", metavar="TCP", help="address of a Dask cluster for the runs: tcp://host:port")
    sub.add_argument("--resume", action="store_true", help="go on with an attack that was cut short in this folder")

    sub = verb("score", verbs.run_score, "compare candidates with the true training set", "DIR/score")
    sub.add_argument("dir", metavar="DIR", help="folder with candidates.npz, written by attack")
    samples(sub, "--against", required=True)
    taken(sub, None)

    sub = verb("kkt", verbs.run_kkt, "check the KKT conditions at the true training set", "minirecon-out/kkt-NAME")
    sub.add_argument("weights", help=f"trained weights, {ENDINGS}")
    samples(sub, "--against", required=True)
    taken(sub)

    sub = verb("figure", figure.figure, "one figure of the paper, or all", "minirecon-out/figure-NAME")
    names = [*experiments.NAMES, "all"]
    sub.add_argument("name", metavar="NAME", choices=names, help=", ".join(names))
    sub.add_argument("--quick", action="store_true", help="a smaller version, in under two minutes")
    sub.add_argument("--redraw", action="store_true", help="draw the data in the folder again; nothing is run")

    sub = verb("convert", verbs.convert, "write weights in another format")
    sub.add_argument("weights", metavar="IN", help=ENDINGS)
    sub.add_argument("output", metavar="OUT", help="the same; its ending chooses the format")

    sub = verb("inspect", verbs.inspect, "list what is in a weight file; runs and builds nothing")
    sub.add_argument("weights", metavar="FILE", help=ENDINGS)

    among = subparsers.add_parser("course", help="coursework: hand out, check, grade").add_subparsers(required=True)
    sub = verb("handout", course.write_handout, "write the students' copy, with holes in it", among=among)
    sub.add_argument("dir", metavar="DIR", help="a new folder")
    sub.add_argument("--variant", metavar="SEED", help="another set of the same tasks, chosen by this word")

    sub = verb("check", course.check, "try a task, and say what failed", among=among)
    sub.add_argument("task", nargs="?", metavar="TASK", help="1.2; or an assignment, 1 (default: all, with points)")
    sub.add_argument("--hint", action="count", help="a hint; twice: which known mistake fails just so")
    sub.add_argument("--seconds", type=float, default=300, help="time limit (default %(default)g)")

    export = verb("export", course.write_export, "write an autograder for a platform", among=among)
    export.add_argument("kind", choices=["gradescope", "classroom"], help="which platform")
    export.add_argument("dir", metavar="OUT", help="a new folder")

    sub = verb("grade", course.grade, "grade a submission, or a class", more=course.NO_SANDBOX, among=among)
    sub.add_argument("submission", metavar="SUBMISSION", help="a student's folder, or a folder or zip of many")
    for each in (export, sub):
        each.add_argument("--assignment", type=int, metavar="N", help="its tasks alone (default: all)")
        each.add_argument("--variant", metavar="SEED", help="that of the handout, if it was made with one")
    sub.add_argument("--seconds", type=float, default=60, help="time limit of one task (default %(default)g)")
    sub.add_argument("--jobs", type=int, help="tasks at a time (default: one on each core)")
    sub.add_argument("--out", metavar="DIR", help="folder for grades.json, .csv (default minirecon-out/grades)")
    return parser


def seed(text):
    r"""A whole number, 0 or more. Of a ValueError here argparse makes "argument --seed: invalid seed value: '-1'"."""
    if int(text) < 0:
        raise ValueError
    return int(text)


def widths(text):
    r"""Widths of hidden layers, such as 1000,1000."""
    return tuple(int(width) for width in text.split(","))


def setting(text):
    r"""NAME=NUMBER, such as alpha=50: a name, and an int where it can be one."""
    name, _, number = text.partition("=")
    return name, int(number) if number.isdigit() else float(number)


def pixels_as(text):
    r"""What a network was given for pixels, as `io.inputs` writes it."""
    try:
        return written(text)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(reason) from None
