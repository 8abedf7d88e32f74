r"""Standard output and error that a reader may leave early, as in `minirecon … | head -1`: a run goes on in silence."""

import contextlib
import os
import sys


class Unbroken:
    r"""A stream whose writing goes nowhere, instead of raising BrokenPipeError, once nobody reads it any longer."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        r"""Write a text, or try to."""
        return self._try(self.stream.write, text)

    def flush(self):
        r"""Flush, or try to."""
        self._try(self.stream.flush)

    def _try(self, do, *args):
        try:
            return do(*args)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())  # where what is left in the stream goes, too, at the end
            os.close(nowhere)


@contextlib.contextmanager
def unbroken():
    r"""Both standard streams, `Unbroken`; a terminal without Greek shows ? for θ, and the run goes on."""
    with contextlib.ExitStack() as stack:
        for stream, redirect in (
            (sys.stdout, contextlib.redirect_stdout),
            (sys.stderr, contextlib.redirect_stderr),
        ):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
            if stream is not None:
                whole = Unbroken(stream)
                stack.enter_context(redirect(whole))
                stack.callback(whole.flush)
        yield
