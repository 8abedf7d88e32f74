r"""Coursework: what was handed in, as it comes: folders, archives, and what Moodle and Canvas make of a class.

Nothing is run here, and of an archive nothing but source is unpacked. No part of the paper.
"""

import os
import re
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

MOST = 2000, 2**26  # files and bytes that are unpacked of an archive
# What the platforms call a submission. Moodle: a folder each. Canvas: files side by side, "-1" where handed in again.
MOODLE = re.compile(r"(?P<student>.+)_(?P<id>\d+)_assignsubmission_file_?")
CANVAS = re.compile(r"(?P<student>[^_]+)(?:_LATE)?_(?P<id>\d+)_\d+_(?P<file>.+?)(?:-\d+)?(?P<ending>\.\w+)")


class Submission(NamedTuple):
    r"""The folder of a student's modules, or None and a remark why there is none; the student, and the id if known."""

    folder: Path | None
    remark: str
    student: str
    id: str


def submissions(path, modules, scratch):
    r"""All that was handed in: a dict of names, each with a Submission.

    Parameters
    ----------
    path : Path, a student's folder, which holds minirecon/ or its modules; a folder of such folders and archives, a
        class; or a zip archive of any of them
    modules : the paths that are looked for, in minirecon/
    scratch : Path, an empty folder for what is unpacked

    Raises
    ------
    ValueError : nothing can be read
    """
    name, top = path.resolve().name, path.resolve()
    if top.is_file():
        name, top = path.stem, _only(unpack(top, modules, scratch))
    if (top / "minirecon").is_dir() or any((top / module).is_file() for module in modules):
        found = {name: top}
    else:
        found = {each.name: each for each in sorted(top.iterdir()) if not each.name.startswith((".", "__MACOSX"))}
        found = _sorted_by_student(found)
    entries = {}
    for name, each in found.items():
        who = CANVAS.fullmatch(each[0].name) if isinstance(each, list) else MOODLE.fullmatch(name)
        student = (who["student"], who["id"]) if who else (name, "")
        try:
            folder = _side_by_side(each, scratch) if isinstance(each, list) else each
            entries[name] = Submission(_folder(folder, modules, scratch), "", *student)
        except Exception as error:  # of whatever kind
            entries[name] = Submission(None, f"not read: {error}", *student)
    if all(entry.folder is None for entry in entries.values()):
        said = "".join(f"; {entry.remark}" for entry in list(entries.values())[:1])
        raise ValueError(f"{path}: expected a folder that holds minirecon/, or a folder or zip of such folders{said}")
    return entries


def _sorted_by_student(found):
    r"""The same, with the files that Canvas puts side by side in a list for each student."""
    result = {}
    for name, path in found.items():
        one = CANVAS.fullmatch(name)
        key = f"{one['student']}_{one['id']}" if one else name
        if not one or key in found or not path.is_file() or path.is_symlink():
            result[name] = path
        else:
            result.setdefault(key, []).append(path)
    return result


def _side_by_side(paths, scratch):
    r"""A folder with the files of one student, called as they were before Canvas renamed them."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    for path in paths:
        one = CANVAS.fullmatch(path.name)
        new = folder / (one["file"] + one["ending"])
        if one["ending"] == ".zip":
            (folder / path.name if new.exists() else new).symlink_to(path)
        elif path.stat().st_size <= MOST[1]:
            shutil.copyfile(path, new)
    return folder


def _only(folder):
    r"""The folder itself; or what it holds, if that is one folder which is no student's."""
    inside = [each for each in folder.iterdir() if not each.name.startswith((".", "__MACOSX"))]
    if len(inside) == 1 and inside[0].is_dir() and inside[0].name != "minirecon" and not MOODLE.match(inside[0].name):
        return _only(inside[0])
    return folder


def _folder(path, modules, scratch):
    r"""The folder of the modules of one student. Raises ValueError or OSError if there is none, or more than one."""
    if path.is_symlink():
        raise ValueError("a link, which is not followed; expected a folder or a zip")
    if path.is_file():
        path = unpack(path, modules, scratch)
    os.listdir(path)  # raises, where it can't be read
    levels = [path.glob(f"{above}minirecon") for above in ("", "*/", "*/*/")]
    levels = [[each for each in found if each.is_dir() and "__MACOSX" not in each.parts] for found in levels]
    folder, *more = next(filter(None, levels), [path])  # or the modules themselves
    there = [folder / module for module in modules if (folder / module).exists()]
    if more:
        raise ValueError(f"{len(more) + 1} folders minirecon/ in it; expected one")
    if folder == path and not there:
        archives = sorted(path.glob("*.zip"))
        if len(archives) == 1:
            return _folder(unpack(archives[0], modules, scratch), modules, scratch)
        if not list(path.glob("*.ipynb")):
            others = ", ".join(sorted(each.name for each in path.iterdir())[:3])
            raise ValueError(f"no folder minirecon/ in it{others and f', but {others}'}")
    if out := [each for each in there if not each.resolve().is_relative_to(path)]:
        raise ValueError(f"{out[0].relative_to(path)} is a link out of it, which is not followed")
    return folder


def unpack(archive, modules, scratch):
    r"""Write what matters of a zip archive into a new folder in `scratch`: modules, notebooks, archives. Returns it.

    Of other files near the top there are the names alone, empty: whoever handed in nothing else is there too.
    Raises ValueError for what is none, or too large, and RuntimeError if it is encrypted.
    """
    if not zipfile.is_zipfile(archive):
        raise ValueError(f"{archive.name} is no folder and no zip; expected one that holds minirecon/")
    folder, names = Path(tempfile.mkdtemp(dir=scratch)).resolve(), {Path(module).name for module in modules}
    with zipfile.ZipFile(archive) as file:
        wanted, others = [], []
        for info in file.infolist():
            name = Path(info.filename)
            ours = name.name in names or "minirecon" in name.parts[:-1] or CANVAS.fullmatch(name.name)
            if {"__MACOSX", "site-packages"} & {*name.parts} or stat.S_ISLNK(info.external_attr >> 16):
                continue
            if name.suffix in (".ipynb", ".zip") or (ours and name.suffix == ".py"):
                wanted.append(info)
            elif len(name.parts) < 3 and len(others) < MOST[0] and ".." not in name.parts and not name.is_absolute():
                others.append(folder / name / "-" if info.is_dir() else folder / name)
        size = sum(info.file_size for info in wanted)
        if len(wanted) > MOST[0] or size > MOST[1]:
            raise ValueError(f"{len(wanted)} files of {size} bytes in {archive.name}; expected {MOST[0]} of {MOST[1]}")
        for info in wanted:
            file.extract(info, folder)  # without .. and the like, as zipfile does it
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name != "-":
            path.touch()
    return folder
