"""Names for objects of diffusers and transformers, which mypy sees as untyped."""

from typing import Any, TypeAlias

AutoencoderModel: TypeAlias = Any
"""diffusers.AutoencoderKL"""
ClipModel: TypeAlias = Any
"""transformers.CLIPModel"""
Pipeline: TypeAlias = Any
"""diffusers.DiffusionPipeline"""
Scheduler: TypeAlias = Any
"""diffusers.DDIMScheduler"""
Tokenizer: TypeAlias = Any
"""transformers.PreTrainedTokenizerFast, or whatever a pinned pipeline has"""
TextTower: TypeAlias = Any
"""transformers.CLIPTextModel"""
