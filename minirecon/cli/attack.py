r"""`minirecon attack`: candidates from a weight file; begun, gone on with, or found to be finished."""

import json
import sys

from .. import attack, mlp
from ..attack import decay, restarts, resume
from ..io import weights
from ..io.files import read_npz
from .folder import named, record
from .output import Run, where_possible

GOES_ON = "The same command with --resume goes on."


def run_attack(args):
    r"""Reconstruct candidates from a weight file."""
    params = weights.load(args.weights)
    if not mlp.square_norm(mlp.cast(params, float)):
        raise ValueError(f"{args.weights}: ‖θ‖² is 0; expected the weights of a network that was trained")
    given = dict(args.set or [])
    if args.iterations is not None:
        given["iterations"] = args.iterations
    given |= {name: getattr(args, name) for name in ("decay", "loss") if getattr(args, name) is not None}
    given["inputs"] = args.inputs
    config, initial = {"m": args.m, "optimizer": args.optimizer, "dtype": args.dtype}, None
    if args.initial:
        initial = attack.start_of(weights.load(args.initial), params)
    settings = attack.complete(args.optimizer, given, len(params[-1].weight), initial)
    several = args.runs != 1 or args.jobs is not None or args.scheduler is not None
    runs = {"runs": args.runs} if several else {}
    identity = resume.identity(params, seed=args.seed, settings=settings, initial=initial, **config) | runs
    config |= settings
    echoed = {"weights": args.weights, **runs, **config, **({"initial": args.initial} if args.initial else {})}
    default, parts = f"minirecon-out/attack-{named(args.weights)}", "run-*.npz" if several else "state.npz"
    with Run(args, default, echoed, parts, args.resume) as run:
        state, saved = run.out / "state.npz", any(run.out.glob(parts))
        if args.resume and _finished(run.out, identity, saved):
            print(f"\n{run.out}: this attack is finished; nothing is left to do.")
            return
        if args.resume and not saved:
            print("Nothing to go on from there yet: starting anew.")
        if "decay" in settings:
            run.results["imbalance"] = decay.imbalance(params)
            if doubts := decay.doubts(params, settings["decay"], settings["loss"]):
                print(f"note: {doubts}", file=sys.stderr)
        known = {} if initial is None else {"initial": initial}
        if several:
            where = {"runs": args.runs, "jobs": args.jobs, "scheduler": args.scheduler, "folder": run.out}
            rec = restarts.restarts(params, seed=args.seed, progress=True, **where, **known, **config)
        else:
            rec = attack.reconstruct(params, seed=args.seed, progress=True, checkpoint=state, **known, **config)
        more = {"identity": json.dumps(identity)}
        run.write_candidates(params, rec, initial=initial, share=config.get("between"), **more)
        if several:
            where_possible(run.write_consensus, rec)
        if rec.interrupted:
            print(GOES_ON if several or state.exists() else "Too early to go on from: nothing is saved yet.")
        run.finish(spent=() if rec.interrupted else (state,))


def _finished(out, identity, saved):
    r"""Whether the attack in a folder is finished. ValueError if it is another one, and nothing was `saved` of this."""
    there, path = record(out), out / "candidates.npz"
    if there.get("command") != "attack" or there.get("interrupted") or (out / "state.npz").exists():
        return False
    try:
        resume.same(path, read_npz(path, "candidates"), identity)
    except ValueError:
        if not saved:
            raise
        return False  # more runs than there are, for instance: what there is of them is checked one by one
    return True
