"""Start-up stays light, and the training core runs on a bare accelerator machine."""

from __future__ import annotations

import subprocess
import sys

import pytest
from checkout_files import PACKAGE, ROOT

HEAVY = (
    "accelerate", "diffusers", "dvc", "great_expectations", "matplotlib", "mlflow", "optuna",
    "pandas", "pyarrow", "scipy", "sklearn", "timm", "torch", "torchvision", "transformers",
)  # fmt: skip
BARE = ("guidance", "training", "models", "data", "params", "jobs")
GIVEN = ("torch", "torchvision", "timm", "accelerate", "numpy", "PIL", "safetensors", "synthgap")

LIGHT_SCRIPT = """
import sys
import synthgap, synthgap.stage, synthgap.cli
try:
    synthgap.cli.main([%r])
except SystemExit:
    pass
print("\\n".join(sys.modules), file=sys.stderr)
"""

# Judged by who asks: what the given libraries themselves need comes with them.
BARE_SCRIPT = """
import builtins, importlib, sys
given = set(%r) | sys.stdlib_module_names
plain = builtins.__import__
def judged(name, globals=None, locals=None, fromlist=(), level=0):
    asker = (globals or {}).get("__name__", "")
    if asker.partition(".")[0] == "synthgap" and level == 0 and name.partition(".")[0] not in given:
        raise ImportError(f"{asker} imports {name}")
    return plain(name, globals, locals, fromlist, level)
builtins.__import__ = judged
for module in %r:
    importlib.import_module(module)
"""


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_the_command_and_the_stages_start_without_heavy_imports(argument):
    ended = _python(LIGHT_SCRIPT % argument)
    assert ended.returncode == 0, ended.stderr
    loaded = {name.partition(".")[0] for name in ended.stderr.split()}
    assert loaded.isdisjoint(HEAVY), sorted(loaded & set(HEAVY))


def test_the_training_core_needs_no_more_than_an_accelerator_machine_has():
    modules = ["synthgap.errors", "synthgap.seeding", *_modules()]
    ended = _python(BARE_SCRIPT % (GIVEN, modules))
    assert ended.returncode == 0, ended.stderr.strip().splitlines()[-1]


def test_an_import_that_is_not_there_would_be_seen(tmp_path):
    package = tmp_path / "synthgap"
    package.mkdir()
    (package / "__init__.py").write_text("import yaml\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + BARE_SCRIPT
    ended = _python(script % (GIVEN, ["synthgap"]))
    assert "synthgap imports yaml" in ended.stderr


def _modules() -> list[str]:
    files = [path for name in BARE for path in (PACKAGE / name).rglob("*.py")]
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]
    return sorted(name.removesuffix(".__init__") for name in names)


def _python(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", script]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
