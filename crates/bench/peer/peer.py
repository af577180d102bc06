"""The workloads of flicker-bench in PyTorch (the classical detectors: scikit-learn), with the same names, arguments and protocol (see src/session.rs).

    python3 peer.py [--threads N] [--device cuda] [COMMAND…]

Commands are `version`, `list`, `use NAME` and `step N`; without any, they are read from the standard input, a line each. Each is
answered by one JSON object. Nothing is tuned but the number of threads: memory and layouts are as PyTorch has them.
"""

import argparse
import copy
import json
import math
import platform
import statistics
import sys
import time
from contextlib import nullcontext
from functools import partial

import threadpoolctl
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.nn import functional as F

WIDTHS = [784, 512, 256, 128, 64, 32, 16, 32, 64, 128, 256, 512, 784]


# Dense autoencoders.


def family(batch):
    """The family `ae`: ReLU down, tanh up, batch norm at both ends."""
    layers, last = [nn.BatchNorm1d(784)], len(WIDTHS) - 2
    for i, (n_in, n_out) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        layers.append(nn.Linear(n_in, n_out, bias=i < last))
        layers.append(nn.ReLU() if i < 6 else nn.Tanh() if i < last else nn.BatchNorm1d(784))
    network = nn.Sequential(*layers, nn.Tanh())
    return reconstruction(network, torch.rand(batch, 784) * 2 - 1, weight_decay=1e-5)


def normed(batch):
    """Batch norm and ReLU after every hidden layer."""
    layers, last = [], len(WIDTHS) - 2
    for i, (n_in, n_out) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        layers.append(nn.Linear(n_in, n_out))
        layers += [nn.BatchNorm1d(n_out), nn.ReLU()] if i < last else [nn.Sigmoid()]
    return reconstruction(nn.Sequential(*layers), torch.rand(batch, 784), weight_decay=0)


def reconstruction(network, x, weight_decay):
    adam = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=weight_decay)

    def step():
        adam.zero_grad()
        loss = F.mse_loss(network(x), x)
        loss.backward()
        adam.step()
        return loss

    return step


# Adversarial networks.


def dcgan_init(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class Encoder(nn.Module):
    """(B, 1, 32, 32) to (B, outputs, 1, 1), and the features (B, 256, 4, 4) before; at width 1 the discriminator."""

    def __init__(self, outputs):
        super().__init__()
        layers = [nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for n_in, n_out in [(64, 128), (128, 256)]:
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), nn.BatchNorm2d(n_out)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.features = nn.Sequential(*layers)
        self.last = nn.Conv2d(256, outputs, 4, 1, 0, bias=False)
        self.apply(dcgan_init)

    def forward(self, x):
        features = self.features(x)
        return self.last(features), features


class Generator(nn.Module):
    """(B, 100, 1, 1) to (B, 1, 32, 32)."""

    def __init__(self):
        super().__init__()
        layers = []
        for n_in, n_out, stride, padding in [(100, 256, 1, 0), (256, 128, 2, 1), (128, 64, 2, 1)]:
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, stride, padding, bias=False)]
            layers += [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False), nn.Tanh())
        self.apply(dcgan_init)

    def forward(self, z):
        return self.layers(z)


def images(batch):
    return torch.rand(batch, 1, 32, 32) * 2 - 1


def gan_adam(*networks):
    return torch.optim.Adam([p for n in networks for p in n.parameters()], lr=2e-4, betas=(0.5, 0.999))


def bce(logits, label):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def dcgan(lean):
    """A step as PyTorch's own example has it. Lean: no gradients of the discriminator's weights in the generator's part."""
    generator, discriminator = Generator(), Encoder(1)
    adam_g, adam_d = gan_adam(generator), gan_adam(discriminator)
    x = images(64)

    def step():
        adam_d.zero_grad()
        fake = generator(torch.randn(64, 100, 1, 1, device=x.device))
        loss = bce(discriminator(x)[0], 1.0) + bce(discriminator(fake.detach())[0], 0.0)
        loss.backward()
        adam_d.step()
        adam_g.zero_grad()
        discriminator.requires_grad_(not lean)
        bce(discriminator(fake)[0], 1.0).backward()
        adam_g.step()
        discriminator.requires_grad_(True)
        return loss

    return step


def ganomaly(lean):
    """A step in the order of the authors' code, which runs the discriminator twice more for the generator's loss, with gradients.

    Lean: the features of the real images are used again, and the discriminator is frozen in the generator's part.
    """
    encoder, decoder, second, discriminator = Encoder(100), Generator(), Encoder(100), Encoder(1)
    adam_g, adam_d = gan_adam(encoder, decoder, second), gan_adam(discriminator)
    x = images(64)

    def step():
        z = encoder(x)[0]
        fake = decoder(z)
        z_hat = second(fake)[0]
        on_real, features = discriminator(x)
        on_fake, _ = discriminator(fake.detach())
        adam_g.zero_grad()
        if lean:
            discriminator.requires_grad_(False)
            adversarial = F.mse_loss(discriminator(fake)[1], features.detach())
            discriminator.requires_grad_(True)
        else:
            adversarial = F.mse_loss(discriminator(fake)[1], discriminator(x)[1])
        loss = adversarial + 50 * F.l1_loss(fake, x) + F.mse_loss(z_hat, z)
        loss.backward(retain_graph=not lean)
        adam_g.step()
        adam_d.zero_grad()
        ((bce(on_real, 1.0) + bce(on_fake, 0.0)) * 0.5).backward()
        adam_d.step()
        return loss

    return step


def latent():
    """AnoGAN's search: generator and discriminator frozen in evaluation mode, Adam moves the latents."""
    generator, discriminator = (n.eval().requires_grad_(False) for n in (Generator(), Encoder(1)))
    x, z = images(65), torch.randn(65, 100, 1, 1, requires_grad=True)
    features = discriminator.features(x)
    adam = torch.optim.Adam([z], lr=1e-2)

    def step():
        adam.zero_grad()
        fake = generator(z)
        discrimination = (discriminator.features(fake) - features).abs().sum()
        loss = 0.9 * (fake - x).abs().sum() + 0.1 * discrimination
        loss.backward()
        adam.step()
        return loss

    return step


def inference(batch):
    encoder, decoder, x = Encoder(100).eval(), Generator().eval(), images(batch)

    @torch.inference_mode()
    def step():
        return decoder(encoder(x)[0])

    return step


# A U-Net.


def conv3(n_in, n_out, stride=1):
    return nn.Conv2d(n_in, n_out, 3, stride, 1)


class Residual(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, n_in), conv3(n_in, n_out)
        self.time = nn.Linear(128, n_out)
        self.norm2, self.conv2 = nn.GroupNorm(8, n_out), conv3(n_out, n_out)
        self.skip = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        return self.conv2(F.silu(self.norm2(h))) + self.skip(x)


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.query, self.key, self.value, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (conv(h).flatten(2).transpose(1, 2) for conv in (self.query, self.key, self.value))
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(seen.transpose(1, 2).reshape(x.shape))


class UNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.time1, self.time2 = nn.Linear(32, 128), nn.Linear(128, 128)
        self.first, self.in1, self.down2 = conv3(1, c), Residual(c, c), conv3(c, c, 2)
        self.in2, self.down4 = Residual(c, 2 * c), conv3(2 * c, 2 * c, 2)
        self.mid1, self.attention, self.mid2 = Residual(2 * c, 4 * c), Attention(4 * c), Residual(4 * c, 4 * c)
        self.up2, self.out2 = conv3(4 * c, 2 * c), Residual(4 * c, 2 * c)
        self.up1, self.out1 = conv3(2 * c, c), Residual(2 * c, c)
        self.norm, self.last = nn.GroupNorm(8, c), conv3(c, 1)

    def forward(self, x, times):
        time = F.silu(self.time2(F.silu(self.time1(times))))
        at1 = self.in1(self.first(x), time)
        at2 = self.in2(self.down2(at1), time)
        mid = self.mid2(self.attention(self.mid1(self.down4(at2), time)), time)
        up = self.up2(F.interpolate(mid, scale_factor=2))
        up = self.out2(torch.cat([up, at2], 1), time)
        up = self.up1(F.interpolate(up, scale_factor=2))
        up = self.out1(torch.cat([up, at1], 1), time)
        return self.last(F.silu(self.norm(up)))


def unet(batch, size, base):
    network = UNet(base)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    x, noise, times = torch.randn(batch, 1, size, size), torch.randn(batch, 1, size, size), torch.randn(batch, 32)

    def step():
        adam.zero_grad()
        loss = F.mse_loss(network(x, times), noise)
        loss.backward()
        adam.step()
        return loss

    return step


# Whole families, on the numbers of the Rust program.


def quadratic(*dims):
    i = torch.arange(torch.Size(dims).numel())
    return ((i * i * 7919 % 1_000_003).double() / 1_000_003 - 0.5).float().reshape(dims)


@torch.no_grad()
def filled(network):
    for name, p in network.named_parameters():
        n = quadratic(*p.shape)
        if p.dim() > 1:
            p.copy_(n * math.sqrt(24 / p[0].numel()))
        else:
            p.copy_(n * 0.2 + (1 if name.endswith("weight") else 0))
    return network


def looked_through(*networks):
    return [filled(network).eval().requires_grad_(False) for network in networks]


def pictures(batch, size):
    return quadratic(batch, 1, size, size) * 2


def search(batch, steps):
    """AnoGAN's search with the networks, weights of the losses and first rate of Zenati et al."""
    up, down = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1), partial(nn.Conv2d, kernel_size=4, stride=2, padding=1)
    dense = [nn.Linear(200, 1024), nn.BatchNorm1d(1024), nn.ReLU(True), nn.Linear(1024, 6272), nn.BatchNorm1d(6272), nn.ReLU(True)]
    convolutional = [nn.Unflatten(1, (128, 7, 7)), up(128, 64), nn.BatchNorm2d(64), nn.ReLU(True), up(64, 1), nn.Tanh()]
    features = [down(1, 64), nn.LeakyReLU(0.1, True), down(64, 64), nn.BatchNorm2d(64), nn.LeakyReLU(0.1, True), nn.Flatten()]
    features += [nn.Linear(3136, 1024), nn.BatchNorm1d(1024), nn.LeakyReLU(0.1, True)]
    generator, features = looked_through(nn.Sequential(*dense, *convolutional), nn.Sequential(*features))
    x, start = pictures(batch, 28), quadratic(batch, 200) * 4

    def step():
        wanted, z = features(x), start.clone().requires_grad_()
        adam = torch.optim.Adam([z], lr=1e-2)
        for _ in range(steps):
            adam.zero_grad()
            fake = generator(z)
            loss = 0.9 * (fake - x).abs().sum() + 0.1 * (features(fake) - wanted).abs().sum()
            loss.backward()
            adam.step()
        return z

    return step


def score_ganomaly(batch):
    encoder, decoder, second = looked_through(Encoder(100), Generator(), Encoder(100))
    x = pictures(batch, 32)

    @torch.inference_mode()
    def step():
        z = encoder(x)[0]
        fake = decoder(z)
        total = ((second(fake)[0] - z) ** 2).flatten(1).mean(1)
        residual = (x - fake).abs()
        _part, _map = residual.flatten(1).mean(1), residual.mean(1, keepdim=True)
        return total

    return step


def dense_fanogan(width):
    """Generator, features of the critic, encoder for 28×28."""
    layers, leaky = [nn.Linear(100, width), nn.LeakyReLU(0.2, True)], partial(nn.LeakyReLU, 0.2, True)
    for n in (width, 2 * width, 4 * width):
        layers += [nn.Linear(n, 2 * n), nn.BatchNorm1d(2 * n, 0.8), leaky()]
    layers += [nn.Linear(8 * width, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))]
    trunk = lambda: [nn.Flatten(), nn.Linear(784, 4 * width), leaky(), nn.Linear(4 * width, 2 * width), leaky()]
    return nn.Sequential(*layers), nn.Sequential(*trunk()), nn.Sequential(*trunk(), nn.Linear(2 * width, 100), nn.Tanh())


class Up(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(n_in), nn.BatchNorm2d(n_out)
        self.conv1, self.conv2 = nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False), nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x):
        y = self.conv1(F.interpolate(F.relu(self.norm1(x)), scale_factor=2))
        return self.conv2(F.relu(self.norm2(y))) + self.shortcut(F.interpolate(x, scale_factor=2))


class Down(nn.Module):
    def __init__(self, n_in, n_out, norm):
        super().__init__()
        self.norm1, self.norm2 = norm(n_in), norm(n_in)
        self.conv1, self.conv2 = nn.Conv2d(n_in, n_in, 3, 1, 1, bias=False), nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x):
        y = F.avg_pool2d(self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x)))))), 2)
        return y + self.shortcut(F.avg_pool2d(x, 2))


def residual_fanogan(n):
    """The same for 64×64, as published. The critic's layer norm is over channels and pixels."""
    up = [nn.Linear(128, 16 * 8 * n), nn.Unflatten(1, (8 * n, 4, 4))]
    up += [Up(8 * n, 8 * n), Up(8 * n, 4 * n), Up(4 * n, 2 * n), Up(2 * n, n)]
    up += [nn.BatchNorm2d(n), nn.ReLU(True), nn.Conv2d(n, 1, 3, 1, 1), nn.Tanh()]

    def trunk(norm):
        widths = [n, 2 * n, 4 * n, 8 * n, 8 * n]
        downs = [Down(n_in, n_out, norm) for n_in, n_out in zip(widths, widths[1:])]
        return [nn.Conv2d(1, n, 3, 1, 1), *downs, nn.Flatten()]

    encoder = nn.Sequential(*trunk(nn.BatchNorm2d), nn.Linear(16 * 8 * n, 128), nn.Tanh())
    return nn.Sequential(*up), nn.Sequential(*trunk(partial(nn.GroupNorm, 1))), encoder


def score_fanogan(networks, batch, size):
    generator, features, encoder = looked_through(*networks)
    x = pictures(batch, size)

    @torch.inference_mode()
    def step():
        z = encoder(x)
        fake = generator(z)
        image, feature = (fake - x) ** 2, (features(fake) - features(x)) ** 2
        _latent, _map = ((encoder(fake) - z) ** 2).mean(1), (x - fake).abs().mean(1, keepdim=True)
        return image.flatten(1).mean(1) + feature.mean(1)

    return step


class DiffusionBlock(nn.Module):
    def __init__(self, n_in, n_out, groups, embedded, size="kept"):
        super().__init__()
        self.norm1, self.conv1, self.time = nn.GroupNorm(groups, n_in), conv3(n_in, n_out), nn.Linear(embedded, n_out)
        self.norm2, self.conv2 = nn.GroupNorm(groups, n_out), conv3(n_out, n_out)
        self.skip = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        self.size = {"kept": nn.Identity(), "half": nn.AvgPool2d(2), "double": nn.Upsample(scale_factor=2)}[size]

    def forward(self, x, time):
        h = self.conv1(self.size(F.silu(self.norm1(x)))) + self.time(time)[:, :, None, None]
        return self.skip(self.size(x)) + self.conv2(F.silu(self.norm2(h)))


class DiffusionAttention(nn.Module):
    def __init__(self, channels, groups, heads):
        super().__init__()
        self.norm, self.heads = nn.GroupNorm(groups, channels), heads
        self.project, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x, _):
        b, c, h, w = x.shape
        qkv = self.project(self.norm(x)).reshape(b, self.heads, 3, c // self.heads, h * w).transpose(3, 4)
        return x + self.out(F.scaled_dot_product_attention(*qkv.unbind(2)).transpose(2, 3).reshape(x.shape))


class DiffusionNet(nn.Module):
    """AnoDDPM's U-Net, which is that of guided diffusion."""

    def __init__(self, size, base, multipliers, blocks, attends, heads, groups):
        super().__init__()
        block = partial(DiffusionBlock, groups=groups, embedded=4 * base)

        def stage(n_in, n_out, level):
            attention = [DiffusionAttention(n_out, groups, heads)] if size >> level in attends else []
            return nn.ModuleList([block(n_in, n_out), *attention])

        self.base, now = base, base * multipliers[0]
        self.time1, self.time2 = nn.Linear(base, 4 * base), nn.Linear(4 * base, 4 * base)
        self.stem, skips, self.down, self.up = conv3(1, now), [now], nn.ModuleList(), nn.ModuleList()
        for level, m in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(stage(now, base * m, level))
                now = base * m
                skips.append(now)
            if level + 1 < len(multipliers):
                self.down.append(nn.ModuleList([block(now, now, size="half")]))
                skips.append(now)
        self.middle = nn.ModuleList([block(now, now), DiffusionAttention(now, groups, heads), block(now, now)])
        for level, m in reversed(list(enumerate(multipliers))):
            for i in range(blocks + 1):
                layers = stage(now + skips.pop(), base * m, level)
                now = base * m
                if level and i == blocks:
                    layers.append(block(now, now, size="double"))
                self.up.append(layers)
        self.norm, self.last = nn.GroupNorm(groups, now), conv3(now, 1)

    def forward(self, x, t):
        half = self.base // 2
        angles = t[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half, device=x.device) / half)
        time = F.silu(self.time2(F.silu(self.time1(torch.cat([angles.sin(), angles.cos()], -1)))))
        x = self.stem(x)
        skips = [x]
        for stage in self.down:
            for layer in stage:
                x = layer(x, time)
            skips.append(x)
        for layer in self.middle:
            x = layer(x, time)
        for stage in self.up:
            x = torch.cat([x, skips.pop()], 1)
            for layer in stage:
                x = layer(x, time)
        return self.last(F.silu(self.norm(x)))


def small_diffusion():
    return DiffusionNet(32, 16, (1, 2, 2), 1, (8, 7), 2, 8)


def quarter_diffusion():
    return DiffusionNet(64, 32, (1, 2, 3, 4), 2, (32, 16, 8), 2, 8)


BETAS = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
BARS = (1 - BETAS).cumprod(0)


def denoising(network, batch, size, rate, decay):
    """A training step: AdamW, clipped gradient, a moving average of every weight."""
    filled(network)
    average, adam = copy.deepcopy(network), torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0)
    x, noise = pictures(batch, size), quadratic(batch, 1, size, size).flip(3) * math.sqrt(12)
    t = 37 * torch.arange(batch) % 250
    image, rest = (share.float().to(x.device)[t, None, None, None] for share in (BARS.sqrt(), (1 - BARS).sqrt()))

    def step():
        adam.zero_grad()
        loss = ((network(image * x + rest * noise, t) - noise) ** 2).flatten(1).mean(1).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        with torch.no_grad():
            for mean, p in zip(average.parameters(), network.parameters()):
                mean.mul_(decay).add_(p, alpha=1 - decay)
        return loss

    return step


def partial_diffusion(network, batch, size, every=25):
    """To step 250 and back, so many steps at once, with the large fixed variance."""
    looked_through(network)
    x, bars = pictures(batch, size), BARS.tolist()

    @torch.inference_mode()
    def step():
        y, t = math.sqrt(bars[249]) * x + math.sqrt(1 - bars[249]) * torch.randn_like(x), 249
        while t >= 0:
            bar, before = bars[t], bars[t - every] if t >= every else 1.0
            found = network(y, torch.full((batch,), t, device=x.device))
            image = ((y - math.sqrt(1 - bar) * found) / math.sqrt(bar)).clamp(-1, 1)
            beta = 1 - bar / before
            y = image * (beta * math.sqrt(before) / (1 - bar)) + y * ((1 - before) * math.sqrt(1 - beta) / (1 - bar))
            if t >= every:
                y = y + math.sqrt(beta) * torch.randn_like(y)
            t -= every
        return y

    return step


# Classical detectors, by scikit-learn.


def classical(fit, scored):
    """A fit to 100,000 rows of 32, and the scores of the first of them."""
    x = torch.randn(100_000, 32).cpu().numpy()

    def step():
        with threadpoolctl.threadpool_limits(torch.get_num_threads()):
            return torch.from_numpy(fit(x)(x[:scored]))

    return step


def pca():
    def fit(x):
        model = PCA(16).fit(x)
        return lambda y: ((y - model.inverse_transform(model.transform(y))) ** 2).mean(1)

    return classical(fit, 100_000)


def knn():
    def fit(x):
        model = NearestNeighbors(n_neighbors=5, n_jobs=torch.get_num_threads()).fit(x)
        return lambda y: model.kneighbors(y)[0][:, -1].copy()

    return classical(fit, 5000)


def forest():
    def fit(x):
        model = IsolationForest(n_estimators=100, max_samples=256, n_jobs=torch.get_num_threads()).fit(x)
        return lambda y: -model.score_samples(y)

    return classical(fit, 100_000)


# Single operators, on the numbers of the Rust program.


def numbers(*dims):
    n = torch.Size(dims).numel()
    return ((torch.arange(n) * 7919 % 1000) / 1000 - 0.5).reshape(dims)


def operator(f, *shapes):
    inputs = [numbers(*dims).requires_grad_() for dims in shapes]
    dy = numbers(*f(*inputs).shape)

    def step():
        for x in inputs:
            x.grad = None
        f(*inputs).backward(dy)
        return inputs[0].grad

    return step


def batch_norm(*dims):
    mean, variance = torch.zeros(dims[1]), torch.ones(dims[1])

    def f(x, w, b):
        return F.leaky_relu(F.batch_norm(x, mean, variance, w, b, True, 0.1, 1e-5), 0.2)

    return operator(f, dims, dims[1:2], dims[1:2])


def adam():
    p = numbers(1 << 20).requires_grad_()
    p.grad = numbers(1 << 20)
    optimizer = torch.optim.Adam([p], lr=1e-3)

    def step():
        optimizer.step()
        return p

    return step


def convolution(batch, n_in, size, n_out, kernel, stride, padding, which):
    x, w = numbers(batch, n_in, size, size), numbers(n_out, n_in, kernel, kernel)
    dy = numbers(*torch.conv2d(x, w, None, stride, padding).shape)
    rest = (None, (stride, stride), (padding, padding), (1, 1), False, (0, 0), 1)

    @torch.no_grad()
    def step():
        if which == "forward":
            return torch.conv2d(x, w, None, stride, padding)
        mask = [which == "input", which == "weight", False]
        return torch.ops.aten.convolution_backward(dy, x, w, *rest, mask)[0 if which == "input" else 1]

    return step


IMAGE = (64, 64, 16, 16)
OPERATORS = {
    "bn": lambda: batch_norm(*IMAGE),
    "bn4": lambda: batch_norm(64, 256, 4, 4),
    "gn": lambda: operator(lambda x, w, b: F.silu(F.group_norm(x, 8, w, b)), (16, 32, 32, 32), (32,), (32,)),
    "ln": lambda: operator(
        lambda x, w, b: F.leaky_relu(F.layer_norm(x, (512,), w, b), 0.2), (1024, 512), (512,), (512,)
    ),
    "silu": lambda: operator(F.silu, IMAGE),
    "tanh": lambda: operator(torch.tanh, IMAGE),
    "leaky": lambda: operator(lambda x: F.leaky_relu(x, 0.2), IMAGE),
    "bias": lambda: operator(lambda x, b: x + b[:, None, None], IMAGE, (64,)),
    "max": lambda: operator(lambda x: F.max_pool2d(x, 2), IMAGE),
    "avg": lambda: operator(lambda x: F.avg_pool2d(x, 2), IMAGE),
    "nearest": lambda: operator(lambda x: F.interpolate(x, scale_factor=2), IMAGE),
    "bilinear": lambda: operator(lambda x: F.interpolate(x, size=(32, 32), mode="bilinear"), IMAGE),
    "softmax": lambda: operator(lambda x: F.softmax(x, -1), (4096, 64)),
    "attention": lambda: operator(F.scaled_dot_product_attention, *[(16, 64, 128)] * 3),
    "linear": lambda: operator(lambda x, w, b: F.relu(F.linear(x, w, b)), (256, 784), (512, 784), (512,)),
    "adam": adam,
}
# Name, batch, channels in, size, channels out, kernel, stride, padding.
LAYERS = [
    ("gan-1-64@32", 64, 1, 32, 64, 4, 2, 1),
    ("gan-64-128@16", 64, 64, 16, 128, 4, 2, 1),
    ("gan-128-256@8", 64, 128, 8, 256, 4, 2, 1),
    ("gan-256-1@4", 64, 256, 4, 1, 4, 1, 0),
    ("gan-256-100@4", 64, 256, 4, 100, 4, 1, 0),
    ("unet-1-32@32", 16, 1, 32, 32, 3, 1, 1),
    ("unet-32-32@32", 16, 32, 32, 32, 3, 1, 1),
    ("unet-64-32@32", 16, 64, 32, 32, 3, 1, 1),
    ("unet-64-32k1@32", 16, 64, 32, 32, 1, 1, 0),
    ("unet-32-32s2@32", 16, 32, 32, 32, 3, 2, 1),
    ("unet-64-64@16", 16, 64, 16, 64, 3, 1, 1),
    ("unet-128-64@16", 16, 128, 16, 64, 3, 1, 1),
    ("unet-128-128@8", 16, 128, 8, 128, 3, 1, 1),
    ("unet-128-128k1@8", 16, 128, 8, 128, 1, 1, 0),
    ("unet-32-1@32", 16, 32, 32, 1, 3, 1, 1),
    ("one-1-64@32", 1, 1, 32, 64, 4, 2, 1),
    ("one-64-128@16", 1, 64, 16, 128, 4, 2, 1),
    ("one-128-256@8", 1, 128, 8, 256, 4, 2, 1),
    ("one-256-100@4", 1, 256, 4, 100, 4, 1, 0),
]
WORKLOADS = {
    "ae65": lambda: family(65),
    "ae256": lambda: family(256),
    "dense65": lambda: normed(65),
    "dense256": lambda: normed(256),
    "dcgan": lambda: dcgan(lean=False),
    "dcgan-lean": lambda: dcgan(lean=True),
    "ganomaly": lambda: ganomaly(lean=False),
    "ganomaly-lean": lambda: ganomaly(lean=True),
    "unet": lambda: unet(16, 32, 32),
    "latent": latent,
    "inf1": lambda: inference(1),
    "inf256": lambda: inference(256),
    "search1": lambda: search(1, 50),
    "search65": lambda: search(65, 10),
    "score-ganomaly1": lambda: score_ganomaly(1),
    "score-ganomaly256": lambda: score_ganomaly(256),
    "score-fanogan1": lambda: score_fanogan(dense_fanogan(128), 1, 28),
    "score-fanogan256": lambda: score_fanogan(dense_fanogan(128), 256, 28),
    "score-fanogan64px": lambda: score_fanogan(residual_fanogan(64), 4, 64),
    "anoddpm32": lambda: denoising(small_diffusion(), 32, 32, 1e-3, 0.99),
    "anoddpm64": lambda: denoising(quarter_diffusion(), 4, 64, 1e-4, 0.9999),
    "diffusion32": lambda: partial_diffusion(small_diffusion(), 4, 32),
    "diffusion64": lambda: partial_diffusion(quarter_diffusion(), 2, 64),
    "pca100k": pca,
    "knn100k": knn,
    "forest100k": forest,
}
# Only for a graphics card; `list` does not tell it.
LARGE = {"unet256": lambda: unet(8, 256, 128)}
for name, *numbers_of_layer in LAYERS:
    for which in ("forward", "input", "weight"):
        WORKLOADS[f"op:{name}/{which}"] = lambda n=numbers_of_layer, which=which: convolution(*n, which)
WORKLOADS |= {f"op:{name}": setup for name, setup in OPERATORS.items()}


# The protocol.


def peak_bytes():
    """The most memory that this process has held (Linux)."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


class Session:
    """Workloads on a device; with `bf16`, their steps run under autocast."""

    def __init__(self, device, bf16):
        self.step, self.device, self.bf16 = None, torch.device(device), bf16

    def answer(self, line):
        try:
            return self.obey(line.split())
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def obey(self, words):
        match words:
            case ["version"]:
                return {"version": f"PyTorch {torch.__version__}, Python {platform.python_version()}"}
            case ["list"]:
                return {"workloads": list(WORKLOADS)}
            case ["use", name] if name in WORKLOADS | LARGE:
                self.step = None  # its memory goes before the next one's comes
                base = peak_bytes()
                torch.manual_seed(0)
                with self.device:  # of every tensor that is made meanwhile
                    self.step = (WORKLOADS | LARGE)[name]()
                return {"base_bytes": base}
            case ["step", n] if self.step and n.isdigit() and int(n) > 0:
                return self.steps(int(n))
        raise ValueError(f"`{' '.join(words)}` is no command, names no workload, or comes before `use NAME`")

    def steps(self, n):
        walls, before = [], time.process_time()
        for _ in range(n):
            start = time.perf_counter()
            with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
                given = self.step()
            if self.device.type != "cpu":
                torch.accelerator.synchronize()
            walls.append((time.perf_counter() - start) * 1e3)
        cpu = (time.process_time() - before) * 1e3 / n
        return {
            "median_ms": statistics.median(walls),
            "min_ms": min(walls),
            "cpu_ms": cpu,
            "peak_bytes": peak_bytes(),
            "value": float(given.detach().abs().mean()),
        }


def main():
    parser = argparse.ArgumentParser(description="The workloads of flicker-bench in PyTorch.")
    parser.add_argument("--threads", type=int, help="threads to compute with")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--tf32", choices=["none", "convolutions", "all"], default="none", help="what CUDA may round so")
    parser.add_argument("--bf16", action="store_true", help="run steps under autocast to bfloat16")
    parser.add_argument("commands", nargs="*")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = args.tf32 == "all"
    torch.backends.cudnn.allow_tf32 = args.tf32 != "none"
    session = Session(args.device, args.bf16)
    for line in args.commands or sys.stdin:
        print(json.dumps(session.answer(line)), flush=True)


if __name__ == "__main__":
    main()
