"""An entropic autoencoder on one screen: data, networks, loop, samples, score.

    python examples/eae.py
    python examples/eae.py --entropy-weight 0     # the same without the entropy

Needs torch, scikit-learn (for its digits) and Pillow. The loss is

    mean_i |x_i - D(z_i)|^2 - weight * H(z_1, ..., z_n),   z = BN(E(x)),

squared error summed over pixels, entropy in nats. Under the constraint of the normalisation (mean
0, variance 1) the code of largest entropy is N(0, I), from which new images are then drawn.
"""

import argparse

import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from eae_core import CodeBatchNorm, knn_entropy
from eae_core.evaluation import frechet_distance

parser = argparse.ArgumentParser()
parser.add_argument("--entropy-weight", type=float, default=0.5, help="squared error a nat")
parser.add_argument("--latent-dim", type=int, default=8)
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument("--samples", default="samples.png", help="file of the sheet of samples")
options = parser.parse_args()
torch.manual_seed(0)

# Data: 1,797 digits of 8 x 8 pixels in [0, 1], the last 500 kept for the score.
digits = torch.tensor(load_digits().data / 16, dtype=torch.float32)  # (n, 64)
train, test = digits[:-500], digits[-500:]

# Networks, and the constraint that makes "as much entropy as possible" a Gaussian.
d = options.latent_dim


def hidden(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())


encoder = nn.Sequential(hidden(64, 256), hidden(256, 256), nn.Linear(256, d), CodeBatchNorm(d))
decoder = nn.Sequential(hidden(d, 256), hidden(256, 256), nn.Linear(256, 64), nn.Sigmoid())
adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)

# Loop.
for epoch in range(1, options.epochs + 1):
    for x in train[torch.randperm(len(train))].split(100)[:-1]:  # without the incomplete batch
        z = encoder(x)  # (100, d)
        error = (decoder(z) - x).square().sum(1).mean()
        entropy = knn_entropy(z)
        loss = error - options.entropy_weight * entropy
        adam.zero_grad()
        loss.backward()
        adam.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch}: squared error {error:.3f}, entropy {entropy:.2f} nats")

# Samples and score: how far are images from N(0, I) from those that were kept?
encoder.eval(), decoder.eval()
with torch.no_grad():
    reconstructed = (decoder(encoder(test)) - test).square().sum(1).mean()
    drawn = decoder(torch.randn(500, d))  # (500, 64)
print(f"kept digits: squared error {reconstructed:.3f}")
print(f"Frechet distance of pixels, samples to kept digits: {frechet_distance(drawn, test):.3f}")
print(f"                   digits trained on to kept digits: {frechet_distance(train, test):.3f}")

tiles = nn.functional.pad(drawn[:100].view(10, 10, 8, 8), (1, 1, 1, 1))  # with a margin
sheet = (255 * tiles).byte().transpose(1, 2).reshape(100, 100)  # ten rows of ten
Image.fromarray(sheet.numpy()).resize((600, 600), Image.Resampling.NEAREST).save(options.samples)
