"""DVC commands in forks of one process that has imported what stages share.

A cell of a tiny journey computes for a second and imports for five. Here DVC itself still decides
what runs, in which order, and writes the lock; only `python pipelines/x.py` is a fork that runs the
same file as `__main__`, with the command's own arguments, environment and working directory.

`WarmDvc` starts the process, which reads one JSON object a line and answers with one:
{cwd, env, arguments} -> {code, output}.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SHARED = (
    "accelerate",
    "diffusers",
    "dvc.cli",
    "dvc.repo.reproduce",
    "matplotlib",
    "optuna",
    "pandas",
    "PIL.Image",
    "pyarrow.parquet",
    "ruamel.yaml",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.linear_model",
    "timm",
    "torch",
    "torchmetrics",
    "torchvision.transforms.v2",
    "transformers",
)
LAZY = {
    "diffusers": "AutoencoderKL DDIMScheduler DiTPipeline StableDiffusionPipeline "
    "StableUnCLIPImg2ImgPipeline UNet2DConditionModel",
    "transformers": "CLIPModel CLIPTextModel CLIPTokenizer",
}


class WarmDvc:
    """The client: one server process, started when it is first asked."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, arguments: Sequence[str], *, cwd: Path, env: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run `dvc ARGUMENTS` in `cwd`; stdout and stderr come together, as stdout."""
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            )
        request = {"cwd": str(cwd), "env": env, "arguments": list(arguments)}
        pipes = self._server
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        pipes.stdin.write(json.dumps(request) + "\n")
        pipes.stdin.flush()
        answer = json.loads(pipes.stdout.readline())
        return subprocess.CompletedProcess(["dvc", *arguments], answer["code"], answer["output"])

    def close(self) -> None:
        """End the server, which holds nothing."""
        if self._server is not None:
            self._server.kill()
            with self._server:  # closes its pipes
                pass
            self._server = None


def serve() -> None:
    """Answer requests until stdin ends."""
    _import_shared()
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as output:
            code = _forked(lambda request=request, output=output: _dvc(request, output.fileno()))
            output.seek(0)
            text = output.read().decode("utf-8", errors="replace")
        sys.stdout.write(json.dumps({"code": code, "output": text}) + "\n")
        sys.stdout.flush()


def _import_shared() -> None:
    import importlib
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in SHARED:
            importlib.import_module(name)
        for package, names in LAZY.items():
            for name in names.split():
                getattr(importlib.import_module(package), name)
    assert "synthgap" not in sys.modules, "each clone has its own"


def _forked(work: Callable[[], int]) -> int:
    """Exit code of `work` in a forked process."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = work()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # noqa: BLE001 - a fork must not return into its parent's code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _dvc(request: dict[str, Any], output: int) -> int:
    """Run DVC in this process; its stages are forks of a process without DVC's threads."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    ours, theirs = _channel()
    if os.fork() == 0:
        ours.close()
        _run_stages(theirs)
        os._exit(0)
    theirs.close()
    import dvc.stage.run
    from dvc.cli import main
    from dvc.stage.exceptions import StageCmdFailedError

    started = dvc.stage.run._run

    def run(executable: str, cmd: str, **given: Any) -> None:
        if shlex.split(cmd)[0] != "python":
            started(executable, cmd, **given)
            return
        ours.send((cmd, given["cwd"], given["env"]))
        code = ours.recv()
        if code:
            raise StageCmdFailedError(cmd, code)

    dvc.stage.run._run = run
    return int(main(request["arguments"]))


def _channel() -> Any:
    from multiprocessing import Pipe

    return Pipe()


def _run_stages(channel: Any) -> None:
    while True:
        try:
            cmd, cwd, env = channel.recv()
        except EOFError:
            return
        channel.send(_forked(lambda cmd=cmd, cwd=cwd, env=env: _stage(cmd, cwd, env)))


def _stage(cmd: str, cwd: str, env: dict[str, str]) -> int:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = shlex.split(cmd)[1:]
    sys.path[:1] = [
        str(Path(cwd, sys.argv[0]).parent),
        *env.get("PYTHONPATH", "").split(os.pathsep),
    ]
    runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    serve()
