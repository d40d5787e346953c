"""The small task of `guided_case` with references of both kinds, for ASG and CSG."""

from __future__ import annotations

from dataclasses import replace

import guided_case
import torch

from synthgap.guidance.reference import ReferenceNetwork
from synthgap.models.head import use_projection
from synthgap.models.reference import Preprocessing
from synthgap.params.references import Asg, Csg

PREPROCESSING = Preprocessing(16, (0.5,) * 3, (0.25,) * 3)
ASG = Asg("tutor", 0.5, 1.0)
CSG = Csg("twin", 0.5, 0.07, (3, 5), "attention", 6)


def twin(seed=7):
    """The student's own network with other weights, ending in a projection."""
    network = guided_case.student(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        use_projection(network, 4, temperature=0.2, place="here")
    network.eval().requires_grad_(requires_grad=False)
    return ReferenceNetwork(network, PREPROCESSING, "digest", {"title": "the student's own"}, 4)


def method_context(*, asg=ASG, csg=CSG, **changed):
    """Local crops as well; every image once an epoch, pooled."""
    given = guided_case.method_context(**changed)
    return replace(
        given,
        guide=replace(given.guide, asg=asg, csg=csg),
        references={**given.references, "twin": twin()},
    )
