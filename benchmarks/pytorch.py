"""The training steps of both stages in plain PyTorch, the yardstick of the speed tests.

It is what a PyTorch user would write for speed: `channels_last` memory, fused SGD,
random numbers drawn once for all sites, nothing copied to the host within a step, and
`torch.compile` where it is asked for and works. From the same weights, minibatches and
masks it computes what `surrojax` computes (`tests/test_pytorch.py`).

Images are `[B, C, H, W]` float32. z is flattened in the order height, width, channel: a
view of a channels_last feature map, and V is the same matrix as in `surrojax`. What
belongs to the sites is a dict of those that a network has. Hyper-parameters are
tensors, so that a new setting is no new program.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from surrojax.networks.dropout import LEVELS
from surrojax.networks.layers import matching
from surrojax.networks.mresnet import STAGES
from surrojax.sites import Hyper, Sites

AtSites = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
Form = Literal["loop", "batched"]
FORMS: tuple[Form, ...] = ("loop", "batched")

MOMENTUM, BASE_RATE, HALVE_EVERY = 0.9, 0.01, 4000.0
ETA = Sites(1e-2, 1e-2, 1e-2, 1e-2)


class Setting(NamedTuple):
    """Hyper-parameters on the device: at each of the four sites `[]`, or `[N]`.

    Attributes:
      coefficient: the regularisation coefficient.
      least: the least of `LEVELS` levels that dropout keeps.
      scale: 1 / (1 - p), of what is kept.
    """

    coefficient: AtSites
    least: AtSites
    scale: AtSites

    @classmethod
    def of(cls, hyper: Hyper, device: Any = None) -> "Setting":
        """From numbers or arrays `[N]`; a site that is None counts as 0."""
        values = [0.0 if v is None else v for group in hyper for v in group]
        same = np.broadcast_arrays(*(np.asarray(v, np.float32) for v in values))
        coefficient, ratio = torch.tensor(np.stack(same), device=device).split(4)
        groups = (coefficient, (ratio * LEVELS).round(), 1 / (1 - ratio))
        return cls(*(dict(zip(Sites._fields, g, strict=True)) for g in groups))

    def at(self, candidate: int) -> "Setting":
        """That of one candidate of a population."""
        return Setting(*({s: a[candidate] for s, a in group.items()} for group in self))


def draw_levels(shapes: Sequence[Shapes], device: Any = None) -> list[AtSites]:
    """Whole numbers in [0, `LEVELS`), as float32, for the dropout masks of a step.

    Four are cut out of each random number: on a CPU nearly three times as fast as
    `torch.rand`, and more than ten times as `bernoulli_` and `dropout`.
    """
    sizes = [math.prod(shape) for at in shapes for shape in at.values()]
    words = torch.empty(-(-sum(sizes) // 4), dtype=torch.int64, device=device)
    levels = words.random_(-(2**63), None).view(torch.uint16)[: sum(sizes)]
    parts = iter(levels.to(torch.float32).split(sizes))
    return [{s: next(parts).view(shape) for s, shape in at.items()} for at in shapes]


def masks_of(levels: AtSites, setting: Setting) -> AtSites:
    """Dropout's factors (eq. 7): 0 or 1 / (1 - p), with a leading N of a population."""

    def mask(level: Tensor, least: Tensor, scale: Tensor) -> Tensor:
        if least.ndim:
            level = level.expand(len(least), *level.shape)
            least, scale = least[:, None, None], scale[:, None, None]
        # On a CPU six times as fast as by way of bool.
        return torch.ge(level, least, out=torch.empty_like(level)).mul_(scale)

    return {s: mask(a, setting.least[s], setting.scale[s]) for s, a in levels.items()}


def fully_connected(inputs: int, outputs: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights `[inputs, outputs]`, initialised as Caffe does, and biases of 0."""
    bound = math.sqrt(3 / inputs)
    weights = torch.empty(inputs, outputs).uniform_(-bound, bound)
    return nn.Parameter(weights), nn.Parameter(torch.zeros(outputs))


class Head(nn.Module):
    """The fully connected layers, as `surrojax.networks.head.Head`."""

    def __init__(
        self,
        n_z: int,
        hidden: int | None,
        classes: int,
        activation: Callable[[Tensor], Tensor] = functional.relu,
    ):
        super().__init__()
        self.hidden, self.activation = hidden, activation
        self.V, self.bias_V = fully_connected(n_z, hidden or classes)
        if hidden is not None:
            self.W, self.bias_W = fully_connected(hidden, classes)

    def forward(self, z: Tensor, masks: AtSites | None) -> tuple[Tensor, AtSites]:
        """Logits `[B, K]`, and the sites before their own dropout."""

        def drop(site: str, a: Tensor) -> Tensor:
            return a if masks is None else a * masks[site]

        y = torch.addmm(self.bias_V, drop("z", z), drop("V", self.V))
        if self.hidden is None:
            return y, {"z": z, "V": self.V}
        x = self.activation(y)
        y = torch.addmm(self.bias_W, drop("x", x), drop("W", self.W))
        return y, {"z": z, "V": self.V, "x": x, "W": self.W}

    def shapes(self, samples: int) -> Shapes:
        """Shapes at the sites for so many samples."""
        shapes = {"z": (samples, len(self.V)), "V": tuple(self.V.shape)}
        if self.hidden is not None:
            shapes |= {"x": (samples, len(self.W)), "W": tuple(self.W.shape)}
        return shapes


class Network(nn.Module):
    """Feature maps, then the head; layers have the names of the Flax module's."""

    def __init__(self, trunk: nn.Module, head: Head):
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(
        self, images: Tensor, masks: AtSites | None = None
    ) -> tuple[Tensor, AtSites]:
        """Logits `[B, K]` and sites of `[B, C, H, W]`; with dropout if given masks."""
        z = self.trunk(images).permute(0, 2, 3, 1).flatten(1)
        return self.head(z, masks)


def named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def lenet(classes: int, size: int, channels: int) -> tuple[Network, Network]:
    """LeNet and its surrogate (Table 2)."""
    side = ((size - 4) // 2 - 4) // 2
    kernel, pad = matching(size, side)
    original = named(
        Conv_0=nn.Conv2d(channels, 20, 5),
        pool_0=nn.MaxPool2d(2),
        Conv_1=nn.Conv2d(20, 50, 5),
        pool_1=nn.MaxPool2d(2),
    )
    surrogate = named(Conv_0=nn.Conv2d(channels, 50, kernel, kernel, pad))
    heads = [Head(50 * side**2, 500, classes) for _ in range(2)]
    return Network(original, heads[0]), Network(surrogate, heads[1])


class Average(nn.Module):
    """`[B, C, H, W] -> [B, C, 1, 1]`; AdaptiveAvgPool2d is slow under vmap."""

    def forward(self, y: Tensor) -> Tensor:
        return y.mean((2, 3), keepdim=True)


class ResNet20Trunk(nn.Module):
    """The convolutions of ResNet20, with shortcuts of option A.

    PyTorch's running variance is of the unbiased estimate, Flax's of the biased one.
    """

    def __init__(self, channels: int):
        super().__init__()
        maps = [channels, *7 * [16], *6 * [32], *6 * [64]]
        for i, (before, after) in enumerate(pairwise(maps)):
            stride = 2 if i in (7, 13) else 1
            conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            self.add_module(f"Conv_{i}", conv)
            self.add_module(f"BatchNorm_{i}", nn.BatchNorm2d(after))
        self.mean = Average()

    def forward(self, images: Tensor) -> Tensor:
        y = functional.relu(self._conv(0, images), inplace=True)
        for i in range(1, 19, 2):
            residual = functional.relu(self._conv(i, y), inplace=True)
            residual = self._conv(i + 1, residual)
            more = residual.shape[1] - y.shape[1]
            if more:
                y = functional.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 0, more))
            y = functional.relu(residual + y, inplace=True)
        return self.mean(y)

    def _conv(self, i: int, y: Tensor) -> Tensor:
        return getattr(self, f"BatchNorm_{i}")(getattr(self, f"Conv_{i}")(y))


def resnet20(classes: int, size: int, channels: int) -> tuple[Network, Network]:
    """ResNet20 and its surrogate (Table 2)."""
    surrogate = named(
        Conv_0=nn.Conv2d(channels, 64, 6, 4, 1),
        relu=nn.ReLU(inplace=True),
        mean=Average(),
    )
    heads = [Head(64, None, classes) for _ in range(2)]
    return Network(ResNet20Trunk(channels), heads[0]), Network(surrogate, heads[1])


class CoPr(nn.Module):
    """Convolution and PReLU."""

    def __init__(
        self,
        inputs: int,
        maps: int,
        kernel: int = 3,
        stride: int = 1,
        pad: int = 0,
        bias: bool = True,
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, maps, kernel, stride, pad, bias=bias)
        self.slope = nn.Parameter(torch.full((maps,), 0.25))

    def forward(self, y: Tensor) -> Tensor:
        return functional.prelu(self.conv(y), self.slope)


class ResBl(nn.Module):
    """`u + CoPr(CoPr(u))`."""

    def __init__(self, maps: int):
        super().__init__()
        self.CoPr1 = CoPr(maps, maps, pad=1, bias=False)
        self.CoPr2 = CoPr(maps, maps, pad=1, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        return u + self.CoPr2(self.CoPr1(u))


def mresnet(classes: int, size: int, channels: int) -> tuple[Network, Network]:
    """M-ResNet and its surrogate (Fig. 3)."""
    side, before = (size - 9) // 2 + 1, 32
    layers: dict[str, nn.Module] = {"CoPr1": CoPr(channels, 32, 9, 2)}
    for number, maps, blocks in STAGES:
        layers[f"CoPr{number}"] = CoPr(before, maps)
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        for block in range(1, blocks + 1):
            layers[f"ResBl{number - 1}_{block}"] = ResBl(maps)
        side, before = (side - 2) // 2, maps
    kernel, pad = matching(((size + 2) // 6 + 1) // 3, side)
    surrogate = named(
        CoPr1=CoPr(channels, 16, 6, 6, 4),
        pool1=nn.MaxPool2d(3),
        CoPr2=CoPr(16, 512, kernel, kernel, pad),
    )
    heads = [Head(512 * side**2, 384, classes, nn.Identity()) for _ in range(2)]
    return Network(named(**layers), heads[0]), Network(surrogate, heads[1])


def make_pair(
    name: str, classes: int, size: int, channels: int, device: Any = None
) -> tuple[Network, Network]:
    """An original and its surrogate; arguments as of `surrojax.networks.make_pair`."""

    def placed(network: Any) -> Network:
        return network.to(device=device, memory_format=torch.channels_last)

    make = {"lenet": lenet, "resnet20": resnet20, "mresnet": mresnet}[name]
    original, surrogate = make(classes, size, channels)
    return placed(original), placed(surrogate)


RENAMED = {
    "kernel": "weight",
    "scale": "weight",
    "mean": "running_mean",
    "var": "running_var",
}


def from_flax(variables: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of a `Network` that has the variables of a Flax module.

    Args:
      variables: collections, `params` and perhaps `batch_stats`, of nested dicts.
    """
    state: dict[str, Tensor] = {}

    def add(path: tuple[str, ...], value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                add((*path, name), inner)
            return
        tensor = torch.tensor(np.array(value, np.float32))
        if path[-1] == "kernel":
            tensor = tensor.permute(3, 2, 0, 1)
        state[".".join((*path[:-1], RENAMED.get(path[-1], path[-1])))] = tensor

    for collection in variables.values():
        for name, layer in collection.items():
            add((name,) if name == "head" else ("trunk", name), layer)
    return state


def load(network: Network, variables: Mapping[str, Any]) -> None:
    """Copies the variables of the Flax module into the network, all of them."""
    counts = {k: v for k, v in network.state_dict().items() if k.endswith("_tracked")}
    network.load_state_dict(counts | from_flax(variables))


class Look(NamedTuple):
    """Height (and width) and channels of what a network takes."""

    size: int
    channels: int


class Split(NamedTuple):
    """Resident images `[n, H, W, C]` uint8 and labels `[n]` int64."""

    images: Tensor
    labels: Tensor


class Batch(NamedTuple):
    """Images `[B, C, H, W]` as a network takes them, and labels `[B]` int64."""

    images: Tensor
    labels: Tensor


def see(images: Tensor, look: Look) -> Tensor:
    """Images `[B, H, W, C]` uint8 as a network takes them; as `Look.see_center`."""
    seen = images.permute(0, 3, 1, 2).to(torch.float32)
    if seen.shape[-1] != look.size:
        shape, smaller = (look.size, look.size), look.size < seen.shape[-1]
        seen = functional.interpolate(seen, shape, mode="bilinear", antialias=smaller)
    seen = seen.sub_(127.5).mul_(1 / 128).expand(-1, look.channels, -1, -1)
    return seen.contiguous(memory_format=torch.channels_last)


def draw_batch(train: Split, look: Look, samples: int) -> Batch:
    """A minibatch drawn with replacement, each image mirrored with probability 0.5."""
    device = train.images.device
    rows = torch.randint(len(train.labels), (samples,), device=device)
    flip = torch.rand(samples, 1, 1, 1, device=device) < 0.5
    images = train.images[rows]
    images = torch.where(flip, images.flip(2), images)
    return Batch(see(images, look), train.labels[rows])


class Losses(NamedTuple):
    """What `stage1.fit_step` reports: tensors `[]`; `euclidean` has those of eq. 9."""

    loss: Tensor
    surrogate_loss: Tensor
    euclidean: AtSites


def share(site: str, labels: Tensor) -> float:
    """Features count as the mean over the batch, weights as they are."""
    return 1 / len(labels) if site in ("z", "x") else 1.0


def penalty(sites: AtSites, labels: Tensor, setting: Setting) -> Tensor:
    """The weighted L1 sparseness terms of eq. 4."""
    terms = [
        setting.coefficient[site] * (share(site, labels) * a.abs().sum())
        for site, a in sites.items()
    ]
    return torch.stack(terms).sum()


def fusion_loss(
    original: Network,
    surrogate: Network,
    setting: Setting,
    eta: Sites,
    batch: Batch,
    masks: Sequence[AtSites],
) -> tuple[Tensor, Losses]:
    """What stage 1 minimises: eq. 4, and the softmax loss and eq. 9 of the surrogate.

    Nothing of the surrogate reaches the original.
    """
    images, labels = batch
    logits, wanted = original(images, masks[0])
    loss = functional.cross_entropy(logits, labels)
    logits, fitted = surrogate(images, masks[1])
    surrogate_loss = functional.cross_entropy(logits, labels)
    total = loss + penalty(wanted, labels, setting) + surrogate_loss
    distances = {}
    for site, a in fitted.items():
        squared = functional.mse_loss(a, wanted[site].detach(), reduction="sum")
        distances[site] = 0.5 * share(site, labels) * squared
        total = total + getattr(eta, site) * distances[site]
    return total, Losses(
        loss.detach(),
        surrogate_loss.detach(),
        {site: distance.detach() for site, distance in distances.items()},
    )


def candidate_loss(
    surrogate: Callable[..., Any], setting: Setting, batch: Batch, masks: AtSites
) -> Tensor:
    """Eq. 4 of a surrogate, which stage 2 minimises."""
    logits, sites = surrogate(batch.images, masks)
    softmax = functional.cross_entropy(logits, batch.labels)
    return softmax + penalty(sites, batch.labels, setting)


def population_loss(
    surrogate: Network,
    stacked: AtSites,
    setting: Setting,
    batch: Batch,
    masks: AtSites,
) -> Tensor:
    """The sum of eq. 4 over N candidates; parameters, setting and masks have an N."""

    def one(parameters: AtSites, setting: Setting, masks: AtSites) -> Tensor:
        def network(*given: Any) -> Any:
            return torch.func.functional_call(surrogate, parameters, given)

        return candidate_loss(network, setting, batch, masks)

    return torch.func.vmap(one)(stacked, setting, masks).sum()


@cache
def compiler_fault() -> str | None:
    """Why `torch.compile` does not work on this machine; None where it does."""
    try:
        a = torch.ones(2, requires_grad=True)
        torch.compile(lambda a: (a * a).sum())(a).backward()
    except Exception as error:  # the compilers raise what they like
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return None


def perhaps_compiled(function: Callable[..., Any], compiled: bool) -> Any:
    """The function, compiled where that is asked for and works.

    Masks are made outside of it: for a compiled function's backward pass they would be
    kept as bool, which is slow to store and load in vectorised code (GCC 12).
    """
    return torch.compile(function) if compiled and not compiler_fault() else function


def sgd(parameters: Iterable[Tensor]) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=BASE_RATE, momentum=MOMENTUM, fused=True)


def descend(optimizer: torch.optim.SGD, step: int) -> None:
    """SGD at the rate of a global step; the gradients are used up."""
    for group in optimizer.param_groups:
        group["lr"] = BASE_RATE * 0.5 ** (step / HALVE_EVERY)
    optimizer.step()
    optimizer.zero_grad()


class Stage1:
    """The 'original + surrogate' network in training with one setting."""

    def __init__(
        self,
        original: Network,
        surrogate: Network,
        hyper: Hyper,
        eta: Sites = ETA,
        compiled: bool = False,
    ):
        self.original, self.surrogate, self.eta = original, surrogate, eta
        self.setting = Setting.of(hyper, original.head.V.device)
        self.optimizer = sgd([*original.parameters(), *surrogate.parameters()])
        self._loss = perhaps_compiled(fusion_loss, compiled)

    def under(self, hyper: Hyper) -> "Stage1":
        """A copy, momentum included, with another setting."""
        other = copy.deepcopy(self)
        other.setting = Setting.of(hyper, self.original.head.V.device)
        return other

    def shapes(self, samples: int) -> list[Shapes]:
        """What `draw_levels` needs to know of the original and of the surrogate."""
        return [net.head.shapes(samples) for net in (self.original, self.surrogate)]

    def step(self, step: int, batch: Batch, levels: Sequence[AtSites]) -> Losses:
        """One step; `levels` are the original's and the surrogate's."""
        masks = [masks_of(a, self.setting) for a in levels]
        total, losses = self._loss(
            self.original, self.surrogate, self.setting, self.eta, batch, masks
        )
        total.backward()
        descend(self.optimizer, step)
        return losses


class Stage2:
    """N copies of a surrogate in training, each with its own setting.

    Attributes:
      networks: the copies. In the form `batched` their parameters are views of tensors
        `[N, ...]`, on which a step works as a whole.
    """

    def __init__(
        self,
        surrogate: Network,
        hypers: Hyper,
        form: Form = "loop",
        compiled: bool = False,
    ):
        self._setting = Setting.of(hypers, surrogate.head.V.device)
        count = len(self._setting.scale["z"])
        self.networks = [copy.deepcopy(surrogate) for _ in range(count)]
        self._stacked: AtSites | None = None
        if form == "loop":
            self._settings = [self._setting.at(i) for i in range(count)]
            self._loss = perhaps_compiled(candidate_loss, compiled)
            self.optimizer = sgd(p for n in self.networks for p in n.parameters())
            return
        self._stacked = {
            name: nn.Parameter(a.detach().expand(count, *a.shape).clone())
            for name, a in surrogate.named_parameters()
        }
        for name, stacked in self._stacked.items():
            for network, a in zip(self.networks, stacked.detach(), strict=True):
                network.get_parameter(name).data = a
        self._loss = perhaps_compiled(population_loss, compiled)
        self.optimizer = sgd(self._stacked.values())

    def step(self, step: int, batch: Batch, levels: AtSites) -> None:
        """One step of all candidates on the same minibatch and random numbers."""
        if self._stacked is None:
            for network, setting in zip(self.networks, self._settings, strict=True):
                masks = masks_of(levels, setting)
                self._loss(network, setting, batch, masks).backward()
        else:
            masks = masks_of(levels, self._setting)
            given = (self.networks[0], self._stacked, self._setting, batch, masks)
            self._loss(*given).backward()
        descend(self.optimizer, step)


class Evaluation(NamedTuple):
    """Means over a split, as of `surrojax.evaluate.Evaluation`."""

    accuracy: float
    cross_entropy: float
    hoyer: float


@torch.inference_mode()
def evaluate(
    networks: Sequence[Network], split: Split, look: Look, samples: int = 512
) -> list[Evaluation]:
    """The figures of each network on a split, so many samples at a time."""
    for network in networks:
        network.eval()
    sums = torch.zeros(len(networks), 3, device=split.labels.device)
    pieces = zip(split.images.split(samples), split.labels.split(samples), strict=True)
    for images, labels in pieces:
        seen = see(images, look)
        for network, row in zip(networks, sums, strict=True):
            logits, sites = network(seen)
            last = sites.get("x", sites["z"])
            l1, l2 = last.abs().sum(1), torch.linalg.vector_norm(last, dim=1)
            row[0] += (logits.argmax(1) == labels).sum()
            row[1] += functional.cross_entropy(logits, labels, reduction="sum")
            row[2] += (l1 / torch.where(l2 > 0, l2, 1.0)).sum()
    for network in networks:
        network.train()
    return [Evaluation(*row) for row in (sums / len(split.labels)).tolist()]


class Round(NamedTuple):
    """What a round of Algorithm 1 yields.

    Attributes:
      retained: the networks of the setting with the better validation accuracy.
      stage1: for each setting, of the original and of the surrogate.
      stage2: of each candidate.
    """

    retained: Stage1
    stage1: list[list[Evaluation]]
    stage2: list[Evaluation]


def train_round(
    retained: Stage1,
    settings: Sequence[Hyper],
    candidates: Hyper,
    train: Split,
    validation: Split,
    look: Look,
    steps: Sequence[int],
    samples: int = 64,
    form: Form = "loop",
    compiled: bool = False,
) -> Round:
    """Lines 5 to 14 of Algorithm 1, without the optimiser's own few numbers.

    Args:
      retained: the networks of the last round.
      settings: of stage 1; they share minibatches and random numbers.
      candidates: `[N]` at each site.
      train, validation: the splits.
      look: of the networks.
      steps: the global steps of the round.
      samples: B.
      form, compiled: of stage 2; stage 1 is compiled if `retained` is.
    """
    shapes = retained.shapes(samples)

    def draw(shapes: list[Shapes]) -> tuple[Batch, list[AtSites]]:
        levels = draw_levels(shapes, train.images.device)
        return draw_batch(train, look, samples), levels

    fusions = [retained.under(hyper) for hyper in settings]
    for step in steps:
        given = draw(shapes)
        for fusion in fusions:
            fusion.step(step, *given)
    stage1 = [evaluate([f.original, f.surrogate], validation, look) for f in fusions]
    best = max(range(len(fusions)), key=lambda i: stage1[i][0].accuracy)
    population = Stage2(fusions[best].surrogate, candidates, form, compiled)
    for step in steps:
        batch, levels = draw(shapes[1:])
        population.step(step, batch, *levels)
    stage2 = evaluate(population.networks, validation, look)
    return Round(fusions[best], stage1, stage2)
