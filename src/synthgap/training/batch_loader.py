"""Load batches: every process gets its own rows of what one process would see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from synthgap.models.prefix_cache import PrefixCache
from synthgap.seeding import torch_stream
from synthgap.training.augmentation import Augmentation, augmentation_of
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.losses import Targets
from synthgap.training.scoring import PreparedImages
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Batch:
    """One part of a step: crops of each size, normalised, or rows of remembered activations.

    `indices` (rows,) are those of the train spec's images; crop c of row i stands at c * rows + i.
    """

    crops: list[Tensor]
    targets: Targets
    indices: Tensor


@dataclass(frozen=True)
class BatchLoader:
    """The images of a train spec on the student's device, cut anew at every step."""

    train_spec: TrainSpec
    images: LabelledImages
    embeddings: Tensor | None
    augmentation: Augmentation
    device: torch.device
    share: tuple[int, int]  # this process's rank, of how many
    remembered: PreparedImages | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        train_spec: TrainSpec,
        accelerator: Accelerator,
        *,
        remembers: bool = True,
    ) -> Self:
        """Move the images where they are needed.

        A deterministic policy lets a frozen prefix be computed once for all epochs; a step that
        needs the images themselves says that it `remembers` nothing.
        """
        images = train_spec.images.resident(accelerator.device)
        augmentation = augmentation_of(train_spec.training, train_spec.pictures)
        remembered = None
        compiled = accelerator.state.dynamo_plugin.backend != "NO"  # replays are not compiled
        alike = augmentation.deterministic and train_spec.embeddings is None
        if remembers and alike and not compiled:
            remembered = PreparedImages.of(
                model,
                images,
                normalise=train_spec.normalisation,
                size_px=train_spec.training.global_crops.size,
            )
        return cls(
            train_spec,
            images,
            None if train_spec.embeddings is None else train_spec.embeddings.to(accelerator.device),
            augmentation,
            accelerator.device,
            (accelerator.process_index, accelerator.num_processes),
            remembered if remembered is not None and remembered.remembered is not None else None,
        )

    def steps(self, epoch: int, *, after: int) -> Iterator[tuple[int, list[Batch]]]:
        """Yield (step from 1, its parts) of an epoch, beyond the first `after` steps."""
        for step, indices in enumerate(self.train_spec.batches(epoch), start=1):
            if step > after:
                yield step, list(self._parts(indices, epoch, step))

    def _parts(self, indices: Tensor, epoch: int, step: int) -> Iterator[Batch]:
        """This process's rows, in as many parts as are accumulated.

        Chance is drawn for the whole batch, so that a row's crops do not depend on who cuts them.
        """
        rank, world = self.share
        rows = torch.arange(len(indices)).chunk(world)[rank]
        size = self.images.size_px
        chance = torch_stream(self.train_spec.seed, "augment", epoch, step)
        draws = self.augmentation.draw(len(indices), size, size, chance)
        for part in rows.chunk(self.train_spec.training.accumulate):
            chosen = indices[part].to(self.images.labels.device)
            targets = Targets(
                self.images.labels[chosen].to(self.device),
                None if self.embeddings is None else self.embeddings[chosen.to(self.device)],
            )
            if self.remembered is not None:
                yield Batch([self.remembered.activations(chosen)], targets, indices[part])
                continue
            images = self.images.images[chosen].to(self.device, non_blocking=True)
            crops = self.augmentation.apply(images, draws.rows(part))
            normalised = [self.train_spec.normalisation(crop) for crop in crops]
            yield Batch(normalised, targets, indices[part])

    def forward(self, passes: nn.Module, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Logits and embeddings of all crops; from the cut on where the prefix is remembered.

        Logits are (crops, num_classes), embeddings (crops, dim).
        """
        replay: PrefixCache | None = self.remembered.replay if self.remembered is not None else None
        if replay is not None:
            with replay.recalling(batch.crops[0]) as placeholder:
                found: tuple[Tensor, Tensor | None] = passes([placeholder])
                return found
        answered: tuple[Tensor, Tensor | None] = passes(batch.crops)
        return answered
