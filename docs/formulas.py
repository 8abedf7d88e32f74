r"""Formulas: LaTeX between $` and `$, and in blocks of kind math, becomes MathML."""

import itertools
import re
import xml.etree.ElementTree as ET

import latex2mathml.converter

SPACE = "{http://www.w3.org/1998/Math/MathML}"
LIMITS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
ABOVE_AND_BELOW = {"∑", "∏", "min", "max", "sup", "inf", "lim"}
SCRIPTS = ("msub", "msup", "msubsup")
UPRIGHT = set("ΓΔΘΛΞΠΣΦΨΩ")
OPENING = set("([,;=≤≥<>≈⟨·→")  # what stands before a sign that is no operation
LONG, BREAKS = 13, {"=", "+", "≤", "≥", "≈", "→"}  # children of a formula, and where it may go on in a new line
SEPARATORS = {"⟨": "prefix", "⟩": "postfix", ";": "infix"}

ET.register_namespace("", SPACE[1:-1])


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
    return placed(result)


def placed(mathml):
    r"""MathML as latex2mathml makes it, set as in print: limits, brackets, signs and the spaces at them.

    Limits stand above and below their operator; in running text a browser sets them beside it: they are movable.
    """
    root = ET.fromstring(mathml)
    for node in root.iter():
        tag, children = node.tag.removeprefix(SPACE), list(node)
        if tag in (*LIMITS, *LIMITS.values()) and children[0].text in ABOVE_AND_BELOW and not len(children[0]):
            node.tag = SPACE + LIMITS.get(tag, tag)
            children[0].set("movablelimits", "true")
        if tag in SCRIPTS:
            for sign in (sign for script in children[1:] for sign in script.iter(f"{SPACE}mo")):
                sign.attrib.update(lspace="0", rspace="0")
        if tag == "mi" and node.text in SEPARATORS:
            node.tag = SPACE + "mo"
            node.attrib.update(form=SEPARATORS[node.text], stretchy="false")
        if tag == "mi" and node.text in UPRIGHT:
            node.set("mathvariant", "normal")
        if tag == "mo" and node.text == "‖" and not node.get("fence"):
            node.set("stretchy", "false")
        for before, sign in itertools.pairwise(children):
            if sign.text in ("−", "+") and before.text in OPENING:
                sign.set("form", "prefix")
    return "".join(ET.tostring(part, encoding="unicode") for part in broken(root))


def broken(root):
    r"""A long formula in running text as several, for a browser breaks lines between formulas only."""
    row, parts = list(root[0]), []
    if root.get("display") == "block" or len(row) <= LONG:
        return [root]
    for node in row:
        if not parts or node.text in BREAKS:
            parts.append(ET.Element(root.tag, root.attrib))
            ET.SubElement(parts[-1], root[0].tag)
            if node is not row[0]:
                node.set("form", "infix")  # it has lost what stands to its left
        parts[-1][0].append(node)
    return parts


def inline_math(state, silent):
    r"""A rule for markdown-it: $`…`$ is a formula."""
    if not state.src.startswith("$`", state.pos) or (end := state.src.find("`$", state.pos + 2)) < 0:
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True
