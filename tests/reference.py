"""Algorithm 1 once more, in NumPy and 64 bits, from the method's description alone.

Nothing of surrojax is imported here; what chance decides is asked of `draws`. The
networks are conftest's TinyOriginal and TinySurrogate, their gradients written by hand.
A variable's name is the path of its parameter, joined by dots.
"""

import math

import numpy as np

FEATURES = ("z", "x")
"""Sites that count as the mean over the batch; the others are weights."""

HEAD = ("head.V", "head.bias_V", "head.W", "head.bias_W")


def dropped(a, levels, p):
    """Eq. 7, and by what the gradient is multiplied."""
    kept = (levels >= round(p * 2**16)) / (1 - p)
    return a * kept, kept


def forward(net, images, levels=None, p=None):
    """Logits, the sites, and what the way back needs; with levels, in training."""
    one = np.float64(1)
    if "Dense_1.kernel" in net:  # the original
        flat = images.reshape(len(images), -1)
        below = np.tanh(flat @ net["Dense_0.kernel"] + net["Dense_0.bias"])
        z = below @ net["Dense_1.kernel"] + net["Dense_1.bias"]
    else:
        b, h, w, c = images.shape
        flat = images.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4)).reshape(b, -1)
        below, z = None, flat @ net["Dense_0.kernel"] + net["Dense_0.bias"]
    keep = dict.fromkeys("zVxW", one)
    sites = {"z": z, "V": net["head.V"], "W": net["head.W"]}

    def seen(site):
        if levels is None:
            return sites[site]
        result, keep[site] = dropped(sites[site], levels[site], p[site])
        return result

    z_seen, v_seen = seen("z"), seen("V")
    y = z_seen @ v_seen + net["head.bias_V"]
    sites["x"] = np.maximum(y, 0)
    x_seen, w_seen = seen("x"), seen("W")
    logits = x_seen @ w_seen + net["head.bias_W"]
    return logits, sites, (flat, below, z_seen, v_seen, y, x_seen, w_seen, keep)


def backward(net, saved, d_logits, more):
    """Gradients of a loss of the logits, and of `more` by site besides."""
    flat, below, z_seen, v_seen, y, x_seen, w_seen, keep = saved
    grads = {"head.bias_W": d_logits.sum(0)}
    grads["head.W"] = x_seen.T @ d_logits * keep["W"] + more["W"]
    d_y = (d_logits @ w_seen.T * keep["x"] + more["x"]) * (y > 0)
    grads["head.bias_V"] = d_y.sum(0)
    grads["head.V"] = z_seen.T @ d_y * keep["V"] + more["V"]
    d_z = d_y @ v_seen.T * keep["z"] + more["z"]
    if below is not None:
        grads["Dense_1.bias"], grads["Dense_1.kernel"] = d_z.sum(0), below.T @ d_z
        d_z = d_z @ net["Dense_1.kernel"].T * (1 - below**2)
    return grads | {"Dense_0.bias": d_z.sum(0), "Dense_0.kernel": flat.T @ d_z}


def softmax_loss(logits, labels):
    """Eq. 5 of each sample, and the gradient of its mean."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    slope = np.exp(log_p)
    slope[rows, labels] -= 1
    return -log_p[rows, labels], slope / len(labels)


def sparseness(coefficients):
    """Slopes of eq. 2 and 3, of L1."""
    return lambda sites: {s: coefficients[s] * np.sign(a) for s, a in sites.items()}


def euclidean(original, eta):
    """Eq. 10: slopes of eq. 9, the original standing still."""
    return lambda sites: {s: eta * (a - original[s]) for s, a in sites.items()}


class Net:
    """Weights, and momentum of those that are trained."""

    def __init__(self, weights):
        self.weights = {n: np.asarray(w, np.float64) for n, w in weights.items()}
        self.momentum = {n: np.zeros_like(w) for n, w in self.weights.items()}

    def stepped(self, grads, rate, mu):
        new = Net(self.weights)
        new.momentum = {n: mu * m + grads[n] for n, m in self.momentum.items()}
        moved = {n: self.weights[n] - rate * m for n, m in new.momentum.items()}
        new.weights = self.weights | moved
        return new


class Reference:
    """A run: `round` plays one.

    Args:
      method: a dict of its settings.
      nets: weights of the original and of the surrogate (None: a shared trunk).
      train, validation: (images uint8, labels).
      draws: what chance decides.
    """

    def __init__(self, method, nets, train, validation, draws):
        self.of, self.train, self.validation = method, train, validation
        self.draws = draws
        self.nets = [net and Net(net) for net in nets]
        groups = ["ratio" if n[0] == "p" else "coefficient" for n in method["tune"]]
        units = {"coefficient": math.log(10), "ratio": 1}
        center, width, lower, upper = (
            np.array([values[g] for g in groups])
            for values in (
                {g: math.log(c) for g, c in method["center"].items()},
                {g: units[g] * w for g, w in method["width"].items()},
                {g: math.log(b[0]) for g, b in method["bounds"].items()},
                {g: math.log(b[1]) for g, b in method["bounds"].items()},
            )
        )
        self.lower, self.upper = lower, upper
        strata, jitter = draws.population()
        box = 2 * (strata + jitter) / len(strata) - 1
        self.x = np.clip(center + width * box, lower, upper)
        self.velocity = np.zeros_like(self.x)
        self.own, self.own_scores = self.x.copy(), np.full(len(self.x), -np.inf)
        first = center if method["first_setting"] == "center" else self.x[0]
        self.current, self.previous = (first, -np.inf), (center, -np.inf)
        self.found = None  # of the nets that were kept
        self.rounds = self.step = 0

    def setting(self, vector):
        """lambda and p by site, 0 where nothing is searched."""
        values = dict(zip(self.of["tune"], np.exp(vector), strict=True))
        return (
            {s: values.get(f"{kind}_{s}", 0.0) for s in "zVxW"}
            for kind in ("lambda", "p")
        )

    def rate(self, step):
        return self.of["rate"] * 0.5 ** (step / self.of["halve_every"])

    def minibatch(self, stage, step):
        rows, flips = self.draws.batch(stage, step)
        images, labels = self.train
        turned = [
            i[:, ::-1] if f else i for i, f in zip(images[rows], flips, strict=True)
        ]
        return (np.array(turned, np.float64) - 127.5) / 128, labels[rows]

    def descend(self, net, minibatch, draw, p, slopes):
        """A step of a network, down the softmax loss and what has slopes besides.

        Args:
          net: before the step.
          minibatch: images and labels.
          draw: stage, network and step, for the masks.
          p: ratios by site.
          slopes: of the sites, by site; of a feature those of a sum over the batch.

        Returns:
          The network after it, and the sites before it.
        """
        (images, labels), (_, _, step) = minibatch, draw
        levels = self.draws.levels(*draw)
        logits, sites, saved = forward(net.weights, images, levels, p)
        more = {
            s: slope / (len(labels) if s in FEATURES else 1)
            for s, slope in slopes(sites).items()
        }
        grads = backward(net.weights, saved, softmax_loss(logits, labels)[1], more)
        return net.stepped(grads, self.rate(step), self.of["momentum"]), sites

    def fit(self, vector):
        """Stage 1 with one setting, from the nets that were kept."""
        (original, surrogate), (coefficients, p) = self.nets, self.setting(vector)
        for step in range(self.step, self.step + self.of["steps"]):
            batch, sparse = self.minibatch(1, step), sparseness(coefficients)
            draw = 1, "original", step
            original, sites = self.descend(original, batch, draw, p, sparse)
            if surrogate is not None:
                draw, apart = (1, "surrogate", step), euclidean(sites, self.of["eta"])
                surrogate, _ = self.descend(surrogate, batch, draw, p, apart)
        return [original, surrogate]

    def evaluate(self, net):
        images, labels = self.validation
        logits, sites, _ = forward(net.weights, (images - 127.5) / 128)
        x = sites["x"]
        norms = np.sqrt((x**2).sum(1))
        ratio = np.abs(x).sum(1) / np.where(norms > 0, norms, 1)
        return {
            "accuracy": (logits.argmax(1) == labels).mean(),
            "cross_entropy": softmax_loss(logits, labels)[0].mean(),
            "sparseness": ratio.mean(),
        }

    def merit(self, found, by):
        return found["accuracy"] if by == "accuracy" else -found["cross_entropy"]

    def candidate(self, vector, source):
        """Stage 2 of one candidate: its score (eq. 11)."""
        coefficients, p = self.setting(vector)
        net = Net(source.weights)  # without momentum
        if self.of["surrogate"] == "shared":
            net.momentum = {n: net.momentum[n] for n in HEAD}  # the trunk is held
        for step in range(self.step, self.step + self.of["candidate_steps"]):
            batch, draw = self.minibatch(2, step), (2, "candidate", step)
            net, _ = self.descend(net, batch, draw, p, sparseness(coefficients))
        found = self.evaluate(net)
        return (
            self.merit(found, self.of["objective"])
            - self.of["kappa"] * found["sparseness"]
        )

    def round(self):
        """Plays one; returns which setting was chosen, and all scores."""
        tried = {"current": self.current}
        if self.of["stage1_settings"] == 2:
            tried["previous"] = self.previous
        fitted = {name: self.fit(vector) for name, (vector, _) in tried.items()}
        found = {name: self.evaluate(nets[0]) for name, nets in fitted.items()}
        by = self.of["selection"]
        chosen = max(tried, key=lambda name: self.merit(found[name], by))  # first: ties
        if self.ruined(tried[chosen][0], found[chosen]):
            chosen, (vector, score) = "before", self.previous
        else:
            self.nets, self.found = fitted[chosen], found[chosen]
            vector, score = tried[chosen]
        source = self.nets[0] if self.of["surrogate"] == "shared" else self.nets[1]
        again = [vector] if self.of["reevaluate_incumbent"] else []
        scores = np.array([self.candidate(x, source) for x in (*self.x, *again)])
        own, leader = scores[: len(self.x)], (vector, scores[-1] if again else score)
        best = int(own.argmax())
        if own[best] >= leader[1] and chosen != "before":
            leader = self.x[best], own[best]
        self.propose(own, leader[0])
        self.current, self.previous = leader, (vector, score)
        self.rounds, self.step = self.rounds + 1, self.step + self.of["steps"]
        return chosen, self.found, scores

    def ruined(self, vector, found):
        """Whether another setting than before has made the nets far worse."""
        if self.found is None or (vector == self.previous[0]).all():
            return False
        shares = np.array([self.found["accuracy"], found["accuracy"]])
        error = np.sqrt((shares * (1 - shares)).sum() / len(self.validation[1]))
        return shares[0] - shares[1] > self.of["undo_beyond"] * error

    def propose(self, scores, leader):
        """What each individual remembers, and the next candidates (eq. 12, 13)."""
        if self.of["search"] == "ga":
            parents, worst = self.x.copy(), int(scores.argmin())
            kept, best = scores.copy(), int(self.own_scores.argmax())
            if self.own_scores[best] > scores[worst]:
                parents[worst], kept[worst] = self.own[best], self.own_scores[best]
            self.own, self.own_scores = parents, kept
        else:
            better = scores >= self.own_scores
            self.own = np.where(better[:, None], self.x, self.own)
            self.own_scores = np.where(better, scores, self.own_scores)
        wanted = getattr(self, self.of["search"])(leader)
        self.x = np.clip(wanted, self.lower, self.upper)
        self.velocity = np.where(self.x == wanted, self.velocity, 0)

    def pso(self, leader, w=0.6, c1=0.2, c2=0.9):
        first, second = self.draws.pso(self.rounds)
        to_own, to_leader = self.own - self.x, leader - self.x
        pulls = c1 * first * to_own + c2 * second * to_leader
        self.velocity = w * self.velocity + pulls
        return self.x + self.velocity

    def de(self, _, factor=0.1, rate=0.6):
        others, chance, forced = self.draws.de(self.rounds)
        a, b, c = (self.own[picked] for picked in others)
        taken = (chance <= rate) | (np.arange(self.x.shape[1]) == forced)
        return np.where(taken, a + factor * (b - c), self.own)

    def ga(self, _, sigma=0.2):
        rivals, averaged, mutated, normal = self.draws.ga(self.rounds)
        first, second = rivals
        wins = self.own_scores[first] >= self.own_scores[second]
        a, b = self.own[np.where(wins, first, second)]
        child = np.where(averaged, (a + b) / 2, a)
        steps = sigma * (self.upper - self.lower) * normal
        return np.where(mutated, child + steps, child)
