r"""Does training get near a KKT point? The paper's section 3 over flow time, by both ways of training."""

import numpy as np

from ..training import LEARNING_RATE
from . import trained
from .drawing import captions, curves

QUICK = {"target_time": 1e4, "gd_steps": 2_000}


def run(seed, progress, case="mnist", n=20, target_time=1e6, gd_steps=20_000):
    r"""Train the paper's network in log-loss time, and with plain steps of 0.01 from the same start.

    Returns a dict: of both histories (`flow_…`, `gd_…`, as in `train.TrainingRun`) all that is drawn.
    """
    arrays = {"case": case, "n": n}
    flow = {"target_time": target_time, "record_every": 5}
    gd = {"target_time": gd_steps * LEARNING_RATE, "method": "gd", "record_every": 20}
    for way, options in (("flow", flow), ("gd", gd)):
        net, _ = trained(case, n, (1000, 1000), seed, progress=progress, **options)
        arrays |= {f"{way}_{key}": values for key, values in net.history.items()}
    return arrays


def draw(data):
    r"""Loss, margins, norms and alignment over flow time, plain gradient descent dotted beside them; and two rates."""
    title = f"Training on {data['n']} samples of {data['case']}: "
    title += "log-loss time (lines) and plain gradient descent (dots)"
    keys = [key.removeprefix("gd_") for key in data if key.startswith("gd_")]
    flow, gd = ({key: data[f"{way}_{key}"] for key in keys} for way in ("flow", "gd"))
    later = np.flatnonzero(gd["time"])  # the axis is logarithmic
    dots = later[np.unique(np.geomspace(1, len(later), 25).astype(int)) - 1]
    more = (
        ("‖θ¹‖² / (−log L)^(2/3)", lambda run: {"": rates(run)[0]}),
        ("−log L − log T", lambda run: {"−log L − log T": rates(run)[1], "less ⁴⁄₃ log log T": rates(run)[2]}),
    )
    return curves.training(flow, title, {key: values[dots] for key, values in gd.items()}, more)


def rates(run):
    r"""What Lyu and Li (2020, Theorem 4.3) prove to stay between two constants, of a net with L = 3 layers.

    Returns
    -------
    arrays (times,), NaN up to T = e: ‖θ¹‖² / (−log 𝓛)^(2/L), −log 𝓛 − log T, and the second less (2 − 2/L) log log T,
    for 𝓛 is of the order 1 / (T (log T)^(2 − 2/L))
    """
    layers = run["norm"].shape[1]
    late = run["time"] > np.e
    time, log_loss = np.where(late, run["time"], np.nan), np.where(late, run["log_loss"], np.nan)
    excess = -log_loss - np.log(time)
    norm = run["norm"][:, 0] ** 2 / (-log_loss) ** (2 / layers)
    return norm, excess, excess - (2 - 2 / layers) * np.log(np.log(time))


def numbers(data):
    r"""Where both ways end, and how far apart they are where they overlap."""
    last = {key: values[-1].tolist() for key, values in data.items() if np.ndim(values)}
    then = {key: np.interp(last["gd_time"], data["flow_time"], data[f"flow_{key}"]) for key in ("log_loss", "step")}
    flow = {key: data[f"flow_{key}"] for key in ("time", "log_loss", "norm")}
    late = flow["time"] >= min(1e2, last["flow_time"])
    norm, excess, corrected = (values[late] for values in rates(flow))
    return {
        **{key: last[key] for key in ("gd_time", "gd_log_loss", "flow_time", "flow_log_loss")},
        **{key: last[f"flow_{key}"] for key in ("alignment", "norm", "test_accuracy")},
        "gd_steps": last["gd_step"],
        "flow_steps": last["flow_step"],
        "flow_log_loss_then": float(then["log_loss"]),
        "flow_steps_then": int(then["step"]),
        "start_norm": data["flow_norm"][0].tolist(),
        "norm_rate": [float(np.min(norm)), float(np.max(norm))],
        "excess": [float(excess[0]), float(excess[-1])],
        "corrected": [float(corrected[0]), float(corrected[-1])],
    }


def caption(data):
    r"""What the figure shows."""
    got = numbers(data)
    norms = captions.listed(f"{a:.3g} → {b:.3g}" for a, b in zip(got["start_norm"], got["norm"], strict=True))
    return captions.text("training", data=data, got=got, cosines=captions.listed(got["alignment"], ".2f"), norms=norms)
