"""The gate: what every image set must be before anything trains on it."""

from synthgap.validation.gate import ValidateParams, validate

__all__ = ["ValidateParams", "validate"]
