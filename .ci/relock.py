"""Record a refactoring in dvc.lock without the full run: make relock [BASE=REVISION].

The tiny journey runs at BASE (by default the commit that last wrote dvc.lock) and in this working
tree, on this machine. If every output has the same digest on both sides, `dvc commit` records the
changed code in the real lock, whose outputs must be in the workspace; cells that the grid no longer
has are taken out. Otherwise a table says what changed, nothing is written, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from tiny_clone import SMALLER, Clone, copy_tree, make_tiny  # noqa: E402 - stands in tests/


def main() -> int:
    """Compare, then commit or refuse."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make relock")
    parser.add_argument("--base", default="")
    base = parser.parse_args().base or _git("log", "-1", "--format=%H", "--", "dvc.lock").strip()
    if other := _changed_beside_code():
        print("relock: more than code has changed since dvc.lock was written; run `dvc repro`:")
        print("\n".join(f"  {line}" for line in other))
        return 1
    with tempfile.TemporaryDirectory(prefix="synthgap-relock-") as folder:
        before, after = _outputs(Path(folder), base)
    rows = _differences(before, after)
    if rows:
        print(f"relock: outputs of the tiny journey changed since {base[:12]}; dvc.lock stays:")
        print("\n".join(rows))
        return 1
    print(f"relock: {len(after)} outputs of the tiny journey are the same as at {base[:12]}")
    _dvc("commit", "--force")
    print(f"relock: dvc.lock written, {_prune(ROOT / 'dvc.lock')} cells taken out")
    return 0


def _changed_beside_code() -> list[str]:
    """What `dvc status` finds changed that is not code: data, params or outputs."""
    found = json.loads(_dvc("status", "--json"))
    lines = []
    for stage, changes in found.items():
        for change in changes:
            if isinstance(change, str):  # "changed command"
                lines.append(f"{stage}: {change}")
                continue
            for kind, paths in change.items():
                code = kind == "changed deps"
                lines += [
                    f"{stage}: {path} {how}"
                    for path, how in paths.items()
                    if not (code and str(path).startswith(("src/", "pipelines/")))
                ]
    return lines


def _outputs(folder: Path, base: str) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of all outputs of the tiny journey, at the base and here; both run side by side."""
    old, new = folder / "base", folder / "head"
    old.mkdir()
    new.mkdir()
    archive = subprocess.run(["git", "archive", base], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
    (old / "dvc.lock").unlink(missing_ok=True)
    if not (old / SMALLER).is_file():
        (old / SMALLER).write_bytes((ROOT / SMALLER).read_bytes())
    copy_tree(ROOT, new)
    clones = [make_tiny(old), make_tiny(new)]
    running = [_start(clone) for clone in clones]
    for clone, process in zip(clones, running, strict=True):
        if process.wait() != 0:
            log = clone.root / "relock.log"
            sys.exit(f"relock: the tiny journey failed in {clone.root}:\n{log.read_text()[-3000:]}")
    return clones[0].locked(), clones[1].locked()


def _start(clone: Clone) -> subprocess.Popen[bytes]:
    with (clone.root / "relock.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"],
            cwd=clone.root,
            env={**clone.env, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    width = max(map(len, {*before, *after}))
    old, new = (dict.fromkeys({*before, *after}, "-") | side for side in (before, after))
    return [
        f"  {path:{width}}  {old[path][:12]:12} -> {new[path][:12]}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def _prune(path: Path) -> int:
    """Take cells out of the lock that dvc.yaml no longer makes; returns how many."""
    cells = {line.split()[0] for line in _dvc("stage", "list", "--name-only").splitlines() if line}
    lock = yaml.safe_load(path.read_text(encoding="utf-8"))
    stale = [name for name in lock["stages"] if name not in cells]
    if stale:
        for name in stale:
            del lock["stages"][name]
        partial = path.with_suffix(".partial")
        partial.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
        partial.replace(path)
    return len(stale)


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def _dvc(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=ROOT,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"relock: dvc {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
