"""EDM's CIFAR-10 network (ddpmpp) out of PyTorch's standard layers, for tools/bench_peers.py: the same arithmetic and number of
parameters as `hkd bench --what step` (one step of HKD) and, without operators, as `--what training` (EDM's denoiser)."""
import math

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, silu


def norm(channels):
    return nn.GroupNorm(min(32, channels // 4), channels, eps=1e-6)


class Block(nn.Module):
    def __init__(self, c_in, c_out, emb, resample="keep", attention=False, dropout=0.13):
        super().__init__()
        self.resample, self.attention = resample, attention
        self.norm0, self.conv0 = norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.affine = nn.Linear(emb, c_out)
        self.norm1, self.conv1, self.dropout = norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1), nn.Dropout(dropout)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out or resample != "keep" else nn.Identity()
        if attention:
            self.norm2, self.qkv, self.proj = norm(c_out), nn.Conv2d(c_out, 3 * c_out, 1), nn.Conv2d(c_out, c_out, 1)

    def resized(self, x):
        if self.resample == "down":
            return avg_pool2d(x, 2)
        return interpolate(x, scale_factor=2.0, mode="nearest") if self.resample == "up" else x

    def forward(self, x, emb):
        h = self.conv0(self.resized(silu(self.norm0(x)))) + self.affine(emb)[:, :, None, None]
        h = (self.conv1(self.dropout(silu(self.norm1(h)))) + self.skip(self.resized(x))) * math.sqrt(0.5)
        if self.attention:
            q, k, v = self.qkv(self.norm2(h)).flatten(2).chunk(3, 1)
            weight = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(self.proj.out_channels), -1)
            h = (h + self.proj((v @ weight.transpose(1, 2)).reshape(h.shape))) * math.sqrt(0.5)
        return h


class Evolve(nn.Module):
    """exp(dt A) z, dt = -1: channels 2k, 2k + 1 are a pair, A = [alpha | beta] [c, side, side]."""

    def __init__(self, channels, side):
        super().__init__()
        self.a = nn.Parameter(0.1 * torch.randn(channels, side, side))

    def forward(self, z):
        alpha, beta = self.a.chunk(2)
        growth = torch.exp(-alpha)
        cosine, sine = growth * torch.cos(-beta), growth * torch.sin(-beta)
        z0, z1 = z[:, 0::2], z[:, 1::2]
        return torch.stack([cosine * z0 + sine * z1, cosine * z1 - sine * z0], 2).flatten(1, 2)


class Network(nn.Module):
    def __init__(self, channels=128, operators=False, mult=(2, 2, 2), blocks=4, side=32, attention_at=16):
        super().__init__()
        emb, width, skips, sides = 4 * channels, channels, [channels], [side]
        self.map0, self.map1, self.first = nn.Linear(channels, emb), nn.Linear(emb, emb), nn.Conv2d(3, channels, 3, padding=1)
        self.register_buffer("frequency", 10000.0 ** -(torch.arange(channels // 2) / (channels // 2 - 1)))
        self.enc, self.dec = nn.ModuleList(), nn.ModuleList()
        for level, m in enumerate(mult):
            if level:
                self.enc.append(Block(width, width, emb, "down"))
                skips.append(width)
                sides.append(side >> level)
            for _ in range(blocks):
                self.enc.append(Block(width, m * channels, emb, attention=side >> level == attention_at))
                width = m * channels
                skips.append(width)
                sides.append(side >> level)
        latents = list(zip(skips + skips[-1:], sides + sides[-1:])) # of every skip, and of the bottleneck
        self.evolve = nn.ModuleList(Evolve(*latent) if operators else nn.Identity() for latent in latents)
        for level in reversed(range(len(mult))):
            if level == len(mult) - 1:
                self.dec.append(Block(width, width, emb, attention=True))
                self.dec.append(Block(width, width, emb))
            else:
                self.dec.append(Block(width, width, emb, "up"))
            for i in range(blocks + 1):
                attention = i == blocks and side >> level == attention_at
                self.dec.append(Block(width + skips.pop(), mult[level] * channels, emb, attention=attention))
                width = mult[level] * channels
        self.concatenates = [b.norm0.num_channels != b.conv0.out_channels for b in self.dec]
        self.last_norm, self.last = norm(width), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x, noise):
        angles = noise[:, None] * self.frequency
        emb = silu(self.map1(silu(self.map0(torch.cat([angles.sin(), angles.cos()], 1)))))
        h = self.first(x)
        skips = [h]
        for block in self.enc:
            h = block(h, emb)
            skips.append(h)
        skips = [evolve(z) for evolve, z in zip(self.evolve, skips + [h])]
        h = skips.pop()
        for block, concatenate in zip(self.dec, self.concatenates):
            h = block(torch.cat([h, skips.pop()], 1) if concatenate else h, emb)
        return self.last(silu(self.last_norm(h)))
