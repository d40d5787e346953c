"""ASG: automated synthetic-to-real generalisation (Chen et al., ICML 2020), its first stage alone.

The task's loss, and proxy guidance: on synthetic images a second head of the student answers as
the frozen reference itself does (learning without forgetting; their section 3.1). Their second
stage, learning rates chosen by reinforcement learning (RL-L2O), is left out, as in the comparison
of Wang et al. Real images, where there are some, are pooled in the task's loss.

Where the reference is the student's own network, the second head is the reference's, frozen, as
theirs is; else it is a linear layer that learns along. Their backbone learns at a tenth of its
heads' rate, from ImageNet weights; here all learn at one rate, as every method does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from synthgap.errors import ParamsError
from synthgap.guidance.discriminator import seeded_network
from synthgap.guidance.domains import DomainBatch
from synthgap.guidance.forward import TappedStudent, pooled_loss
from synthgap.guidance.method_context import MethodContext
from synthgap.guidance.reference import ReferenceFunction, ReferenceNetwork, output_function
from synthgap.guidance.updates import LossTerm, MethodNetworks, SummedGradient, update_step
from synthgap.models.activations import feature_size
from synthgap.models.head import classifier_name
from synthgap.params.references import Asg
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator


def asg(method_context: MethodContext) -> Sequence[Phase]:
    """One training of all images, guided on the synthetic ones.

    Raises:
        ParamsError: the reference has no outputs to answer.
    """
    params = method_context.guide.asg
    reference = method_context.references[params.reference]
    if not reference.num_outputs:
        raise ParamsError(
            f"params.yaml, guide.asg.reference: {params.reference} ({reference.title}) has no "
            "classifier, expected a network with answers of its own; pin weights that hold one"
        )

    def method_networks(
        student: nn.Module, train_spec: TrainSpec, accelerator: Accelerator
    ) -> MethodNetworks:
        head = second_head(student, reference, seed=train_spec.seed)
        outputs_of = output_function(reference, train_spec, accelerator.device)
        networks = nn.ModuleDict({"student": student, "second": head})
        return MethodNetworks(networks, [AsgUpdate(networks, train_spec, params, outputs_of)])

    return [Phase(method_context.pooled(), update_step(method_networks, method_context.num_real))]


def second_head(student: nn.Module, reference: ReferenceNetwork, *, seed: int) -> nn.Module:
    """What answers for the reference from the student's features (rows, dim)."""
    if reference.has_architecture_of(student):
        return deepcopy(reference.network.get_submodule(classifier_name(reference.network)))
    size, outputs = feature_size(student), reference.num_outputs
    return seeded_network(lambda: nn.Linear(size, outputs), seed=seed)


def answer_loss(answers: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Mean over rows of KL(p || q) in nats: p of the reference's outputs, q of the second head's.

    Both (rows, outputs), softmaxed over `temperature`; only q has a gradient.
    """
    q = functional.log_softmax(answers / temperature, dim=1)
    p = functional.log_softmax(wanted.detach() / temperature, dim=1)
    return functional.kl_div(q, p, reduction="batchmean", log_target=True)


class AsgUpdate(SummedGradient):
    """One step down the task's loss and the divergence from the reference's answers."""

    def __init__(
        self,
        networks: nn.ModuleDict,
        train_spec: TrainSpec,
        params: Asg,
        outputs_of: ReferenceFunction,
    ) -> None:
        self.tapped = TappedStudent(networks["student"], train_spec.training.running_stats)
        self.head, self.outputs_of, self.params = networks["second"], outputs_of, params
        self.batch_size = train_spec.batch_size
        self.parameters = [p for p in networks.parameters() if p.requires_grad]

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """One loss over all rows of a part of the batch."""
        pooled = pooled_loss(self.tapped, pair, self.batch_size)
        loss = pooled.loss
        if pair.synthetic is not None and pooled.synthetic is not None:
            answers = self.head(pooled.synthetic.features).float()
            apart = answer_loss(answers, self.outputs_of(pair.synthetic), self.params.temperature)
            loss = loss + self.params.weight * pair.synthetic.share * apart
        yield LossTerm(loss, logits=pooled.logits, labels=pooled.labels)
