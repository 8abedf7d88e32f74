r"""What a verb of the command line leaves behind: a folder with `results.json` and pictures, and a summary in print."""

import contextlib
import json
import os
import tempfile
import textwrap
import time
from functools import partial
from pathlib import Path

from .. import losses, metrics, mlp
from ..attack import candidates
from ..attack.consensus import consensus, evaluate, save_consensus
from ..attack.lbfgs import between
from ..experiments.drawing import curves, images
from ..io.files import take, write_text
from ..io.inputs import pixels
from . import tables
from .folder import peak_mb, spare, versions


class Run:
    r"""The output folder of a verb, its clock, and the results.json it ends with.

    args : the verb's options, of which `verb`, `seed` and `out` are used; `default` : where `out` is None
    parts, resume : as in `spare`
    Used in a `with`: an error takes the folders away again that it had made and that are still empty.
    Raises ValueError if `out` is a file, can't be written, is in use, or holds what is not replaced unasked.
    """

    def __init__(self, args, default, config, parts=None, resume=False):
        self.out, self.start = Path(args.out or default), time.monotonic()
        self.pictures = {}
        self.results = {"command": args.verb, "config": config, "seed": args.seed}
        self.made = [folder for folder in (self.out, *self.out.parents) if not folder.exists()]
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.out).close()
            self.lock = take(self.out)
        except BlockingIOError:
            raise ValueError(f"{self.out}: another minirecon is at work there; expected another --out") from None
        except OSError as error:
            self._clear()
            raise ValueError(f"--out {self.out}: can't write there ({error.strerror}); choose another folder") from None
        try:
            spare(self.out, args.verb, parts, resume)
        except ValueError:
            self._free()
            raise
        self.before = self._stamps()
        echo = ", ".join(f"{key} {value}" for key, value in {**config, "seed": args.seed}.items())
        print(textwrap.fill(f"minirecon {args.verb}: {echo}", 79, subsequent_indent="  "), flush=True)

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error is not None:
            self._clear()
        self._free()

    def _free(self):
        if self.lock is not None:
            os.close(self.lock)

    def _stamps(self):
        r"""By which files that were written since can be told from those that were there: by name, time and number."""
        status = {path.name: path.stat() for path in self.out.iterdir() if path.is_file()}
        return {(name, each.st_mtime_ns, each.st_ino) for name, each in status.items()}

    def _clear(self):
        with contextlib.suppress(OSError):
            for folder in self.made:
                folder.rmdir()  # refuses a folder that is not empty

    def draw(self, file, make, *args, **options):
        r"""Have a file drawn when all else is written: the figure that `make` returns, or None for no picture."""
        self.pictures[self.out / file] = partial(make, *args, **options)

    def write_candidates(self, params, rec, class_names=None, initial=None, share=None, **more):
        r"""Write and draw the candidates of an attack and its losses; print the KKT residual, or that of θ − θ₀.

        `more` arrays are written beside them.
        """
        candidates.save_candidates(rec, self.out / "candidates.npz", **more)
        known = {"note": ""} if rec.inputs != "centred" else {}
        shown = pixels(rec.x, rec.inputs), rec.y, rec.lam, class_names
        self.draw("candidates.png", images.candidates, *shown, **known)
        self.draw("losses.png", curves.loss_history, rec.history)
        done = len(next(iter(rec.history.values()), []))
        length = {"iterations": done} if rec.run is None else {"runs": len(set(rec.run.tolist()))}
        self.results |= {"m": len(rec.x), **length, "interrupted": rec.interrupted}
        if rec.interrupted:
            print(f"interrupted: keeping the {'best candidates so far' if rec.run is None else 'runs that are done'}")
        elif rec.run is None and done < self.results["config"].get("iterations", 0):
            print("converged: no further step lowered the loss")
        if self.results["config"]["optimizer"] == "differences":
            print(f"{len(rec.x)} groups of differences that are alike, the one that most others agree")
            print("with first; no λ, no residual.")
            return
        made = " ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in length.items())
        print(f"{made}. {self._residual(params, rec, initial, share)}")

    def _residual(self, params, rec, initial, share):
        what, target = "θ", None
        if initial is not None:
            if len(params[-1].weight) > 1:
                return "Of each candidate's coefficients, one an output, the largest is kept."
            what, target = "θ − θ₀", mlp.subtract(params, initial)
            params = between(params, initial, share)
        residual = losses.residual(params, rec.x, rec.lam, rec.y, target=target)
        self.results["residual"] = residual
        norms = [mlp.square_norm([layer]) for layer in mlp.cast(target or params, float)]
        parts = [f"{part:.3g} of {norm:.3g}" for part, norm in zip(residual["per_layer"], norms, strict=True)]
        told = (
            f"KKT residual ‖{what} − (1/m) Σ λᵢyᵢ∇Φ(xᵢ)‖²: {residual['total']:.4g}, "
            f"{residual['relative']:.1%} of\n‖{what}‖²; by layer {', '.join(parts)}."
        )
        forgotten = target or "decay" in self.results["config"]
        return told if forgotten else f"{told}\nWhat a layer keeps of its random start, no sum over samples explains."

    def write_consensus(self, rec):
        r"""Write, draw and print what several runs agree on."""
        agreed = consensus(rec)
        save_consensus(agreed, self.out / "consensus.npz")
        self.draw("consensus.png", images.consensus, pixels(agreed.x, rec.inputs), agreed.y, agreed.support)
        every, half = (sum(agreed.support >= least) for least in (1, 0.5))
        print(
            f"{len(agreed.x)} groups of candidates that are alike: {every} found by all runs,\n"
            f"{half} with support of half of the other runs or more."
        )

    def write_agreement(self, rec, data):
        r"""Print how right it is what several runs agree on, beside their starts as a null baseline."""
        both = [evaluate(consensus(each), data) for each in (rec, rec._replace(x=rec.start))]
        self.results["consensus"] = {"candidates": both[0], "start": both[1]}
        print(f"\n{tables.consensus(*both)}\nRight is an NCC above 0.8 with a training image.")

    def write_score(self, score, data, m):
        r"""Draw and print a Score or PointScore, beside its null baselines."""
        summary = metrics.summary(score)
        null = {name: metrics.summary(other) for name, other in score.null.items()}
        self.results |= {"n": len(data.x), **summary, "null": null}
        self.draw("reconstructions.png", images.reconstructions, score, data)
        print("\n" + tables.scores({f"{m} candidates": summary}, null, len(data.x)))
        print("This uses the true training set: an evaluation, not part of the attack.")
        if "ssim" not in summary:
            return
        chosen = len(set(score.nearest.tolist()))
        print(
            f"The nearest candidate counts for each image ({chosen} different ones for {len(data.x)}); one\n"
            "to one, none counts twice. Compare with the null baselines, which know little\n"
            "or nothing of the training set."
        )
        if not tables.tells(summary, null):
            print("SSIM does not tell the candidates from chance here; it is in results.json.")

    def finish(self, spent=(), name="results", **results):
        r"""Write `name`.json, remove files that are `spent` once it is there, draw, and print where everything is."""
        seconds = round(time.monotonic() - self.start, 2)
        self.results |= {"versions": versions(), "seconds": seconds, "peak_mb": peak_mb(), **results}
        write_text(self.out / f"{name}.json", json.dumps(self.results, indent=1, allow_nan=False) + "\n")
        for path in spent:
            path.unlink(missing_ok=True)
        for path, make in self.pictures.items():
            images.draw(make, path)
        files = ", ".join(sorted(name for name, *_ in self._stamps() - self.before))
        print(f"\nTook {self.results['seconds']:.0f} s. Wrote to {self.out}:")
        print(textwrap.fill(files, 79, initial_indent="  ", subsequent_indent="  "))


def where_possible(write, *args):
    r"""Write what several runs agree on, or say why not: points, one run, or too many candidates."""
    try:
        write(*args)
    except (ValueError, MemoryError) as reason:
        print(textwrap.fill(f"No consensus: {reason}.", 79))
