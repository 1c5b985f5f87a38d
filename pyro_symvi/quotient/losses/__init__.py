"""Losses that train a denoiser: what is regressed on, and in which directions an error counts.

Which of them leave a valid sampler behind is said by ``unbiased``. With p(x_1) invariant under the group (turn the
data at random, or use an equivariant network), minimisers are, with A_y(x) the point of x's orbit closest to y:

    Plain            E[x_1 | x_t]
    Quotient         P E[x_1 | x_t] + any vertical vector
    OrbitAveraged    E[x_1 | x_t], with less noise in the gradient
    GeoDiffAligned   E[A_{x_t}(x_1) | x_t]: not what a sampler needs
    AF3Aligned       g y for any g, where y = E[A_y(x_1) | x_t]: not what a sampler needs
"""

from ._af3_aligned import AF3Aligned as AF3Aligned
from ._geodiff_aligned import GeoDiffAligned as GeoDiffAligned
from ._loss import Loss as Loss
from ._orbit_averaged import OrbitAveraged as OrbitAveraged
from ._plain import Plain as Plain
from ._quotient import Quotient as Quotient

__all__ = ["AF3Aligned", "GeoDiffAligned", "Loss", "OrbitAveraged", "Plain", "Quotient"]
