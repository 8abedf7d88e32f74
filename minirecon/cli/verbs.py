r"""What each verb of the command line does: it calls the package and prints; the mathematics is elsewhere."""

import contextlib
import textwrap
from pathlib import Path

from .. import attack, kkt, metrics, mlp
from ..attack import candidates
from ..experiments.demo import DEMOS, demo
from ..experiments.drawing import curves
from ..io import datasets, inputs, weights
from ..io.archive import shown
from ..training import train
from . import tables
from .folder import named
from .output import Run, where_possible

DEMO_TEXT = (
    "A network {trained}. The attack is given its weights{also} and nothing else. Gradient descent drives weights "
    "towards a weighted sum of gradients at the training samples, {equation}. {solve}, and training data appears."
)


def run_demo(args):
    r"""Attack shipped weights, score, draw."""
    preset = DEMOS[args.case]
    text = {"trained": f"was trained on {preset.n} samples of {args.case}", "equation": "θ = Σ λᵢ yᵢ ∇Φ(xᵢ)"}
    text["also"] = f", {preset.weights}," + f" the number {preset.n}," * ("samples" in preset.settings)
    if not preset.weights:
        classes = preset.training.get("classes", 2)
        text["trained"] = f"is now trained on {preset.n} samples of {preset.data} in {classes} classes"
        text["also"] = " and those it began with" * preset.known
    text["solve"] = "Solve that for the samples x and the multipliers λ"
    if preset.known:
        text["equation"] = "θ − θ₀ = Σ cᵢ ∇Φ(xᵢ) with c of either sign"
    optimizer = preset.settings.get("optimizer", "lbfgs")
    if optimizer == "differences":
        text["solve"] = "Units of layer 1 that differ in one sample differ by that sample: subtract them"
    print(textwrap.fill(DEMO_TEXT.format(**text), 79) + "\n")
    given = {key: value for key, value in preset._asdict().items() if key not in ("settings", "training") and value}
    chosen = {key: value for key, value in preset.settings.items() if key != "optimizer"}
    settings = attack.complete(optimizer, chosen, preset.training.get("classes", 1), preset.known or None)
    config = {"case": args.case, **given, **preset.training, "optimizer": optimizer, **settings}
    with Run(args, f"minirecon-out/demo-{args.case}", config) as run:
        params, initial, data, rec, score = demo(args.case, args.seed, progress=True)
        run.write_candidates(params, rec, data.class_names, initial, config.get("between"))
        run.write_score(score, data, len(rec.x))
        run.finish()


def run_train(args):
    r"""Train a network and write its weights."""
    data = datasets.load_dataset(args.case, args.n, args.classes, args.inputs)
    names = ("hidden", "loss", "decay", "method", "first_scale", "hidden_biases")
    config = {name: getattr(args, name) for name in names}
    config["loss"] = args.loss or ("logistic" if args.classes == 2 else "softmax")
    config["target_time"] = None if args.time == float("inf") else args.time
    echoed = {"case": args.case, "n": args.n, "classes": args.classes, "inputs": args.inputs, **config}
    with Run(args, f"minirecon-out/train-{Path(args.case).stem}", echoed) as run:
        trained = train(data, seed=args.seed, progress=True, **config)
        if trained.interrupted:
            print("interrupted: keeping the weights so far")
        for name, params in {
            "weights": trained.params,
            **({"initial": trained.initial} if args.save_initial else {}),
        }.items():
            weights.save(mlp.cast(params, "float16" if args.half else "float32"), run.out / f"{name}.pth")
        run.draw("training.png", curves.training, trained.history)
        last = {key: values[-1].tolist() for key, values in trained.history.items()}
        time = f"flow time T {last['time']:.4g} after {last['step']} steps, " * (not args.decay)
        print(f"{time}log L {last['log_loss']:.2f}, smallest margin {last['min_margin']:.2f}")
        if args.decay:
            print(textwrap.fill(tables.rest(trained.params, last), 79))
        held_out = f"test {last['test_accuracy']:.3f} (of {len(data.x_test)})" if len(data.x_test) else "no test set"
        print(f"accuracy: training {last['train_accuracy']:.3f} (of {args.n}), {held_out}")
        if not len(data.x_test):
            last["test_accuracy"] = None  # JSON has no NaN
        run.finish(n=args.n, training=last, interrupted=trained.interrupted)


def run_score(args):
    r"""Score the candidates in a folder against a training set."""
    rec = candidates.load_candidates(Path(args.dir) / "candidates.npz")
    taken = args.inputs or rec.inputs
    if rec.inputs not in ("centred", taken):
        raise ValueError(f"--inputs {taken}: the attack was told {rec.inputs}; expected the same, or none")
    data = datasets.load_dataset(args.against, args.n, args.classes, taken)
    score = metrics.score(rec, data)
    config = {"dir": args.dir, "against": args.against, "n": args.n, "classes": args.classes, "inputs": taken}
    with Run(args, Path(args.dir) / "score", config) as run:
        run.write_score(score, data, len(rec.x))
        if rec.run is not None and rec.start is not None:
            where_possible(run.write_agreement, rec, data)
        run.finish(m=len(rec.x))


def run_kkt(args):
    r"""Check the KKT conditions of weights at the true training set."""
    params = weights.load(args.weights)
    data = datasets.load_dataset(args.against, args.n, args.classes, args.inputs)
    config = {"weights": args.weights, "against": args.against, "n": args.n, "classes": args.classes}
    config["inputs"] = args.inputs
    with Run(args, f"minirecon-out/kkt-{named(args.weights)}", config) as run:
        try:
            report = kkt.kkt_report(params, data)
        except ValueError as reason:
            other = _fits_better(params, data, 1.0)
            raise ValueError(f"{reason}; --inputs {other} fits these weights" if other else reason) from None
        alone = kkt.kkt_report(params, data, mlp.margin_of_classes) if len(params[-1].weight) > 1 else None
        run.draw("kkt.png", curves.kkt, report, data.name)
        print("\n" + tables.kkt(report, alone))
        print("This uses the true training set: a test of the theory, not part of the attack.")
        other = _fits_better(params, data, _left(report))
        if other:
            print(f"Layer 1 is explained far better at other inputs: --inputs {other}")
        arrays = {name: getattr(report, name).tolist() for name in ("margin", "lam", "late")}
        run.finish(n=args.n, **{**report._asdict(), **arrays})


def _left(report):
    r"""The share of layer 1, which starts from almost nothing, that the best λ leaves unexplained."""
    return report.residual["best"]["per_layer"][0] / report.residual["zero"]["per_layer"][0]


def _fits_better(params, data, left):
    r"""Of the usual inputs those at which less than half as much of layer 1 is left unexplained as `left`, or None."""
    found = {}
    for name in inputs.usual(data):
        with contextlib.suppress(ValueError):  # samples are misclassified
            found[name] = _left(kkt.kkt_report(params, inputs.changed(data, name)))
    best = min(found, key=found.get, default=None)
    return best if found and found[best] < left / 2 else None


def convert(args):
    r"""Write weights in another format."""
    params = weights.load(args.weights)
    weights.save(params, args.output)
    print(textwrap.fill(f"minirecon convert: wrote {args.output}, {tables.network(params)}", 79))


def inspect(args):
    r"""Print what a weight file holds, and whether it can be attacked."""
    tensors = weights.read_tensors(args.weights)
    print(f"minirecon inspect: {args.weights} holds {len(tensors)} tensor{'s' * (len(tensors) != 1)}")
    for name, tensor in tensors.items():
        span = "" if tensor.dtype.kind not in "iuf" else "empty"
        if span and tensor.size:
            span = f"from {tensor.min():.4g} to {tensor.max():.4g}"
        shape = shown(" × ".join(map(str, tensor.shape)) or "a number")
        print(f"  {shown(name):24} {shape:16} {shown(tensor.dtype, 20):9} {span}".rstrip())
    print(f"{sum(tensor.size for tensor in tensors.values()):,} parameters")
    ignored = [*tensors.ignored, *(name for name, tensor in tensors.items() if weights.is_beside(name, tensor))]
    if ignored:
        print(textwrap.fill(f"passed over: {_listed(ignored)}", 79))
    try:
        params, names = weights.assemble(tensors), weights.layers(tensors)
    except weights.CheckpointError as error:
        print(textwrap.fill(f"not a network to attack: {shown(error, 300)}", 79))
    else:
        print(textwrap.fill(tables.network(params), 79))
        print(textwrap.fill(f"its layers, in this order: {_listed(names)}", 79))


def _listed(names):
    return ", ".join([shown(name) for name in list(names)[:9]] + ["…"] * (len(names) > 9))
