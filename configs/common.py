"""The settings that every experiment shares; their places in the paper beside them.

An experiment's file changes what differs. Override any of them on the command line:
`--config.search.optimizer=de --config.max_iterations=25000`.
"""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    """The paper's settings (Section 3.1), on faces drawn by code."""
    config = ConfigDict()
    config.seed = 0
    config.network = "lenet"  # lenet | resnet20 (Table 2)

    config.dataset = ConfigDict()
    config.dataset.name = "faces"  # faces | fer2013 | ferplus
    # Where the database lies; else $SURROJAX_DATA, else TFDS's manual folder.
    config.dataset.dir = config_dict.placeholder(str)
    config.dataset.mirror = True  # Section 3.2: each image is mirrored
    config.dataset.shift = 0  # pixels; no crops for FER2013

    config.batch_size = 64
    config.max_iterations = 80_000  # Tables 3 and 4: MaxIter
    config.iterations_per_round = 1_000  # NI
    config.learning_rate = ConfigDict({"base": 0.01, "halve_every": 4_000.0})
    config.momentum = 0.9
    config.eta = ConfigDict({"z": 1e-2, "V": 1e-2, "x": 1e-2, "W": 1e-2})  # eq. 9
    config.kappa = 1e-5  # eq. 11
    config.norm = "l1"  # l1 | l2 | l21: eq. 2 and 3; the others: Section 4
    config.objective = "accuracy"  # accuracy | cross_entropy: eq. 11

    # Which of eq. 8's hyper-parameters are searched: names (lambda_z, p_z, ...) or
    # "coefficients" and "ratios" for all that the network has. Those left out keep
    # their `fixed` value. () trains the original alone.
    config.tune = ("coefficients", "ratios")
    config.fixed = ConfigDict(
        {
            f"{kind}_{site}": 0.0
            for kind in ("lambda", "p")
            for site in ("z", "V", "x", "W")
        }
    )

    config.search = ConfigDict()
    config.search.optimizer = "pso"  # pso | de | ga
    config.search.population = 6
    # "The loss regularization coefficient and the dropout ratio are initialized
    # around 1e-5 and 0.5": a Latin hypercube of these half-widths, in decades for
    # the coefficients and in natural logarithm for the ratios.
    config.search.center = ConfigDict({"coefficient": 1e-5, "ratio": 0.5})
    config.search.initial_width = ConfigDict({"coefficient": 1.0, "ratio": 0.5})
    config.search.bounds = ConfigDict(
        {"coefficient": (1e-16, 1e-2), "ratio": (0.01, 0.95)}  # Fig. 6
    )
    config.search.pso = ConfigDict({"w": 0.6, "c1": 0.2, "c2": 0.9})
    config.search.de = ConfigDict({"F": 0.1, "CR": 0.6})
    config.search.ga = ConfigDict({"crossover": 0.9, "sigma": 0.2})
    config.reevaluate_incumbent = False  # the paper: a leader keeps its old score
    config.common_random_numbers = True

    config.convolution = "auto"  # auto | matmul | lax; auto: matmul on a CPU
    config.evaluation_batch = 512
    return config
