"""The integrated network in plain PyTorch, timed beside catpose's own.

What one would write today without JAX: the same residual stages or inverted blocks, K pose networks
in a ModuleList, weighted fusion, cross-entropy and geodesic loss, Adam. Weights and inputs are
random: this measures speed alone. It is a process of its own, so that neither library's threads
wait beside the other's:

    python catpose/bench/torch_network.py '{"network": {...}, "resolution": 64, ...}'

compiles, prints "ready VERSION", and answers each line "train COUNT", "infer COUNT" or
"latency COUNT" on its standard input with the seconds that so many calls took. The setting "names"
says which of them it compiles. On a GPU it runs compiled, with channels_last, and with autocast
where the type is bfloat16.
"""

import contextlib
import json
import math
import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def conv_norm(inputs, outputs, size, stride):
    """A convolution and its batch normalization."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class Block(nn.Module):
    """A residual block."""

    def __init__(self, kind, inputs, width, stride):
        super().__init__()
        outputs = 4 * width if kind == "bottleneck" else width
        if kind == "bottleneck":
            plan = ((inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1))
        else:
            plan = ((inputs, width, 3, stride), (width, width, 3, 1))
        self.layers = nn.ModuleList([conv_norm(*layer) for layer in plan])
        changes = stride != 1 or inputs != outputs
        self.shortcut = conv_norm(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x):
        """The block's output map."""
        y = x
        for number, layer in enumerate(self.layers):
            y = layer(F.relu(y, inplace=True) if number else y)
        return F.relu(y + self.shortcut(x), inplace=True)


class Inverted(nn.Module):
    """An inverted block of EfficientNet-Lite: widen, look around in each channel, project."""

    def __init__(self, inputs, outputs, size, stride, expansion, side):
        super().__init__()
        wide = expansion * inputs
        expand = [*lite_conv(inputs, wide, 1, 1, side), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(
            *(expand if expansion > 1 else []),
            *lite_conv(wide, wide, size, stride, side, groups=wide),
            nn.ReLU6(inplace=True),
            *lite_conv(wide, outputs, 1, 1, side),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        """The block's output map."""
        return x + self.layers(x) if self.adds else self.layers(x)


def lite_conv(inputs, outputs, size, stride, side, groups=1):
    """A convolution padded as TensorFlow's "SAME" on maps of this side, and its normalization."""
    total = max((-(-side // stride) - 1) * stride + size - side, 0)
    before, after = total // 2, total - total // 2
    return [
        *([nn.ZeroPad2d((before, after, before, after))] if before != after else []),
        nn.Conv2d(
            inputs, outputs, size, stride, before if before == after else 0,
            groups=groups, bias=False,
        ),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]  # fmt: skip


def efficientnet_lite0(net, side):
    """Its stages, as of `resnet`; the stem belongs to the first, and the head is the last."""
    plan = ((1, 16, 3, 1, 1), (2, 24, 3, 2, 6), (2, 40, 5, 2, 6), (3, 80, 3, 2, 6),
            (3, 112, 5, 1, 6), (4, 192, 5, 2, 6), (1, 320, 3, 1, 6))  # fmt: skip
    layers, inputs = [*lite_conv(3, 32, 3, 2, side), nn.ReLU6(inplace=True)], 32
    side = -(-side // 2)
    for blocks, outputs, size, stride, expansion in plan:
        for block in range(blocks):
            own = stride if block == 0 else 1
            layers.append(Inverted(inputs, outputs, size, own, expansion, side))
            inputs, side = outputs, -(-side // own)
        yield nn.Sequential(*layers), outputs, side
        layers = []
    yield nn.Sequential(*lite_conv(inputs, 1280, 1, 1, side), nn.ReLU6(inplace=True)), 1280, side


def resnet(net, side):
    """Its stages from the stem on: module, channels and side of what it returns."""
    width, kind = net["width"], net["block"]
    size = 7 if net["stem"] == "imagenet" else 3
    stem = (conv_norm(3, width, size, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    inputs, side = width, side // 4
    yield nn.Sequential(*stem), inputs, side
    for number, blocks in enumerate(net["blocks"]):
        inside, layers = width * 2**number, []
        for block in range(blocks):
            stride = 2 if block == 0 and number > 0 else 1
            layers.append(Block(kind, inputs, inside, stride))
            inputs = 4 * inside if kind == "bottleneck" else inside
            side //= stride
        yield nn.Sequential(*layers), inputs, side


BACKBONES = {"resnet": resnet, "efficientnet_lite0": efficientnet_lite0}


class Integrated(nn.Module):
    """The integrated network of catpose, layer by layer."""

    def __init__(self, net, num_categories, resolution):
        super().__init__()
        stages, widths, sides = zip(*BACKBONES[net["trunk"]](net, resolution), strict=True)
        cut = net["split_stage"]
        self.features, self.rest = nn.Sequential(*stages[:cut]), nn.Sequential(*stages[cut:])
        self.logits = nn.Linear(widths[-1], num_categories)
        channels, side = widths[cut - 1], sides[cut - 1]
        self.reduce = nn.Identity()
        if net["pool_channels"]:
            self.reduce = nn.Conv2d(channels, net["pool_channels"], 1)
            channels = net["pool_channels"]
        self.grid = net["pool_grid"]
        units = [channels * (self.grid or side) ** 2, *net["pose_hidden"]]
        self.pose = nn.ModuleList([self._pose(units) for _ in range(num_categories)])

    @staticmethod
    def _pose(units):
        layers = []
        for inputs, outputs in zip(units, units[1:], strict=False):
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(units[-1], 3))

    def forward(self, x):
        """Category logits and the pose outputs of all networks."""
        shared = self.features(x)
        logits = self.logits(self.rest(shared).mean((2, 3)))
        pooled = self.reduce(shared)
        pooled = F.adaptive_avg_pool2d(pooled, self.grid) if self.grid else pooled
        pooled = pooled.flatten(1)
        poses = torch.stack([math.pi * torch.tanh(net(pooled)) for net in self.pose], 1)
        return logits, poses


def quaternion(omega):
    """Axis-angle vectors as unit quaternions."""
    half = 0.5 * omega.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return torch.cat([half.cos(), half.sin() * omega / (2 * half)], -1)


def geodesic(a, b):
    """Angle in radians between rotations given as axis-angle vectors."""
    dot = (quaternion(a) * quaternion(b)).sum(-1).abs().clamp(max=1 - 1e-6)
    return 2 * torch.acos(dot)


def programs(settings):
    """The functions train() and infer(), and what waits for them."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    batch, side, count = (settings[name] for name in ("batch", "resolution", "num_categories"))
    last = torch.channels_last
    model = Integrated(settings["network"], count, side).to(device, memory_format=last)
    images = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=last)
    category = torch.arange(batch, device=device) % count
    target = torch.randn(batch, 3, device=device)
    tx = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    low = settings["dtype"] == "bfloat16"
    net = model
    if device == "cuda":
        net = torch.compile(model)

    def cast():
        return torch.autocast(device, torch.bfloat16) if low else contextlib.nullcontext()

    def train():
        model.train()
        tx.zero_grad(set_to_none=True)
        with cast():
            logits, poses = net(images)
        logits, poses = logits.float(), poses.float()
        fused = (logits.softmax(-1)[..., None] * poses).sum(1)
        loss = 0.1 * F.cross_entropy(logits, category) + geodesic(fused, target).mean()
        loss.backward()
        if settings["clip_norm"]:
            nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        tx.step()

    @torch.inference_mode()
    def infer():
        model.eval()
        with cast():
            return net(images)

    crop = np.zeros((1, side, side, 3), np.uint8)
    mean, deviation = (
        torch.tensor(numbers, device=device)[:, None, None]
        for numbers in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    @torch.inference_mode()
    def latency():
        model.eval()
        image = torch.from_numpy(crop).to(device).permute(0, 3, 1, 2)
        with cast():
            logits, poses = net((image / 255 - mean) / deviation)
        probabilities = logits.float().softmax(-1)
        fused = (probabilities[..., None] * poses.float()).sum(1)
        return probabilities.cpu().numpy(), fused.cpu().numpy()

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    return {"train": train, "infer": infer, "latency": latency}, wait


def main():
    """Answers each line on stdin with the seconds that a program took."""
    settings = json.loads(sys.argv[1])
    found, wait = programs(settings)
    for name in settings["names"]:
        found[name]()
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        name, count = line.split()
        wait()
        begin = time.perf_counter()
        for _ in range(int(count)):
            found[name]()
        wait()
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
