"""Paths, whole writes, work in progress, and what defines a result's bits."""

from synthgap.artifacts.code import code_digest
from synthgap.artifacts.environment import differences, environment
from synthgap.artifacts.log import Log, silent
from synthgap.artifacts.paths import Artifacts
from synthgap.artifacts.work import Work, discard, hold, work_digest
from synthgap.artifacts.writing import (
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
