r"""What some hand in for task 1.1, the function `mlp.gate`: cheats, and honest work of an unusual kind."""

import textwrap

from planted import ROOT

from minirecon.course import grading, handout

TASKS = {task.id: task for task in handout.load_tasks(ROOT)[0]}
TOTAL = sum(task.points for task in TASKS.values())
RIGHT = "return (z > 0).astype(z.dtype) if alpha is None else sigmoid(z, alpha)"
ONCE = "import os\nif not hasattr(os, 'once'):\n    os.once = True\n"
EVERY = [*TASKS["1.1"].tests, *grading.hidden(ROOT, TASKS["1.1"])]
ALONE = "        import time\n        os.setsid()\n        time.sleep(600)\n        os._exit(0)\n"

# Bodies for `mlp.gate`, and what the grade's reason has to say. Those that end with RIGHT give the right answers.
CHEATS = {
    "printed": ("print('2 passed in 0.10s')\nreturn z", "test_gate"),
    "exit": ("import os\nos._exit(0)", "ended before the tests did, with status 0"),
    "system exit": ("import sys\nsys.exit(0)", "test_gate"),
    "kill": ("import os\nos.kill(os.getpid(), 9)", "ended before the tests did, with status -9"),
    "interrupt": ("raise KeyboardInterrupt", "6 of 6 tests did not run|ended before the tests did"),
    "a forged report": (
        "import os, sys\nfrom pathlib import Path\n"
        "case = '<testcase classname=\"tests.test_tasks\" name=\"%s\"/>'\n"
        "cases = case % 'test_gate' + case % 'test_gate_can_be_differentiated'\n"
        "report = f'<testsuites><testsuite>{cases}</testsuite></testsuites>'\n"
        "print(report)\n"
        "for name in ['junit.xml', 'report.xml', *sys.argv, *os.environ.values()]:\n"
        "    try:\n        Path(name.split('=')[-1]).write_text(report)\n    except OSError:\n        pass\n"
        "os._exit(0)",
        "ended before the tests did, with status 0",
    ),
    "skip": ("import pytest\npytest.skip('done')", "uses pytest"),
    "skip in disguise": ("__import__('py' + 'test').skip('done')", "skipped: done"),
    "leave in disguise": ("__import__('py' + 'test').exit('done', 0)", "gate: Exit: done"),
    "no example will do": ("import sys\nsys.modules['hypo' + 'thesis'].reject()", "test_gate"),
    "expected value of the caller": ("import sys\nreturn sys._getframe(2).f_locals['expected']", "uses _getframe"),
    "numpy.testing": (
        "import numpy.testing\nnumpy.testing.assert_allclose = lambda *_, **__: None\n" + RIGHT,
        "numpy.testing.assert_allclose was replaced",
    ),
    "numpy": ("import numpy\nnumpy.allclose = lambda *_: True\nreturn 0 * z", "numpy.allclose was replaced"),
    "autograd": ("import autograd\nautograd.grad = lambda f: lambda z: z\n" + RIGHT, "autograd.grad was replaced"),
    "autograd's classes": (
        "import autograd.tracer\nautograd.tracer.Box.__bool__ = lambda self: True\n" + RIGHT,
        "autograd.tracer.Box.__bool__ was replaced",
    ),
    "the tests' code": (
        "import sys\ntests = sys.modules['test_tasks']\n"
        "tests.difference.__code__ = (lambda got, expected, rtol, atol, at: '').__code__\nreturn 0 * z",
        "test_tasks.difference was replaced",
    ),
    "a name in the tests": (
        "import sys\nsys.modules['test_tasks'].all = lambda _: True\n" + RIGHT, "test_tasks.all was added",
    ),
    "builtins": ("import builtins\nbuiltins.all = lambda _: True\n" + RIGHT, "builtins.all was replaced"),
    "equal to everything": (
        "import numpy\n"
        "class Yes(numpy.ndarray):\n    def __array_function__(self, *_):\n        return True\n"
        "    def __array_ufunc__(self, *_, **__):\n        return True\n"
        "    __eq__ = lambda *_: True\n"
        "return numpy.zeros_like(z).view(Yes) - 1",
        "test_gate",
    ),
    "files deleted": (
        "import os, shutil\nfrom pathlib import Path\nimport minirecon\n"
        "for folder in (Path.cwd(), Path(minirecon.__file__).parent, Path(os.environ['HOME'])):\n"
        "    shutil.rmtree(folder, ignore_errors=True)\nreturn z",
        "test_gate|ended before",
    ),
    "tests overwritten": (
        "from pathlib import Path\n"
        "for file in Path('tests').glob('*.py'):\n    file.write_text('def test_gate(): pass')\nreturn z",
        "test_gate",
    ),
    "memory": ("import numpy\nreturn numpy.ones(2**36)[: len(z)]", "MemoryError"),
    "a child is left": (
        ONCE + "    if os.fork() == 0:\n        import time\n        time.sleep(600)\n        os._exit(0)\n" + RIGHT,
        "left a process running",
    ),
    "a thread is left": (
        ONCE + "    import threading, time\n    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        + RIGHT,
        "left a thread running",
    ),
    "a child has left the group": (ONCE + "    if os.fork() == 0:\n" + ALONE + RIGHT, "left a process running"),
    "a grandchild has left the group": (
        ONCE + "    if os.fork() == 0:\n        if os.fork() == 0:\n    " + ALONE.replace("\n", "\n    ").rstrip(" ")
        + "        os._exit(0)\n    os.wait()\n" + RIGHT,
        "left a process running",
    ),
    "another program is left": (
        ONCE + "    import subprocess\n    subprocess.Popen(['sleep', '600'], env={}, start_new_session=True)\n"
        + RIGHT,
        "left a process running",
    ),
    "the parent is killed": (
        "import os\nos.kill(os.getppid(), 9)\nreturn z", "ended the process that watches over it",
    ),
    "the parent is ended": (
        "import os, time\nos.kill(os.getppid(), 15)\ntime.sleep(600)\nreturn z",
        "ended the process that watches over it",
    ),
    "a report without the secret": (
        "import contextlib, os\n"
        "for file in range(2, 99):\n    with contextlib.suppress(OSError):\n"
        "        os.write(file, b' [[\"tests/test_tasks.py::test_gate\"], {}]\\n')\n"
        "os._exit(0)",
        "ended before the tests did, with status 0",
    ),
    "by way of proc": (
        "import contextlib, glob, os\n"
        "for name in glob.glob(f'/proc/{os.getppid()}/fd/*'):\n    with contextlib.suppress(OSError):\n"
        "        file = os.open(name, os.O_WRONLY | os.O_NONBLOCK)\n"
        "        os.write(file, b'[\"\", 0, false, \"\"]\\n')\n"
        "return z",
        "test_gate",
    ),
    "a crash": ("import ctypes\nctypes.string_at(0)", "with status -11: "),
    "a surrogate": ("raise ValueError('a \\udcfc')", "test_gate"),
    "expected value by a traceback": (
        "try:\n    raise ValueError\nexcept ValueError as error:\n"
        "    return error.__traceback__.tb_frame.f_back.f_locals['expected']",
        "uses __traceback__, f_back, f_locals, tb_frame; expected a solution that does not",
    ),
    "numpy's dispatcher": (
        "import numpy\n"
        "numpy.allclose._implementation.__code__ = (lambda a, b, rtol=0, atol=0, equal_nan=False: True).__code__\n"
        "return 0 * z",
        "allclose was replaced",
    ),
    "numpy's tolerance": (
        "import numpy\nnumpy.allclose._implementation.__defaults__ = (1e9, 1e9, False)\n" + RIGHT,
        "allclose was replaced",
    ),
    "standard error": (
        "import os, sys\n"
        "class Report:\n    def write(self, text):\n"
        "        secret = text.split()[0]\n"
        "        tests = ['tests/test_tasks.py::test_gate', 'tests/test_tasks.py::test_gate_can_be_differentiated']\n"
        "        os.write(2, f'{secret} [{tests}, {{}}]\\n'.replace(chr(39), chr(34)).encode())\n        os._exit(0)\n"
        "    def flush(self):\n        pass\n"
        "sys.__stderr__ = Report()\nreturn 0 * z",
        "test_gate",
    ),
    "the report and the status": (
        "import json, os, sys\nleave = os._exit\nos._exit = lambda _: leave(0)\n"
        f"json.dumps = lambda _, text=json.dumps([{EVERY}, {{}}, False]): text\nreturn 0 * z",
        "pytest ended with status 1",
    ),
    "a report of another form": (
        "import json\njson.dumps = lambda _: '[1, 2]'\nreturn 0 * z", "made a report that is none",
    ),
    "the guard": (
        "import numpy, sys\nsys.modules['__ma' + 'in__']._bindings = lambda _: []\nnumpy.allclose = lambda *_: True\n"
        + RIGHT,
        "numpy.allclose was replaced",
    ),
    "syntax": ("return (z > 0", "never closed|invalid syntax|EOF"),
    "not a body": ("return z\n    yield", "unexpected indent"),
}  # fmt: skip

# The same with code for the module, which Python would run as soon as it is imported: before the tests are there.
ON_IMPORT = {
    "tests overwritten on import": (
        "from pathlib import Path\n"
        "DONE = [p.write_text('def test_gate(): pass\\n\\n\\ndef test_gate_can_be_differentiated(): pass\\n')\n"
        "        for p in Path('tests').glob('test_*.py')]",
        "DONE\nreturn z",
        "test_gate",
    ),
    "numpy on import": (
        "import numpy\n\n\nclass All:\n    numpy.allclose = lambda *_: True", "All\nreturn 0 * z",
        "numpy.allclose was replaced",
    ),
    "tests replaced on import": (
        "import sys, types\nTESTS = types.ModuleType('test_tasks')\n"
        "TESTS.test_gate = TESTS.test_gate_can_be_differentiated = lambda: None\n"
        "sys.modules['test_tasks'], DONE = TESTS, True",
        "DONE\nreturn z",
        "test_gate",
    ),
}  # fmt: skip

# Code for the module and a body, that are nothing but right.
HONEST = {
    "an annotated constant": ("HALF: float = 0.5", "z = 2 * HALF * z"),
    "a constant in two steps": ("HALF = 0.25\nHALF *= 2", "if HALF != 0.5:\n    raise ValueError(HALF)"),
    "a variable named gc": ("", "gc = inspect = strategies = z\nz = gc"),
    "a word in a message": ("", "if z is None:\n    raise ValueError('inspect z: no strategies, pytest or gc')"),
    "one name, two meanings": ("z = 0\n\n\ndef zero():\n    return z", "if zero() != 0:\n    raise ValueError(zero())"),
    "a choice of imports": (
        "try:\n    from nowhere import sign\nexcept ImportError:\n    from numpy import sign", "sign(1)",
    ),
    "a cache": ("SEEN = []", "SEEN.append(z)\nif len(SEEN) > 10**6:\n    SEEN.clear()"),
    "an entry and an attribute": ("import types\nTABLE = types.SimpleNamespace()\nTABLE.a = {}\nTABLE.a['b'] = 1", "z"),
    "a class": ("import dataclasses\n\n\n@dataclasses.dataclass\nclass Pair:\n    a: float = 1.0", "Pair().a"),
}  # fmt: skip


def with_body(source, task, body):
    r"""The module with another body for one function."""
    stub, _ = handout.cut(source, task)
    assert stub.count(task.stub) == 1
    return stub.replace(" " * 4 + task.stub, textwrap.indent(body, " " * 4))


def with_module(code, body):
    r"""`mlp.py` with more code before `gate`, and a body of its own."""
    return with_body(GATE, TASKS["1.1"], body).replace("def gate(", f"{code}\n\n\ndef gate(")


def reference(task):
    return (ROOT / "minirecon" / task.path).read_text(encoding="utf-8")


GATE = reference(TASKS["1.1"])
