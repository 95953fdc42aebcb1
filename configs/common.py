"""The settings that every experiment shares; their places in the paper beside them.

An experiment's file changes what differs. Override any of them on the command line:
`--config.search.optimizer=de --config.max_iterations=25000`.
"""

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
    """The paper's settings (Section 3.1), on faces drawn by code."""
    config = ConfigDict()
    config.seed = 0  # of first weights, minibatches, masks and proposals
    config.network = "lenet"  # lenet | resnet20 (Table 2) | mresnet (Fig. 3)
    # Weights to begin with (Algorithm 1, line 4): a .safetensors or .npz file or a
    # run's folder; every layer whose shape fits is taken.
    config.init_from = config_dict.placeholder(str)

    config.dataset = ConfigDict()
    # faces | fer2013 | ferplus | ck | oulu | mmi | afew | affectnet | folder
    config.dataset.name = "faces"
    # Where the database lies; else $SURROJAX_DATA, else TFDS's manual folder.
    config.dataset.dir = config_dict.placeholder(str)
    config.dataset.image_size = 0  # pixels; 0: the network's own (Table 2, Fig. 3)
    config.dataset.channels = 0  # 1 | 3; 0: the network's own
    config.dataset.classes = 0  # 6 | 7: with neutral; 0: those of the database
    # Which of ten person-independent folds tests; the next one validates, the others
    # train. -1: all ten, a run each. Databases with official splits have none.
    config.dataset.fold = 0
    # A tenth of the training split stands in for the official test split, for choosing
    # between variants of the method.
    config.dataset.held_out = False
    config.dataset.align = False  # find the faces, align them by five key points
    # 1: the whole image; 18: 3x3 windows and their mirror images; 16: 4x4; 25: 5x5.
    # One at random in training, the mean of all in the test (Section 3.2).
    config.dataset.crops = 1
    config.dataset.validate_with_crops = False  # else the central window, while tuning
    # Keep the images on the host and stream them; auto: when they fill the device.
    config.dataset.stream = "auto"  # auto | always | never
    config.dataset.camera = "VL"  # oulu: VL | NI
    config.dataset.light = "Strong"  # oulu: Strong | Weak | Dark
    config.dataset.frames = "middle"  # afew: which three of a clip: middle | spread
    # folder: regular expressions for the subject and the sequence in a file's name.
    config.dataset.subject_pattern = ""
    config.dataset.sequence_pattern = ""
    # Tables 11 and 12: train on dataset.name, tune on a fold of this database, test on
    # its other nine.
    config.dataset.target = config_dict.placeholder(str)
    config.dataset.target_dir = config_dict.placeholder(str)
    config.dataset.train_on_target_fold = False  # as the paper's rival does
    config.dataset.mask_absent_classes = True  # else predicting them is an error
    config.dataset.mirror = True  # Section 3.2: each image is mirrored
    config.dataset.shift = 0  # pixels; no crops for FER2013

    config.batch_size = 64  # images of a step
    config.max_iterations = 80_000  # steps of the whole run (Tables 3 and 4: MaxIter)
    config.iterations_per_round = 1_000  # steps of a round (NI)
    # Seconds that all rounds of a run may take together, over all resumes; 0: no limit.
    # No round is begun that would, at the pace of those before it, pass them; the first
    # is always done. Reading the data, and measuring fidelity, are not counted.
    config.time_budget = 0.0
    # Rounds without a better validation accuracy after which a run ends; 0: never.
    config.early_stop = 0
    config.stage1_settings = 2  # 2: current and previous best (line 8); 1: the current
    config.stage2_share = 1.0  # how much of NI the candidates train; a step at least
    config.double_every = 0  # rounds after which NI doubles each time; 0: never
    # The learning rate: `base`, halved whenever `halve_every` steps have passed.
    config.learning_rate = ConfigDict({"base": 0.01, "halve_every": 4_000.0})
    config.momentum = 0.9
    config.eta = ConfigDict({"z": 1e-2, "V": 1e-2, "x": 1e-2, "W": 1e-2})  # eq. 9
    config.kappa = 1e-5  # eq. 11
    config.norm = "l1"  # l1 | l2 | l21: eq. 2 and 3; the others: Section 4
    # What an image of each class counts in the softmax loss (eq. 5) and in a score (eq.
    # 11): () the same; balanced: all classes the same together; or a number a class.
    config.class_weights = ()
    # fitted: a small network of its own (Table 2, Fig. 3). shared: the original, whose
    # trunk is held still; candidates train its fully connected layers alone.
    config.surrogate = "fitted"  # fitted | shared
    # shared: how many of the trunk's last layers candidates train as well, where the
    # fully connected ones are a small part of the network.
    config.shared_layers = 0
    # What candidates are compared by (eq. 11):
    config.objective = "accuracy"  # accuracy | cross_entropy
    config.selection = "accuracy"  # the same, of stage 1's two settings (line 9)

    # Which of eq. 8's hyper-parameters are searched: names (lambda_z, p_z, ...) or
    # "coefficients", "ratios" or "all" that the network has (and candidates can tell
    # apart: on a trunk that is held still, lambda_z is left out). Those left out keep
    # their `fixed` value. () trains the original alone.
    config.tune = ("coefficients", "ratios")
    config.fixed = _zeros()
    # A run's folder, or its schedule.csv: trains once with these settings, without a
    # search; `tune` has no effect then.
    config.replay = config_dict.placeholder(str)

    config.search = ConfigDict()
    config.search.optimizer = "pso"  # pso | de | ga
    config.search.population = 6  # N, the candidates of a round
    # "The loss regularization coefficient and the dropout ratio are initialized
    # around 1e-5 and 0.5": a Latin hypercube of these half-widths, in decades for
    # the coefficients and in natural logarithm for the ratios.
    config.search.center = ConfigDict({"coefficient": 1e-5, "ratio": 0.5})
    # By name, a default of its own; 0: the center of its group.
    config.search.start = _zeros()
    config.search.initial_width = ConfigDict({"coefficient": 1.0, "ratio": 0.5})
    config.search.bounds = ConfigDict(
        {"coefficient": (1e-16, 1e-2), "ratio": (0.01, 0.95)}  # Fig. 6
    )
    config.search.pso = ConfigDict({"w": 0.6, "c1": 0.2, "c2": 0.9})
    config.search.de = ConfigDict({"F": 0.1, "CR": 0.6})
    config.search.ga = ConfigDict({"crossover": 0.9, "sigma": 0.2})
    # Not the paper's: each proposal is moved by Gaussian noise of these standard
    # deviations, in the units of initial_width, so that no population stands still.
    config.search.noise = ConfigDict({"coefficient": 0.0, "ratio": 0.0})
    config.reevaluate_incumbent = False  # the paper: a leader keeps its old score
    # The current best of round 1 (line 1). candidate: the first that is drawn; center:
    # the defaults, around which candidates are drawn.
    config.first_setting = "candidate"  # candidate | center
    # Standard errors by which validation accuracy may fall in a round with another
    # setting than before; where it falls further, the round is undone: the network goes
    # on as it was, with its setting. 0: never, as where stage 1 has two settings.
    config.undo_beyond = 0.0
    config.common_random_numbers = True

    # After these rounds the original itself is trained with every candidate, and with
    # `drawn` settings of the initial box, `seeds` times each, to see whether the
    # surrogate ranks them as it does. Costs (N + drawn) * seeds runs of NI steps.
    config.fidelity = ConfigDict()
    config.fidelity.rounds = ()
    config.fidelity.drawn = 16
    config.fidelity.seeds = 2

    config.compute_dtype = "float32"  # float32 | bfloat16; parameters stay float32
    # auto | matmul | direct | lax; auto: on a CPU matmul for LeNet, direct for others
    config.convolution = "auto"
    config.evaluation_batch = 128

    # How a run is computed, which changes no more than the last bits of its figures;
    # a run says what it chose, and why.
    config.execution = ConfigDict()
    config.execution.devices = 0  # 0: all; a CPU counts as two, one a setting
    config.execution.settings = "auto"  # stage 1's two on one device: vmap | loop
    config.execution.candidates = "auto"  # stage 2's N on one device: vmap | loop
    config.execution.rounds = "auto"  # fused: one program a round | parts: several
    # Runs with the seeds `seed`, `seed` + 1, ... side by side in one program.
    config.replicas = 1
    return config.lock()  # a file that misspells a field is told so


def _zeros() -> ConfigDict:
    """0 for each hyper-parameter of eq. 8."""
    names = (f"{kind}_{site}" for kind in ("lambda", "p") for site in "zVxW")
    return ConfigDict(dict.fromkeys(names, 0.0))


def get_mresnet_config() -> ConfigDict:
    """The same for M-ResNet (Section 3.5); the paper's batch of 64 wants a GPU.

    `--config.network=lenet` puts LeNet in its place, on grey images of 28x28.
    """
    config = get_config()
    config.network = "mresnet"
    # The paper does not say how long M-ResNet is trained; at 40,000 steps the rate is
    # a thousandth of what it was at first.
    config.max_iterations = 40_000
    config.evaluation_batch = 64
    return config
