"""params.yaml as frozen, typed sections, and the recipes that fill it."""

from synthgap.params.reading import parse_params, read_params, section_dict

__all__ = ["parse_params", "read_params", "section_dict"]
