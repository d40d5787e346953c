"""Students: timm networks cut into ordered units, with the papers' classifier on top."""
