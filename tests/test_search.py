"""The optimisers against loops over individuals and dimensions in plain numpy.

The random numbers are drawn here by the same calls; the scores are small integers, so
that ties are common.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.errors import InputError
from surrojax.search import de, ga, lead, pso, with_noise

N, D, ROUNDS = 6, 3, 8
LOWER = np.array([-1.0, -2.0, 0.0], np.float32)
UPPER = np.array([1.0, 3.0, 0.5], np.float32)
SEARCHES = {"pso": pso, "de": de, "ga": ga}
each_search = pytest.mark.parametrize("name", SEARCHES)


def start_population(seed=0, n=N):
    unit = np.random.default_rng(seed).uniform(size=(n, D))
    return (LOWER + (UPPER - LOWER) * unit).astype(np.float32)


def some_scores(seed):
    """Integers, and now and then a candidate that failed."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4 + seed, N).astype(np.float32)
    return np.where(rng.uniform(size=N) < 0.15, -np.inf, scores).astype(np.float32)


def clip(value, j):
    return min(max(value, LOWER[j]), UPPER[j])


class Loop:
    """What PSO, DE and the GA remember, told in plain numpy."""

    def __init__(self, population):
        self.X = self.XP = population.astype(np.float64)
        self.V = np.zeros_like(self.X)
        self.scores = np.full(len(population), -np.inf)
        self.leader, self.leader_score = self.X[0], -np.inf

    def follow(self, X, scores):
        """The last line of eq. 13: a tie goes to the new one, a failure never leads."""
        self.X = X
        best = max(scores)
        if np.isfinite(best) and best >= self.leader_score:
            self.leader, self.leader_score = X[list(scores).index(best)], best

    def keep_better(self, X, scores):
        """Selection of eq. 12 and the personal bests of eq. 13."""
        self.follow(X, scores)
        self.XP, self.scores = self.XP.copy(), self.scores.copy()
        for i in range(len(X)):
            if scores[i] >= self.scores[i]:
                self.XP[i], self.scores[i] = X[i], scores[i]

    def keep_elite(self, X, scores):
        """GA: the best parent takes the worst child's place if it is better."""
        self.follow(X, scores)
        X, scores = X.copy(), scores.copy()
        best, worst = np.argmax(self.scores), np.argmin(scores)
        if self.scores[best] > scores[worst]:
            X[worst], scores[worst] = self.XP[best], self.scores[best]
        self.XP, self.scores = X, scores


def ask_pso(loop, key, w=0.6, c1=0.2, c2=0.9):
    rd1, rd2 = np.asarray(jax.random.uniform(key, (2, N, D)))
    X, V = loop.X.copy(), loop.V.copy()
    for i in range(N):
        for j in range(D):
            V[i, j] = (
                w * V[i, j]
                + c1 * rd1[i, j] * (loop.XP[i, j] - X[i, j])
                + c2 * rd2[i, j] * (loop.leader[j] - X[i, j])
            )
            moved = X[i, j] + V[i, j]
            X[i, j] = clip(moved, j)
            if not LOWER[j] <= moved <= UPPER[j]:
                V[i, j] = 0
    loop.V = V
    return X


def ask_de(loop, key, F=0.1, CR=0.6):
    pick, cross, forced = jax.random.split(key, 3)
    order = np.asarray(jax.random.uniform(pick, (N, N)))
    rd = np.asarray(jax.random.uniform(cross, (N, D)))
    rn = np.asarray(jax.random.randint(forced, (N, 1), 0, D))[:, 0]
    U = loop.XP.copy()
    for i in range(N):
        others = [r for r in range(N) if r != i]
        r1, r2, r3 = sorted(others, key=lambda r, i=i: -order[i, r])[:3]
        for j in range(D):
            if rd[i, j] <= CR or j == rn[i]:
                v = loop.XP[r1, j] + F * (loop.XP[r2, j] - loop.XP[r3, j])
                U[i, j] = clip(v, j)
    return U


def ask_ga(loop, key, crossover=0.9, sigma=0.2):
    fight, cross, mutate, step = jax.random.split(key, 4)
    rivals = np.asarray(jax.random.randint(fight, (2, 2, N), 0, N))
    averaged = np.asarray(jax.random.bernoulli(cross, crossover, (N, 1)))
    mutated = np.asarray(jax.random.bernoulli(mutate, 1 / D, (N, D)))
    noise = np.asarray(jax.random.normal(step, (N, D)))
    children = np.zeros((N, D))
    for i in range(N):
        parents = []
        for p in range(2):
            a, b = rivals[0, p, i], rivals[1, p, i]
            parents.append(loop.XP[a if loop.scores[a] >= loop.scores[b] else b])
        for j in range(D):
            child = parents[0][j]
            if averaged[i, 0]:
                child = (parents[0][j] + parents[1][j]) / 2
            if mutated[i, j]:
                child += sigma * (UPPER[j] - LOWER[j]) * noise[i, j]
            children[i, j] = clip(child, j)
    return children


def assert_follows(search, loop, ask_loop, tell_loop, wrap, population=None):
    """Rounds of the optimiser and of the loop side by side."""
    start = start_population() if population is None else population
    state = search.init(jnp.asarray(start))
    ask, tell = wrap(search.ask), wrap(search.tell)
    X, candidates = start.astype(np.float64), jnp.asarray(start)
    for t in range(ROUNDS):
        scores = some_scores(t)
        state = tell(state, candidates, jnp.asarray(scores))
        tell_loop(X, scores)
        np.testing.assert_allclose(state.population, loop.XP, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(state.scores, loop.scores)
        np.testing.assert_allclose(state.leader, loop.leader, rtol=1e-5, atol=1e-6)
        assert state.leader_score == loop.leader_score
        key = jax.random.fold_in(jax.random.key(7), t)
        candidates, state = ask(key, state)
        X = ask_loop(loop, key)
        np.testing.assert_allclose(candidates, X, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(state.velocity, loop.V, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("wrap", "constants"),
    [(lambda f: f, {}), (jax.jit, {}), (jax.jit, {"w": 0.9, "c1": 1.5, "c2": 2.0})],
)
def test_eq_13_pso(wrap, constants):
    loop = Loop(start_population())
    ask = partial(ask_pso, **constants)
    search = pso(LOWER, UPPER, **constants)
    assert_follows(search, loop, ask, loop.keep_better, wrap)


@pytest.mark.parametrize(
    ("wrap", "constants"),
    [(lambda f: f, {}), (jax.jit, {}), (jax.jit, {"F": 1.5, "CR": 0.3})],
)
def test_eq_12_de(wrap, constants):
    loop = Loop(start_population())
    ask = partial(ask_de, **constants)
    search = de(LOWER, UPPER, **constants)
    assert_follows(search, loop, ask, loop.keep_better, wrap)


@pytest.mark.parametrize(
    ("wrap", "constants"),
    [(lambda f: f, {}), (jax.jit, {}), (jax.jit, {"crossover": 0.4, "sigma": 0.6})],
)
def test_table_5_ga(wrap, constants):
    loop = Loop(start_population())
    ask = partial(ask_ga, **constants)
    search = ga(LOWER, UPPER, **constants)
    assert_follows(search, loop, ask, loop.keep_elite, wrap)


@each_search
def test_init_seeds_the_bests_with_velocity_0_and_no_score(name):
    population = start_population()
    search = SEARCHES[name](LOWER, UPPER)
    assert search.name == name
    state = search.init(jnp.asarray(population))
    np.testing.assert_array_equal(state.population, population)
    np.testing.assert_array_equal(state.position, population)
    np.testing.assert_array_equal(state.leader, population[0])
    np.testing.assert_array_equal(state.velocity, np.zeros((N, D)))
    np.testing.assert_array_equal(state.scores, np.full(N, -np.inf))
    assert state.leader_score == -np.inf


def test_pso_velocity_is_0_only_in_a_clipped_dimension():
    search = pso([0.0, 0.0], [1.0, 1.0], w=1.0, c1=0.0, c2=0.0)
    state = search.init(jnp.full((2, 2), 0.5))
    state = state.replace(velocity=jnp.array([[0.75, 0.25], [0.0, -0.25]]))
    candidates, state = search.ask(jax.random.key(0), state)
    np.testing.assert_array_equal(candidates, [[1.0, 0.75], [0.5, 0.25]])
    np.testing.assert_array_equal(state.velocity, [[0.0, 0.25], [0.0, -0.25]])


def de_partners(X, F, keys):
    """DE's mutants `[keys, N]` of one-dimensional individuals, all taken."""
    big = 1e6
    search = de([-big], [big], F=F, CR=1.0)
    state = search.init(jnp.asarray(X, jnp.float32)[:, None])
    return np.asarray(jax.jit(jax.vmap(lambda k: search.ask(k, state)[0]))(keys))[
        ..., 0
    ]


def test_de_takes_three_others_that_differ_and_all_alike_often():
    X = 2.0 ** np.arange(N)
    # V = X[r1] + 128 (X[r2] - X[r3]) tells which three were taken.
    triples = {
        X[a] + 128 * (X[b] - X[c]): (a, b, c)
        for a in range(N)
        for b in range(N)
        for c in range(N)
        if len({a, b, c}) == 3
    }
    keys = jax.random.split(jax.random.key(1), 2000)
    mutants = de_partners(X, 128.0, keys)
    for i in range(N):
        values, counts = np.unique(mutants[:, i], return_counts=True)
        taken = [triples[value] for value in values]
        assert all(i not in triple for triple in taken)
        assert len(taken) == 5 * 4 * 3
        # Uniform: 33 expected of each, 6 standard deviations allowed.
        assert counts.max() < 70 and counts.min() > 5


def test_de_population_of_4_takes_all_three_others():
    keys = jax.random.split(jax.random.key(2), 50)
    mutants = de_partners(np.array([1.0, 2.0, 4.0, 8.0]), 128.0, keys)
    assert np.isfinite(mutants).all() and len(np.unique(mutants[:, 0])) == 6


def test_de_takes_exactly_one_forced_dimension_where_nothing_else_is_taken():
    d = 5
    X = np.random.default_rng(0).uniform(size=(N, d)).astype(np.float32)
    search = de(np.full(d, -9.0), np.full(d, 9.0), F=0.5, CR=-1.0)
    state = search.init(jnp.asarray(X))
    forced = set()
    for seed in range(20):
        trial, _ = search.ask(jax.random.key(seed), state)
        changed = np.asarray(trial) != X
        assert (changed.sum(axis=1) == 1).all()
        forced |= set(np.nonzero(changed)[1])
    assert forced == set(range(d))


def test_de_clips_its_trials():
    search = de(LOWER, UPPER, F=1e4, CR=1.0)
    trial, _ = search.ask(jax.random.key(0), search.init(start_population()))
    assert np.logical_or(trial == LOWER, trial == UPPER).all()


@each_search
def test_a_tie_goes_to_the_new_one(name):
    search = SEARCHES[name](LOWER, UPPER)
    old, new = map(jnp.asarray, (start_population(0), start_population(1)))
    state = search.tell(search.init(old), old, jnp.ones(N))
    state = search.tell(state, new, jnp.ones(N))
    np.testing.assert_array_equal(state.population, new)
    np.testing.assert_array_equal(state.leader, new[0])


@pytest.mark.parametrize("name", ["pso", "de"])
def test_a_worse_candidate_leaves_the_stored_one_with_its_score(name):
    search = SEARCHES[name](LOWER, UPPER)
    old, new = map(jnp.asarray, (start_population(0), start_population(1)))
    first, second = jnp.arange(6.0), jnp.array([1, 0, 9, 2, -jnp.inf, 5])
    state = search.tell(search.tell(search.init(old), old, first), new, second)
    kept = [1, 3, 4]
    np.testing.assert_array_equal(state.scores, [1, 1, 9, 3, 4, 5])
    for i in range(N):
        source = old if i in kept else new
        np.testing.assert_array_equal(state.population[i], source[i])
    np.testing.assert_array_equal(state.leader, new[2])


def test_ga_keeps_the_best_parent_in_the_worst_childs_place():
    search = ga(LOWER, UPPER)
    old, new = map(jnp.asarray, (start_population(0), start_population(1)))
    state = search.tell(search.init(old), old, jnp.array([1.0, 7, 2, 3, 4, 5]))
    state = search.tell(state, new, jnp.array([3.0, 2, 1, 0, 5, 6]))
    np.testing.assert_array_equal(state.population, new.at[3].set(old[1]))
    np.testing.assert_array_equal(state.scores, [3, 2, 1, 7, 5, 6])
    np.testing.assert_array_equal(state.leader, old[1])
    assert state.leader_score == 7


@each_search
def test_candidates_that_failed_never_lead(name):
    search = SEARCHES[name](LOWER, UPPER)
    old, new = map(jnp.asarray, (start_population(0), start_population(1)))
    failed = jnp.full(N, -jnp.inf)
    state = search.tell(search.init(old), new, failed)
    np.testing.assert_array_equal(state.leader, old[0])
    one = failed.at[4].set(-3.0)
    state = search.tell(state, new, one)
    np.testing.assert_array_equal(state.leader, new[4])
    assert state.leader_score == -3
    state = search.tell(state, old, failed)
    np.testing.assert_array_equal(state.leader, new[4])


@each_search
def test_lead_puts_another_in_place_whom_any_finite_score_replaces(name):
    search = SEARCHES[name](LOWER, UPPER)
    population = jnp.asarray(start_population())
    state = search.tell(search.init(population), population, jnp.arange(6.0))
    other = jnp.asarray(UPPER)
    led = lead(state, other, jnp.float32(-jnp.inf))
    np.testing.assert_array_equal(led.leader, other)
    np.testing.assert_array_equal(led.population, state.population)
    np.testing.assert_array_equal(led.scores, state.scores)
    failed = search.tell(led, population, jnp.full(N, -jnp.inf))
    np.testing.assert_array_equal(failed.leader, other)
    after = search.tell(led, population, jnp.full(N, -1e9).at[2].set(-5.0))
    np.testing.assert_array_equal(after.leader, population[2])
    kept = search.tell(lead(state, other, jnp.float32(9)), population, jnp.arange(6.0))
    np.testing.assert_array_equal(kept.leader, other)


def test_pso_flies_towards_whom_lead_put_in_place():
    search = pso(LOWER, UPPER, w=0.0, c1=0.0, c2=0.5)
    start = start_population()
    state = search.tell(search.init(start), jnp.asarray(start), jnp.arange(6.0))
    target = jnp.asarray(LOWER)
    candidates, _ = search.ask(jax.random.key(0), lead(state, target, jnp.float32(0)))
    assert (np.abs(candidates - target) <= np.abs(start - target)).all()
    assert (np.asarray(candidates) < start).any()


@pytest.mark.parametrize(("name", "least"), [("pso", 2), ("de", 4), ("ga", 2)])
def test_a_population_that_is_too_small_is_refused(name, least):
    search = SEARCHES[name](LOWER, UPPER)
    candidates, _ = jax.jit(search.ask)(
        jax.random.key(0), search.init(jnp.asarray(start_population(n=least)))
    )
    assert candidates.shape == (least, D)
    with pytest.raises(InputError, match=f"{least - 1} is too few for {name}"):
        search.init(jnp.asarray(start_population(n=least - 1)))


@pytest.mark.parametrize(
    "search",
    [
        pso(LOWER, UPPER, w=1.5, c1=9.0, c2=1e4),
        de(LOWER, UPPER, F=1e4, CR=0.5),
        ga(LOWER, UPPER, crossover=0.5, sigma=1e3),
        pso(LOWER, UPPER),
        de(LOWER, UPPER),
        ga(LOWER, UPPER),
    ],
    ids=["pso wild", "de wild", "ga wild", "pso", "de", "ga"],
)
def test_no_candidate_ever_leaves_its_bounds(search):
    def one(carry, key):
        candidates, state = carry
        scores = jnp.sin(1e3 * candidates.sum(axis=1))
        return search.ask(key, search.tell(state, candidates, scores)), candidates

    start = jnp.asarray(start_population())
    keys = jax.random.split(jax.random.key(3), 500)
    _, seen = jax.jit(lambda: jax.lax.scan(one, (start, search.init(start)), keys))()
    assert (seen >= LOWER).all() and (seen <= UPPER).all()
    assert (seen[1:] != seen[:-1]).any(axis=(0, 1)).all()


@each_search
def test_nothing_to_search_is_no_failure(name):
    search = SEARCHES[name](np.zeros(0), np.zeros(0))
    state = search.tell(search.init(jnp.zeros((N, 0))), jnp.zeros((N, 0)), jnp.ones(N))
    assert search.ask(jax.random.key(0), state)[0].shape == (N, 0)


def test_noise_keeps_a_gathered_population_apart():
    lower, upper = np.full(3, -1.0), np.array([1.0, 1.0, 0.02])
    search = with_noise(pso(lower, upper), lower, upper, np.array([0.1, 0.0, 5.0]))
    gathered = jnp.zeros((400, 3))
    state = search.tell(search.init(gathered), gathered, jnp.arange(400.0))
    asked, _ = search.ask(jax.random.key(0), state)
    spread = np.asarray(asked).std(axis=0)
    assert spread[0] == pytest.approx(0.1, rel=0.15)
    assert spread[1] == 0
    assert np.asarray(asked)[:, 2].max() == np.float32(0.02)
    assert np.asarray(asked)[:, 2].min() == -1


def test_noise_is_independent_of_what_it_moves():
    lower, upper = np.full(1, -9.0), np.full(1, 9.0)
    search = with_noise(
        pso(lower, upper, w=0.0, c1=1.0, c2=0.0), lower, upper, np.full(1, 0.3)
    )
    state = search.init(jnp.zeros((4000, 1))).replace(population=jnp.ones((4000, 1)))
    asked, _ = search.ask(jax.random.key(0), state)  # uniform + 0.3 normal
    assert float(asked.var()) == pytest.approx(1 / 12 + 0.09, rel=0.1)
