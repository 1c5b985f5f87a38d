"""The unknown element between two poses as a discrete latent variable."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro.ops.indexing import Vindex
from torch import Tensor, nn

from ..losses import FrameLoss, Softmin
from ..warps import Pairs


class PoseModel:
    """The softmin over a group as variational inference: model and guide for ``pyro.infer.SVI``.

    For each pair of images the element h that relates the poses is uniform on the n candidates, and the pair has the
    likelihood exp(-L_h / tau), L_h the loss under h and tau the temperature. Then

        log mean_h exp(-L_h / tau) = -softmin / tau       is the log evidence of the pair,
        q(h) = softmax_h(-L_h / tau)                       the posterior of h,

    and the ELBO of any other q falls short by KL(q || posterior). With ``guide``, the exact posterior, the ELBO of a
    batch is -sum softmin / tau, and its gradient that of the softmin: what the network changes in q has no effect to
    first order, so the guide's weights carry no gradient. Likewise for the model alone, ``guide=lambda pairs: None``,
    in which Pyro sums h out; that costs one pass through the network in place of two::

        pose = PoseModel(network, FrameLoss(rotational(5), relaxation=Softmin(0.1)))
        svi = pyro.infer.SVI(pose.model, pose.guide, pyro.optim.Adam({"lr": 1e-3}),
                             pyro.infer.TraceEnum_ELBO(max_plate_nesting=1))
        svi.step(pairs)

    What the posterior says. The warp between the images of a pair is known, and enters L_h. A frame that tells the
    places of an object apart, has one candidate with a small loss, whatever the symmetry of the object: q tends to a
    point as tau tends to 0, and KL(q || uniform) to log n. If the frame does not tell apart what a subgroup H exchanges
    (R_k Phi = Phi for k in H), L_h of a pair that was not moved is the same on each coset h H; at small tau q is
    uniform on one of them and KL(q || uniform) = log(n / |H|): a partial collapse, not a property of the object. The
    uniform law on a coset of the stabiliser H of the *appearance* is the mean of q over the warps that take the one
    image to the other; that is the posterior of the pose given images alone.

    Args:
        network: images ``[B, C, H, W]`` to frames ``[B, D, h, w]``.
        loss: with a :class:`Softmin` relaxation. Its losses are means over the points of a pair; N points that count
            as independent observations have temperature 1 / N.

    Raises:
        TypeError: for a loss that is no FrameLoss.
        ValueError: for another relaxation, which has no temperature.
    """

    def __init__(self, network: nn.Module, loss: FrameLoss) -> None:
        if not isinstance(loss, FrameLoss):
            raise TypeError(f"expected a FrameLoss, got {loss!r}; try FrameLoss(symmetry, relaxation=Softmin(0.1))")
        if not isinstance(loss.relaxation, Softmin):
            raise ValueError(
                f"expected a loss with relaxation Softmin, got {loss.relaxation!r}, because the likelihood is "
                "exp(-L / temperature); try FrameLoss(symmetry, relaxation=Softmin(0.1))"
            )
        self.network, self.loss = network, loss

    @property
    def temperature(self) -> float:
        """Tau."""
        return float(getattr(self.loss.relaxation, "temperature"))  # noqa: B009  (checked when it was made)

    def losses(self, pairs: Pairs) -> Tensor:
        """L_h of each pair, ``[B, n]``; candidate i is the element ``loss.unknown_elements[i]``."""
        return self.loss.candidates(self.network(pairs.first), self.network(pairs.second), pairs).mT

    def model(self, pairs: Pairs) -> None:
        """H ~ uniform, then the factor exp(-L_h / tau), for each pair in the plate ``pairs``. Site ``element``."""
        pyro.module("network", self.network)
        losses = self.losses(pairs)
        with pyro.plate("pairs", len(losses)) as each:
            uniform = torch.zeros_like(losses)
            element = pyro.sample("element", dist.Categorical(logits=uniform), infer={"enumerate": "parallel"})
            pyro.factor("match", -Vindex(losses)[each.to(losses.device), element] / self.temperature)

    def guide(self, pairs: Pairs) -> None:
        """H from its posterior, exactly. Evaluates the network once more, without gradients."""
        with torch.no_grad():
            logits = -self.losses(pairs) / self.temperature
        with pyro.plate("pairs", len(logits)):
            pyro.sample("element", dist.Categorical(logits=logits), infer={"enumerate": "parallel"})

    def posterior(self, pairs: Pairs) -> Tensor:
        """q(h | pair), ``[B, n]``; rows sum to 1. Without gradients."""
        with torch.no_grad():
            return (-self.losses(pairs) / self.temperature).softmax(-1)
