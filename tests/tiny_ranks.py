"""A program that Fabric starts once for each process of a training; test_parallel.py runs it.

Called with a job, the number of processes and a folder, it leaves what the first process found.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import eae_book.constraints  # noqa: F401 (makes them known by name)
from eae_core.data import load_images
from eae_core.models import (
    EAEOptions,
    RAEGPOptions,
    TwoStageVAEOptions,
    WAEOptions,
    build_model,
)
from eae_core.training import TrainOptions, fit
from eae_core.training.parallel import make_fabric, whole_batch

BATCH = 15  # which neither two nor four processes share equally
RANK = int(os.environ.get("LOCAL_RANK", 0))


class Double(nn.Module):
    """An EAE in double precision, where Adam does not blow rounding up to a step's size."""

    minimum_batch_size = 3

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.eae = build_model("eae", (1, 32, 32), latent_dim=3, width=2).double()
        self.config = {"name": "double"}
        self.steps = 0
        self.dies_at = None

    def loss(self, x):
        self.steps += 1
        if self.steps == self.dies_at:
            os._exit(9)
        return self.eae.loss(x.double())


def images():
    return load_images("digits", limit=64)


def options(epochs, **changes):
    values = {"batch_size": BATCH, "device": "cpu", "progress": False, "recompute_moments": False}
    return TrainOptions(epochs=epochs, **{**values, **changes})


def models():
    """Every kind of model whose loss, or whose noise, is the whole batch's."""
    second = TwoStageVAEOptions(hidden=8)
    kinds = {
        "eae": None,
        "eae l1_norm": EAEOptions(constraint="l1_norm"),
        "eae unit_mean": EAEOptions(constraint="unit_mean"),
        "eae sphere": EAEOptions(constraint="sphere"),
        "eae redrawn": EAEOptions(entropy_map="redrawn", entropy_dim=2),
        "eae sigreg": EAEOptions(regularizer="sigreg"),
        "eae entropy_radial": EAEOptions(regularizer="entropy_radial"),
        "eae pinned": EAEOptions(radial_weight=20.0),
        "wae": WAEOptions(input_noise=0.1),
        "vae": None,
        "rae_gp": RAEGPOptions(gradient_penalty=1.0),
        "two_stage_vae": second,
        "two_stage_vae second": second,
    }
    for name, chosen in kinds.items():
        torch.manual_seed(0)
        model = build_model(name.split()[0], (1, 32, 32), latent_dim=3, width=2, options=chosen)
        if name.endswith("second"):
            model.start_epoch(1, 2)
        yield name, model


def gradients(share=lambda x: x, weight=lambda x: 1.0, average=lambda x: x, group=None):
    """Of every model on one batch, with its running moments."""
    found = {}
    for name, model in models():
        torch.manual_seed(1)
        x = images().batch(torch.arange(BATCH))
        with whole_batch(model, group):
            (weight(share(x)) * model.loss(share(x))["loss"]).backward()
        learned = {key: p for key, p in model.named_parameters() if p.grad is not None}
        found[name] = {key: average(p.grad) for key, p in learned.items()}
        found[name] |= dict(model.named_buffers())
    return found


def gradients_of_ranks(count):
    fabric = make_fabric(options(1, devices=count), torch.device("cpu"), nn.Linear(1, 1))

    def average(gradient):
        dist.all_reduce(gradient)
        return gradient / count

    return gradients(
        share=lambda x: x.tensor_split(count)[fabric.global_rank],
        weight=lambda x: len(x) * count / BATCH,
        average=average,
        group="world",
    )


def trained(epochs, count, path, **changes):
    model = Double()
    if RANK == 1:
        model.dies_at = changes.get("dies_at")
    changes.pop("dies_at", None)
    history = fit(model, images(), options(epochs, devices=count, **changes), checkpoint=path)
    return model.state_dict(), history.epochs, model.steps


if __name__ == "__main__":
    torch.set_num_threads(1)
    job, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    checkpoint = folder / "double.safetensors"
    result = {}
    if job == "first":
        result["gradients"] = gradients_of_ranks(count)
        result["trained"] = trained(3, count, checkpoint)
    elif job == "on":
        result["trained"] = trained(5, count, checkpoint)
    elif job == "death":
        trained(3, count, checkpoint, dies_at=7)
    if RANK == 0:
        torch.save(result, folder / f"{job}.pt")
