"""What regularizers give for fixed codes, and the two studies of them."""

from __future__ import annotations

import torch
from golden import LOOSE, Numbers, golden, looked_at
from golden_scores import numbers

from eae_book.studies.preference import batch_values
from eae_book.studies.settled_points import describe, settle
from eae_core.regularizers import REGULARIZERS, build_regularizer, radial_loss


@golden("regularizers")
def terms() -> Numbers:
    """Value and gradient of every term on one batch; directions are drawn from one seed."""
    found: Numbers = {}
    for name in REGULARIZERS:
        z = numbers(60, 4).requires_grad_()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            value = build_regularizer(name)(z)
        (slope,) = torch.autograd.grad(value, z)
        found[name] = looked_at(value, slope)
    return found


@golden("preference")
def preferences() -> Numbers:
    """One term on one batch of every shape."""
    return {"radial": batch_values({"radial": radial_loss}, 40, 8, seed=0)["radial"]}


@golden("settled points", tolerance=LOOSE)
def settled() -> Numbers:
    """Statistics of fixed points, and the term itself after some steps of Adam."""
    found = describe(numbers(60, 4))
    z = settle(radial_loss, 40, 3, steps=20)
    return {"described": list(vars(found).values()), "settled": [float(radial_loss(z))]}
