"""Images per second of the fit loop, beside other loops with the same network.

    python benchmarks/training_loop.py --dataset mnist --images 2000 --width 4 --write

All train the same autoencoder on the same images with Adam in the same process, one after the other
and several times over, so that whatever else the machine does hits all. The plain loop is what
tutorials show: a data set that turns one image at a time into floats, a DataLoader that collates
them, with and without worker processes. Where pythae is installed, its BaseTrainer takes part, with
its own autoencoder around the same encoder and decoder. The fit loop does more in its time: it
checks every step for a loss that is no number, and keeps the means of all terms.
"""

import argparse
import logging
import statistics
import tempfile
import time
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from eae_book.records import new_record, write_record
from eae_core.data import ImageSet, load_images
from eae_core.hardware import describe_device, peak_memory_bytes, resolve_device
from eae_core.models import Autoencoder, build_model
from eae_core.training import TrainOptions, fit


class OneByOne(Dataset[Tensor]):
    def __init__(self, images: ImageSet) -> None:
        self.pixels = images.images

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> Tensor:
        return self.pixels[i].float() / 255


def plain_loop(
    model: Autoencoder, images: ImageSet, batch_size: int, device: torch.device, workers: int
) -> float:
    """Images per second of one epoch."""
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(
        OneByOne(images),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        pin_memory=device.type == "cuda",
    )
    started = time.perf_counter()
    for x in loader:
        optimizer.zero_grad()
        model.loss(x.to(device, non_blocking=True))["loss"].backward()
        optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return len(loader) * batch_size / (time.perf_counter() - started)


def fit_loop(model: Autoencoder, images: ImageSet, batch_size: int, device: torch.device) -> float:
    """Images per second of one epoch."""
    options = TrainOptions(epochs=1, batch_size=batch_size, device=str(device), progress=False)
    return fit(model, images, options).images_per_second


def pythae_loop(
    model: Autoencoder, images: ImageSet, batch_size: int, device: torch.device
) -> float:
    """Images per second of one epoch of pythae's BaseTrainer."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.getLogger("pythae").setLevel(logging.ERROR)

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = model.encoder
            self.latent_dim = model.latent_dim

        def forward(self, x: Tensor) -> ModelOutput:
            return ModelOutput(embedding=self.net(x))

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = model.decoder

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.net(z))

    config = AEConfig(input_dim=images.image_shape, latent_dim=model.latent_dim)
    whole = len(images) // batch_size * batch_size  # its loader keeps a last, smaller batch
    data = BaseDataset(images.images[:whole].float() / 255, torch.zeros(whole))
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(
            model=AE(config, encoder=Encoder(), decoder=Decoder()),
            train_dataset=data,
            training_config=BaseTrainerConfig(
                output_dir=folder,
                num_epochs=1,
                learning_rate=1e-3,
                per_device_train_batch_size=batch_size,
                no_cuda=device.type == "cpu",
            ),
        )
        trainer.prepare_training()
        started = time.perf_counter()
        trainer.train_step(epoch=1)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return whole / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--width", type=int, default=4, help="channels of the first convolution")
    parser.add_argument("--latent-dim", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="of the second DataLoader")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", action="store_true", help="keep the result as a record")
    args = parser.parse_args()
    device = resolve_device(args.device)
    images = load_images(args.dataset, limit=args.images)

    def fresh() -> Autoencoder:
        torch.manual_seed(0)
        return build_model("ae", images.image_shape, args.latent_dim, width=args.width)

    def plain(workers: int) -> float:
        return plain_loop(fresh(), images, args.batch_size, device, workers)

    contenders = {
        "fit": lambda: fit_loop(fresh(), images, args.batch_size, device),
        "DataLoader, no worker": lambda: plain(0),
        f"DataLoader, {args.workers} workers": lambda: plain(args.workers),
    }
    if find_spec("pythae"):
        contenders["pythae"] = lambda: pythae_loop(fresh(), images, args.batch_size, device)
    started = time.perf_counter()
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(args.repeats + 1):
        for name, contender in contenders.items():
            speed = contender()
            if repeat:  # the first round warms up
                speeds[name].append(round(speed, 1))

    print(f"{args.dataset}, width {args.width}, on {describe_device(device)}, images per second:")
    for name, values in speeds.items():
        print(f"  {name:24} median {statistics.median(values):8.0f}   all {values}")
    if args.write:
        record = new_record(
            "benchmarks",
            f"training-loop-{device.type}",
            parameters={key: value for key, value in vars(args).items() if key != "write"},
            metrics={f"images per second, {name}": values for name, values in speeds.items()},
            seeds=[0],
            seconds=round(time.perf_counter() - started, 1),
            peak_memory_bytes=peak_memory_bytes(device),
            data_checksum=images.checksum,
            device=device,
            notes="Each number is one epoch; the loops take turns in one process.",
        )
        print(write_record(record))


if __name__ == "__main__":
    main()
