"""Every method by its name: what it does, what it is given, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synthgap.guidance.adda import adda
from synthgap.guidance.asg import asg
from synthgap.guidance.baselines import a_gem, adaptation, balanced, pooled, real, synthetic
from synthgap.guidance.csg import csg
from synthgap.guidance.dada import dada
from synthgap.guidance.dann import dann
from synthgap.guidance.ltda import ltda
from synthgap.guidance.method_context import Phases
from synthgap.guidance.pg_rg import pg, pg_f, pg_kl, pg_l1, pg_r, rg, rg_pg, rg_pg_f, rg_pg_r
from synthgap.guidance.prefix import prefix

RealImagesUse = Literal["none", "any", "images", "labels", "all"]


@dataclass(frozen=True)
class Method:
    """One way to learn from synthetic and a few real images.

    `real` is what it is given of real images: none; any (few with labels, where the protocol has
    some); images (few, without labels); labels (few, with labels: it needs some); all (every one,
    with labels: a bound). `asks` names the section of `guide` whose reference network guides it.
    """

    phases: Phases
    real: RealImagesUse
    source: str
    synthetic: bool = True
    asks: Literal["pg", "asg", "csg"] | None = None


WANG = "Wang et al., Improving the Effectiveness of Deep Generative Data"
METHODS: Mapping[str, Method] = {
    "real": Method(real, "labels", "baseline", synthetic=False),
    "bound": Method(real, "all", "baseline", synthetic=False),
    "synthetic": Method(synthetic, "none", "baseline"),
    "pooled": Method(pooled, "any", "baseline"),
    "balanced": Method(balanced, "labels", "baseline"),
    "adaptation": Method(adaptation, "labels", "baseline"),
    "prefix": Method(prefix, "labels", "Mind the Gap Between Synthetic and Real"),
    "a-gem": Method(a_gem, "labels", "Chaudhry et al. 2019"),
    "asg": Method(asg, "any", "Chen et al., ICML 2020, without its second stage", asks="asg"),
    "csg": Method(csg, "any", "Chen et al., ICLR 2021", asks="csg"),
    "dann": Method(dann, "labels", "Ganin et al. 2016"),
    "adda": Method(adda, "images", "Tzeng et al. 2017"),
    "dada": Method(dada, "images", "Tang and Jia, AAAI 2020"),
    "ltda": Method(ltda, "labels", "Jamal et al., CVPR 2020"),
    "pg": Method(pg, "any", WANG, asks="pg"),
    "pg-r": Method(pg_r, "labels", WANG, asks="pg"),
    "pg-f": Method(pg_f, "any", WANG, asks="pg"),
    "pg-l1": Method(pg_l1, "none", WANG, asks="pg"),
    "pg-kl": Method(pg_kl, "none", WANG, asks="pg"),
    "rg": Method(rg, "labels", WANG),
    "rg-pg-r": Method(rg_pg_r, "labels", WANG, asks="pg"),
    "rg-pg-f": Method(rg_pg_f, "labels", WANG, asks="pg"),
    "rg-pg": Method(rg_pg, "labels", WANG, asks="pg"),
}
