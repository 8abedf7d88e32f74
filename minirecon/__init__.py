r"""minirecon: reconstruct the training data of a neural network from its weights (arXiv 2206.07758).

>>> import minirecon as mr
>>> data = mr.load_dataset("mnist", n=20)
>>> run = mr.train(data, hidden=(1000, 1000), seed=0)
>>> rec = mr.reconstruct(run.params, m=40, seed=0)  # sees the weights only
>>> score = mr.score(rec, data)  # uses the true training set

Contents, in the paper's order:
    mlp          section 3   the network Φ(θ; x), its gradients, the scalar of a sample whose gradients explain θ
    training     section 3   gradient descent and flow
    kkt          section 3   Theorem 3.1: what trained weights are made of
    losses       section 4   the reconstruction loss
    attack       section 4   its minimisation over samples and multipliers
    metrics      section 5   how good is a reconstruction?
    experiments  section 5   the figures and the demos, each from one command
    io, course, cli          files and data sets, coursework, the command line: no part of the paper
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

__version__ = "0.2.0"
__all__ = [  # noqa: RUF022  (the paper's order)
    "Layer", "CheckpointError", "UnsafeCheckpointError", "load", "save", "Dataset", "load_dataset",
    "train", "kkt_report", "multipliers", "tangent_kernel",  # section 3
    "parameter_loss", "lambda_loss", "range_loss", "reconstruct", "Reconstruction",  # section 4
    "ncc", "ssim", "score",  # section 5
]  # fmt: skip
