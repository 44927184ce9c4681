"""Make tests/golden/torch_*: small ResNets in PyTorch, their weights, inputs and stage outputs.

    python tests/peers/make_golden_torch.py        # torch 2.13.0, safetensors; seconds on a CPU

The networks have torchvision's structure, names and padding at width 4. Weights are rounded to
bfloat16, so that a float32 and a bfloat16 file hold the same numbers.
"""

import pathlib

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
WIDTH = 4


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = downsample(inputs, 4 * width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample(inputs, width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def downsample(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    def __init__(self, block, blocks, stem_size):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, stem_size, 2, stem_size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        channels = WIDTH
        for i, num_blocks in enumerate(blocks):
            width, layers = WIDTH * 2**i, []
            for j in range(num_blocks):
                layers.append(block(channels, width, 2 if i and not j else 1))
                channels = width * block.expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*layers))
        self.num_layers = len(blocks)
        self.fc = nn.Linear(channels, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        maps = []
        for i in range(self.num_layers):
            x = getattr(self, f"layer{i + 1}")(x)
            maps.append(x)
        return maps


def randomise(model, generator):
    for name, values in model.state_dict().items():
        if values.ndim == 4:
            fan = values[0].numel()
            values.normal_(0, (2 / fan) ** 0.5, generator=generator)
        elif name.endswith("running_var") or (name.endswith("weight") and values.ndim == 1):
            values.uniform_(0.5, 1.5, generator=generator)
        elif values.is_floating_point():
            values.uniform_(-0.3, 0.3, generator=generator)
        if values.is_floating_point():
            values.copy_(values.bfloat16().float())


def main():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, 64, 64, generator=generator).half().float()
    arrays = {"image": image.permute(0, 2, 3, 1).numpy().astype(np.float16)}
    for name, block, blocks, stem_size in (
        ("bottleneck", Bottleneck, (2, 1, 1, 1), 7),
        ("basic", BasicBlock, (1, 2, 1, 1), 3),
    ):
        model = ResNet(block, blocks, stem_size).eval()
        with torch.no_grad():
            randomise(model, generator)
            maps = model(image)
        for stage, values in enumerate(maps, start=2):
            arrays[f"{name}_stage{stage}"] = values.permute(0, 2, 3, 1).numpy()
        if name == "bottleneck":
            torch.save(model.state_dict(), GOLDEN / f"torch_{name}.pth")
            half = {
                k: v.bfloat16() if v.is_floating_point() else v
                for k, v in model.state_dict().items()
            }
            save_file(half, GOLDEN / f"torch_{name}.safetensors")
            (GOLDEN / f"torch_{name}.safetensors").chmod(0o644)
        else:
            # As training scripts write it.
            state = {f"module.{k}": v.bfloat16() for k, v in model.state_dict().items()}
            torch.save({"epoch": 3, "state_dict": state}, GOLDEN / f"torch_{name}_wrapped.pt")
    # Later stages contain it, and its map is large.
    for key in [k for k in arrays if k.endswith("stage2")]:
        del arrays[key]
    np.savez_compressed(GOLDEN / "torch_stages.npz", **arrays)


if __name__ == "__main__":
    main()
