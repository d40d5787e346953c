"""Trials of a study and what follows them: all that stage `tune` needs, whatever the storage."""
