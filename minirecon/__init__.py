r"""minirecon: reconstruct the training data of a neural network from its weights (arXiv 2206.07758).

>>> import minirecon as mr
>>> data = mr.load_dataset("mnist", n=20)
>>> run = mr.train(data, hidden=(1000, 1000), seed=0)
>>> rec = mr.reconstruct(run.params, m=40, seed=0)  # sees the weights only
>>> score = mr.score(rec, data)  # uses the true training set
"""

from .attack import reconstruct
from .attack.candidates import Reconstruction
from .io.datasets import Dataset, load_dataset
from .io.unpickle import UnsafeCheckpointError
from .io.weights import load, save
from .kkt import kkt_report, multipliers, tangent_kernel
from .losses import lambda_loss, parameter_loss, range_loss
from .metrics import ncc, score, ssim
from .mlp import CheckpointError, Layer
from .training import train

__version__ = "0.1.0"
__all__ = [
    "CheckpointError",
    "Dataset",
    "Layer",
    "Reconstruction",
    "UnsafeCheckpointError",
    "kkt_report",
    "lambda_loss",
    "load",
    "load_dataset",
    "multipliers",
    "ncc",
    "parameter_loss",
    "range_loss",
    "reconstruct",
    "save",
    "score",
    "ssim",
    "tangent_kernel",
    "train",
]
