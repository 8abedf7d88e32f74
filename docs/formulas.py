r"""Formulas: LaTeX between $` and `$, and in blocks of kind math, becomes MathML."""

import re

import latex2mathml.converter


def mathml(latex, display):
    r"""LaTeX as MathML. Raises ValueError for what latex2mathml does not know or leaves as it is."""
    latex = " ".join(latex.split())
    if len(re.findall(r"(?<!\\)\{", latex)) != len(re.findall(r"(?<!\\)\}", latex)):
        raise ValueError(f"{latex!r}: braces do not match")
    try:
        result = latex2mathml.converter.convert(latex, display=display)
    except Exception as error:
        raise ValueError(f"{latex!r}: {type(error).__name__} {error}") from None
    if left := re.search(r"\\\w*|<m\w>&</m\w>|[{}$]", result):
        raise ValueError(f"{latex!r}: {left[0]} can't be converted")
    return result


def inline_math(state, silent):
    r"""A rule for markdown-it: $`…`$ is a formula."""
    if not state.src.startswith("$`", state.pos) or (end := state.src.find("`$", state.pos + 2)) < 0:
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True
