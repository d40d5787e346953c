"""A real PostgreSQL server of Debian's package, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER = "synthgap"
SPEED = "-c fsync=off"  # for tests: what is lost with the machine does not matter


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version there is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Server:
    """Opened by a password only; initdb refuses root, so as root it is user `postgres`'s."""

    def __init__(self, programs: Path, options: str = SPEED) -> None:
        self.programs, self.options = programs, options
        self.folder = Path(tempfile.mkdtemp(prefix="synthgap-pg-"))  # short: sockets lie in it
        self.password, self.port = secrets.token_urlsafe(16), free_port()
        self.url = f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the data folder and start; pg_ctl returns when the server answers."""
        kept = self.folder / "password"
        kept.write_text(self.password)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self.folder, kept):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        auth = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={kept}"]
        self._run("initdb", "--no-sync", "--encoding=UTF8", "--locale=C", *auth)
        kept.unlink()
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} {self.options}"
        self._run("pg_ctl", "--wait", f"--log={self.folder}/log", f"--options={options}", "start")

    def stop(self) -> None:
        """Stop, if it was started, and delete the folder."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "--mode=immediate", "--wait", "stop")
        shutil.rmtree(self.folder)

    def _run(self, name: str, *words: str) -> None:
        command = [str(self.programs / name), f"--pgdata={self.folder}/data", *words]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        with (self.folder / "said").open("wb") as output:  # a pipe would stay open with the server
            done = subprocess.run(command, check=False, stdout=output, stderr=output, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{name}: {(self.folder / 'said').read_text()}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
