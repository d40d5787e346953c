"""Paths, whole writes, work in progress, processes, and what defines a result's bits."""

from synthgap.jobs.code import code_digest
from synthgap.jobs.environment import differences, environment
from synthgap.jobs.paths import Artifacts
from synthgap.jobs.progress import Log, silent
from synthgap.jobs.work import Work, discard, hold, work_digest
from synthgap.jobs.writing import (
    content_digest,
    file_digest,
    folder_digest,
    publish,
    read_json,
    whole_file,
    write_json,
    write_state,
)

__all__ = [
    "Artifacts",
    "Log",
    "Work",
    "code_digest",
    "content_digest",
    "differences",
    "discard",
    "environment",
    "file_digest",
    "folder_digest",
    "hold",
    "publish",
    "read_json",
    "silent",
    "whole_file",
    "work_digest",
    "write_json",
    "write_state",
]
