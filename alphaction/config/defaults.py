"""Every configuration key with its default and meaning.

Keys and defaults that AlphAction has are unchanged, so that its YAML files keep their meaning; keys that only this
project has are marked "(new)".
"""

from .node import ConfigNode as CN

_C = CN()

_C.MODEL = CN()
# (new) What is trained and tested: "actions" of annotated or detected persons, or "persons", the thermal detector that
# finds them; of the keys below, that one has WEIGHT and DEVICE only.
_C.MODEL.TASK = "actions"
# Weight file to start from; "" trains from scratch. (new) Or the name of weights that come with the package:
# "thermal_native".
_C.MODEL.WEIGHT = ""
# (new) "auto" takes CUDA if there is a GPU, else the CPU; or a torch device such as "cpu", "cuda:1".
_C.MODEL.DEVICE = "auto"
# (new) Testing and validation: compile the backbone with torch.compile, which takes a minute and, on a CPU, a C++
# compiler; without one, the model runs as it is and a warning says so.
_C.MODEL.COMPILE = False

# ---- action head: RoIAlign, two fully connected layers, classifier
_C.MODEL.ROI_ACTION_HEAD = CN()
# The only head; AlphAction's default name has no implementation and is read as "2MLPFeatureExtractor".
_C.MODEL.ROI_ACTION_HEAD.FEATURE_EXTRACTOR = "MaxpoolFeatureExtractor"
# "align3d" (RoIAlign of every frame) or "pooling3d" (RoI max-pooling of every frame).
_C.MODEL.ROI_ACTION_HEAD.POOLER_TYPE = "align3d"
# Cells per side of the pooled region.
_C.MODEL.ROI_ACTION_HEAD.POOLER_RESOLUTION = 7
# Feature cells per input pixel: 1 over the backbone's stride. (new) 0: whatever the backbone has.
_C.MODEL.ROI_ACTION_HEAD.POOLER_SCALE = 1.0 / 16
# Samples per side of a cell; 0 adapts to the region's size.
_C.MODEL.ROI_ACTION_HEAD.POOLER_SAMPLING_RATIO = 0
# Average the features over time before pooling instead of after.
_C.MODEL.ROI_ACTION_HEAD.MEAN_BEFORE_POOLER = False
# Width of the two fully connected layers.
_C.MODEL.ROI_ACTION_HEAD.MLP_HEAD_DIM = 1024
# The only predictor: dropout and one linear layer.
_C.MODEL.ROI_ACTION_HEAD.PREDICTOR = "FCPredictor"
_C.MODEL.ROI_ACTION_HEAD.DROPOUT_RATE = 0.0
# (new) Dropout before each of the two fully connected layers.
_C.MODEL.ROI_ACTION_HEAD.MLP_DROPOUT = 0.0
# (new) What is joined to the maximum of a person's region: "mean" of the region, "wide" (the maximum of a region twice
# as wide and high), "frame" (the mean of the whole frame). Each widens the pooled features by the backbone's channels.
_C.MODEL.ROI_ACTION_HEAD.CONTEXT = ()
# (new) Place and size of the box in the frame, embedded and joined to the features before the two layers: "augmented"
# (as the network sees it) or "annotated" (before mirroring, shifting and transposition); "" leaves them out.
_C.MODEL.ROI_ACTION_HEAD.BOX_GEOMETRY = ""
# (new) Log-odds of each class by where in the frame a person is, learned beside what the network sees: weight of their
# sum of squares in the loss. Small lets a room's few situations speak; 0 leaves the log-odds out.
_C.MODEL.ROI_ACTION_HEAD.PLACE_PRIOR = 0.0
# (new) Training: standard deviation by which each side of a box moves, as a fraction of width and height; the region is
# then enlarged by TEST.EXTEND_SCALE as in testing. 0: AlphAction's jitter, without enlarging.
_C.MODEL.ROI_ACTION_HEAD.BOX_JITTER = 0.0
# Columns of the classifier: pose classes (softmax), then object and person interactions (sigmoid). (new) 0: as many as
# the data set has classes; the exclusive ones are pose classes, the independent ones object interactions, whose loss
# weight, where none is given, becomes their number. The four numbers and POSE_COLUMNS are then set from the set.
_C.MODEL.ROI_ACTION_HEAD.NUM_CLASSES = 80
# (new) Columns of the pose classes where these are not simply the first ones; the interactions are the others, in
# order. A person without a pose is then left out of the pose loss; with (), it counts as pose 0, as in AlphAction.
_C.MODEL.ROI_ACTION_HEAD.POSE_COLUMNS = ()
# Persons per clip that are trained on; more are sampled down at random.
_C.MODEL.ROI_ACTION_HEAD.PROPOSAL_PER_CLIP = 10
_C.MODEL.ROI_ACTION_HEAD.NUM_PERSON_MOVEMENT_CLASSES = 14
_C.MODEL.ROI_ACTION_HEAD.NUM_OBJECT_MANIPULATION_CLASSES = 49
_C.MODEL.ROI_ACTION_HEAD.NUM_PERSON_INTERACTION_CLASSES = 17
_C.MODEL.ROI_ACTION_HEAD.POSE_LOSS_WEIGHT = 1.2
_C.MODEL.ROI_ACTION_HEAD.OBJECT_LOSS_WEIGHT = float(_C.MODEL.ROI_ACTION_HEAD.NUM_OBJECT_MANIPULATION_CLASSES)
_C.MODEL.ROI_ACTION_HEAD.PERSON_LOSS_WEIGHT = float(_C.MODEL.ROI_ACTION_HEAD.NUM_PERSON_INTERACTION_CLASSES)
# Focal loss: weight (1 - p)^GAMMA; ALPHA below 0 switches the class balance off.
_C.MODEL.ROI_ACTION_HEAD.FOCAL_LOSS = CN()
_C.MODEL.ROI_ACTION_HEAD.FOCAL_LOSS.GAMMA = 2.0
_C.MODEL.ROI_ACTION_HEAD.FOCAL_LOSS.ALPHA = -1.0
# (new) Share of the pose target that is spread evenly over all poses (arXiv 1512.00567).
_C.MODEL.ROI_ACTION_HEAD.LABEL_SMOOTHING = 0.0

# ---- backbone
_C.MODEL.BACKBONE = CN()
# "Slowfast-Resnet50", "I3D-Resnet50" or "I3D-Resnet50-Sparse", each also with 101 or 152 for 50. (new) 20: 1, 2, 2, 1
# blocks, which with stem and classifier are 20 layers, for small frames and few clips.
_C.MODEL.BACKBONE.CONV_BODY = "Slowfast-Resnet50"
# True: batch norm is a fixed affine map with four buffers; False: live.
_C.MODEL.BACKBONE.FROZEN_BN = False
_C.MODEL.BACKBONE.BN_MOMENTUM = 0.1
_C.MODEL.BACKBONE.BN_EPSILON = 1e-05
# Initial gain of the last batch norm of each residual block.
_C.MODEL.BACKBONE.BN_INIT_GAMMA = 0.0
# (new) Factor of all channels, and the channels of res2..res5 of the slow pathway before it.
_C.MODEL.BACKBONE.WIDTH = 1.0
_C.MODEL.BACKBONE.STAGE_WIDTHS = (256, 512, 1024, 2048)
# (new) Stem: spatial kernel and stride of the convolution, and whether its max-pool of stride 2 follows.
_C.MODEL.BACKBONE.STEM_KERNEL = 7
_C.MODEL.BACKBONE.STEM_STRIDE = 2
_C.MODEL.BACKBONE.STEM_POOL = True
# (new) Spatial strides of res2..res5.
_C.MODEL.BACKBONE.STAGE_STRIDES = (1, 2, 2, 1)
# (new) Spatial padding of the stem's max-pool; 0 as in AlphAction, 1 as in the other zoos.
_C.MODEL.BACKBONE.STEM_POOL_PADDING = 0
# (new) Dilation of the 3x3 convolutions of res5; MMAction2's detectors have 1.
_C.MODEL.BACKBONE.RES5_DILATION = 2

_C.MODEL.BACKBONE.I3D = CN()
# Non-local blocks in res3 and res4; GROUP_NL attends within groups of 4 frames.
_C.MODEL.BACKBONE.I3D.CONV3_NONLOCAL = True
_C.MODEL.BACKBONE.I3D.CONV4_NONLOCAL = True
_C.MODEL.BACKBONE.I3D.CONV3_GROUP_NL = False

_C.MODEL.BACKBONE.SLOWFAST = CN()
# Channels of the fast pathway over those of the slow one.
_C.MODEL.BACKBONE.SLOWFAST.BETA = 1.0 / 8
# Lateral connection: "tconv", a time-strided convolution, is the only kind.
_C.MODEL.BACKBONE.SLOWFAST.LATERAL = "tconv"
# (new) Its temporal kernel: 5, or 7 in several models of the other zoos.
_C.MODEL.BACKBONE.SLOWFAST.LATERAL_KERNEL = 5
# (new) ReLU after it, as in PySlowFast and PyTorchVideo.
_C.MODEL.BACKBONE.SLOWFAST.LATERAL_RELU = False
_C.MODEL.BACKBONE.SLOWFAST.SLOW = CN()
_C.MODEL.BACKBONE.SLOWFAST.SLOW.ACTIVE = True
_C.MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_NONLOCAL = True
_C.MODEL.BACKBONE.SLOWFAST.SLOW.CONV4_NONLOCAL = True
_C.MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_GROUP_NL = False
_C.MODEL.BACKBONE.SLOWFAST.FAST = CN()
_C.MODEL.BACKBONE.SLOWFAST.FAST.ACTIVE = True
_C.MODEL.BACKBONE.SLOWFAST.FAST.CONV3_NONLOCAL = False
_C.MODEL.BACKBONE.SLOWFAST.FAST.CONV4_NONLOCAL = False
_C.MODEL.BACKBONE.SLOWFAST.FAST.CONV3_GROUP_NL = False

# ---- non-local blocks
_C.MODEL.NONLOCAL = CN()
_C.MODEL.NONLOCAL.CONV_INIT_STD = 0.01
_C.MODEL.NONLOCAL.USE_ZERO_INIT_CONV = False
_C.MODEL.NONLOCAL.NO_BIAS = False
_C.MODEL.NONLOCAL.USE_MAXPOOL = True
_C.MODEL.NONLOCAL.USE_SOFTMAX = True
_C.MODEL.NONLOCAL.USE_SCALE = True
_C.MODEL.NONLOCAL.USE_BN = True
_C.MODEL.NONLOCAL.FROZEN_BN = False
_C.MODEL.NONLOCAL.BN_MOMENTUM = 0.1
_C.MODEL.NONLOCAL.BN_EPSILON = 1e-05
_C.MODEL.NONLOCAL.BN_INIT_GAMMA = 0.0

# ---- interaction aggregation (IA)
_C.MODEL.IA_STRUCTURE = CN()
_C.MODEL.IA_STRUCTURE.ACTIVE = False
# "serial", "dense" (serial with learned mixing of all earlier outputs) or "parallel".
_C.MODEL.IA_STRUCTURE.STRUCTURE = "serial"
# Memory: persons per slot.
_C.MODEL.IA_STRUCTURE.MAX_PER_SEC = 5
# Persons of a clip that attend to each other.
_C.MODEL.IA_STRUCTURE.MAX_PERSON = 25
# Widths of the pooled features, inside, and of the result. (new) A DIM_IN of 0 is what the backbone gives, a DIM_OUT
# of 0 is DIM_IN.
_C.MODEL.IA_STRUCTURE.DIM_IN = 2304
_C.MODEL.IA_STRUCTURE.DIM_INNER = 512
_C.MODEL.IA_STRUCTURE.DIM_OUT = 512
# Scale remembered features down by how much the loss has changed since they were stored.
_C.MODEL.IA_STRUCTURE.PENALTY = True
# Memory window in seconds (before, after).
_C.MODEL.IA_STRUCTURE.LENGTH = (30, 30)
# Memory slots per second.
_C.MODEL.IA_STRUCTURE.MEMORY_RATE = 1
# (new) Precision in which remembered features are kept: "float32", or "float16" in half the space.
_C.MODEL.IA_STRUCTURE.MEMORY_DTYPE = "float32"
# (new) What a process's memory may grow to in MB before the oldest entries are forgotten; 0: no limit.
_C.MODEL.IA_STRUCTURE.MEMORY_LIMIT_MB = 8192
# IA output and pooled feature are added ("add", needs DIM_OUT = pooled width) or concatenated ("concat").
_C.MODEL.IA_STRUCTURE.FUSION = "concat"
_C.MODEL.IA_STRUCTURE.CONV_INIT_STD = 0.01
_C.MODEL.IA_STRUCTURE.DROPOUT = 0.0
_C.MODEL.IA_STRUCTURE.NO_BIAS = False
# Interaction blocks in order: P persons, O objects, M memory; for "parallel" a list of layers of branches.
_C.MODEL.IA_STRUCTURE.I_BLOCK_LIST = ["P", "O", "M", "P", "O", "M"]
_C.MODEL.IA_STRUCTURE.LAYER_NORM = False
# Learned vector per memory slot, added to keys and values.
_C.MODEL.IA_STRUCTURE.TEMPORAL_POSITION = True
# Never read; AlphAction has it.
_C.MODEL.IA_STRUCTURE.ROI_DIM_REDUCE = True
_C.MODEL.IA_STRUCTURE.USE_ZERO_INIT_CONV = True
# Objects of a clip that are attended to; 0 leaves object blocks out.
_C.MODEL.IA_STRUCTURE.MAX_OBJECT = 0

# ---- input
_C.INPUT = CN()
# Short side of a clip in pixels, and the most that the long side may become; a 40x60 frame becomes 256x384. (new)
# Thermal: a MIN_SIZE of 0 is the sensor's own size, without scaling.
_C.INPUT.MIN_SIZE_TRAIN = 256
_C.INPUT.MAX_SIZE_TRAIN = 464
_C.INPUT.MIN_SIZE_TEST = 256
_C.INPUT.MAX_SIZE_TEST = 464
# Per channel, on the 0..255 scale.
_C.INPUT.PIXEL_MEAN = [122.7717, 115.9465, 102.9801]
_C.INPUT.PIXEL_STD = [57.375, 57.375, 57.375]
_C.INPUT.TO_BGR = False
# A clip is FRAME_NUM x FRAME_SAMPLE_RATE consecutive frames.
_C.INPUT.FRAME_NUM = 32
_C.INPUT.FRAME_SAMPLE_RATE = 2
# (new) Frames per second of a clip: at each of its times, the frame nearest in time is taken (of a movie, the one on
# screen), so that clips of all recordings last equally long. 0: consecutive frames, at the rate of the recording.
_C.INPUT.FPS = 0.0
# The slow pathway takes every TAU-th frame, the fast one every (TAU / ALPHA)-th.
_C.INPUT.TAU = 8
_C.INPUT.ALPHA = 8
# Training: random start of the slow pathway in 0..TAU-1.
_C.INPUT.SLOW_JITTER = False
# (new) Frames of the slow pathway without jitter: "center" from (TAU-1)//2 on as in AlphAction; of the fast pathway's
# frames "first" takes every ALPHA-th from the first on (MMAction2), "linspace" evenly spread ones from the first to the
# last (PySlowFast).
_C.INPUT.SLOW_SAMPLING = "center"
# (new) Channels of the network's input: 3, or 1 for thermal clips (the stem's weights summed over RGB).
_C.INPUT.CHANNELS = 3
# (new) Thermal: what the network sees of a window of temperatures, each a channel, in place of INPUT.CHANNELS copies of
# TEMPERATURE_MIN..MAX: "relative" (to the scene's level), "foreground" (against the room without persons), "motion"
# (mean change from frame to frame around each sampled frame). () keeps the copies.
_C.INPUT.CLIP_CHANNELS = ()
# Training, RGB only: random shift of hue (degrees of 360), saturation and value (fractions).
_C.INPUT.COLOR_JITTER = False
_C.INPUT.HUE_JITTER = 20.0
_C.INPUT.SAT_JITTER = 0.1
_C.INPUT.VAL_JITTER = 0.1
# (new) Training: probability of mirroring a clip left to right.
_C.INPUT.FLIP_PROB = 0.5
# (new) Training, thermal: probability of mirroring a clip top to bottom; seen from a ceiling no direction is up.
_C.INPUT.VERTICAL_FLIP_PROB = 0.0
# (new) Training, thermal: random changes of the temperatures and of the native pixels; 0 leaves one out.
_C.INPUT.AUGMENT = CN()
# The contrast against the scene's level becomes 2^-GAIN to 2^GAIN times as large.
_C.INPUT.AUGMENT.GAIN = 0.0
# Standard deviation in degrees Celsius of a change of all temperatures against the scene's level.
_C.INPUT.AUGMENT.OFFSET = 0.0
# Standard deviation in degrees Celsius of the noise of each pixel; a clip has between none and twice as much.
_C.INPUT.AUGMENT.NOISE = 0.0
# The window moves by up to this many seconds either way, and runs up to 2^SPEED times as fast or slow.
_C.INPUT.AUGMENT.TIME_SHIFT = 0.0
_C.INPUT.AUGMENT.SPEED = 0.0
# The picture moves by up to this many native pixels each way, as far as the boxes stay inside.
_C.INPUT.AUGMENT.PIXEL_SHIFT = 0
# Probability of exchanging rows and columns; clips of frames that are not square are padded for it in mixed batches.
_C.INPUT.AUGMENT.TRANSPOSE_PROB = 0.0
# Squares, of 1/16 to 1/5 of the short side, that show the room.
_C.INPUT.AUGMENT.CUT_OUT = 0
# (new) Thermal: temperatures in degrees Celsius that become 0 and 255 gray levels; beyond them is clipped.
_C.INPUT.TEMPERATURE_MIN = 5.0
_C.INPUT.TEMPERATURE_MAX = 45.0
# (new) Thermal: True scales clips up in the loader, for those who inspect tensors there; False on the device.
_C.INPUT.RESIZE_IN_LOADER = False

# ---- data sets
_C.DATASETS = CN()
# Names: thermal_action_train, thermal_action_val, ava_video_train_v2.2, ava_video_val_v2.2, or entries of CATALOG.
_C.DATASETS.TRAIN = ()
_C.DATASETS.TEST = ()
# (new) Folder with frames/ and annotations/ of the thermal_action_* sets.
_C.DATASETS.THERMAL_ROOT = "data/thermal_action_dataset"
# (new) Folder with clips/, annotations/ and boxes/ of the ava_video_* sets.
_C.DATASETS.AVA_ROOT = "data/AVA"
# (new) Custom sets. Thermal NAME: {ROOT: folder, ANN_FILE: file below it}; RGB NAME: {VIDEO_ROOT: folder of
# clips, ANN_FILE: file}; docs/thermal_data.md and docs/video_data.md have the optional entries.
_C.DATASETS.CATALOG = CN(new_allowed=True)
# (new) Classes that are used, by name, in the order of the columns; () uses all. docs/thermal_data.md, "Classes".
_C.DATASETS.CLASSES = ()
# (new) Classes that are merged before CLASSES chooses, NAME: [classes that become it].
_C.DATASETS.CLASS_MAP = CN(new_allowed=True)
# (new) Groups of exclusive classes for a coarse table in the test report, NAME: [classes as CLASSES leaves them];
# empty: five groups for the 14 thermal classes, none for others. docs/training.md, "Reading the report".
_C.DATASETS.CLASS_GROUPS = CN(new_allowed=True)
# (new) Training, thermal: weight in the losses of frames between two keyframes in which one person (of one object_id)
# has the same actions and overlapping boxes; 0 trains on the keyframes alone.
_C.DATASETS.INTERPOLATE = 0.0
# (new) Share of such frames among the training clips.
_C.DATASETS.INTERPOLATE_SHARE = 0.5
# (new) Thermal: recordings are kept in memory up to this many MB, beyond it windows are read from disk.
_C.DATASETS.CACHE_LIMIT_MB = 2048

# ---- loading
_C.DATALOADER = CN()
# Worker processes; 0 loads in the main process.
_C.DATALOADER.NUM_WORKERS = 4
# Batches are padded to a multiple of this many pixels.
_C.DATALOADER.SIZE_DIVISIBILITY = 16
# Training: batches of clips that are all wider than high, or all higher than wide.
_C.DATALOADER.ASPECT_RATIO_GROUPING = True
# (new) Training: keyframes with a class c that a share f of the keyframes has come max(1, sqrt(threshold / f)) times as
# often (repeat factor sampling, arXiv 1908.03195); 0: all equally often.
_C.DATALOADER.REPEAT_THRESHOLD = 0.0
# (new) Training: a keyframe whose rarest class n persons have comes in proportion to (1 / n)^BALANCE; 0: all equally
# often, 1: all classes.
_C.DATALOADER.BALANCE = 0.0
# (new) What the persons are counted over for BALANCE: "set", or "recording", since a recording often shows one person
# in one pose, which is one situation however often it is annotated.
_C.DATALOADER.BALANCE_OVER = "set"

# ---- optimizer and schedule
_C.SOLVER = CN()
_C.SOLVER.MAX_ITER = 75000
# (new) "sgd" with MOMENTUM, or "adamw" (arXiv 1711.05101).
_C.SOLVER.OPTIMIZER = "sgd"
# (new) Decay per iteration of an average of the weights, which is then what is validated, tested and saved; 0: none.
_C.SOLVER.EMA = 0.0
_C.SOLVER.BASE_LR = 0.02
_C.SOLVER.BIAS_LR_FACTOR = 2
_C.SOLVER.IA_LR_FACTOR = 1.0
# (new) Of the backbone, and of the fully connected layers and the classifier; below 1, finetuning changes pretrained
# ones less than what is new. 0 keeps them as they are.
_C.SOLVER.BACKBONE_LR_FACTOR = 1.0
_C.SOLVER.HEAD_LR_FACTOR = 1.0
_C.SOLVER.MOMENTUM = 0.9
_C.SOLVER.WEIGHT_DECAY = 0.0001
_C.SOLVER.WEIGHT_DECAY_BIAS = 0.0
_C.SOLVER.WEIGHT_DECAY_BN = 0.0
# "warmup_multi_step" or "half_period_cosine".
_C.SOLVER.SCHEDULER = "warmup_multi_step"
# Factor and iterations of the steps of warmup_multi_step.
_C.SOLVER.GAMMA = 0.1
_C.SOLVER.STEPS = (33750, 67500)
_C.SOLVER.WARMUP_ON = True
_C.SOLVER.WARMUP_FACTOR = 1.0 / 3
_C.SOLVER.WARMUP_ITERS = 500
# "linear" or "constant".
_C.SOLVER.WARMUP_METHOD = "linear"
# Iterations between checkpoints and between validations; 0 (new): only at the end.
_C.SOLVER.CHECKPOINT_PERIOD = 5000
_C.SOLVER.EVAL_PERIOD = 5000
# Clips per iteration over all processes.
_C.SOLVER.VIDEOS_PER_BATCH = 32
# (new) Linear scaling (arXiv 1706.02677): BASE_LR is meant for this many clips per iteration and is multiplied by
# VIDEOS_PER_BATCH / REFERENCE_BATCH; 0 takes BASE_LR as it is.
_C.SOLVER.REFERENCE_BATCH = 0
# (new) Largest L2 norm of all gradients together; 0 does not clip.
_C.SOLVER.CLIP_NORM = 0.0
# (new) Seed of all randomness.
_C.SOLVER.SEED = 0
# (new) Mixed precision: forward passes run under autocast in bfloat16, which is faster on GPUs and on CPUs with
# AVX512-BF16 or AMX. Weights, losses and the optimizer stay in float32.
_C.SOLVER.AMP = False
# (new) Parts into which the clips of an iteration are split, computed one after the other in less memory. Gradients are
# those of the whole batch, but live batch norm sees the clips of a part only.
_C.SOLVER.ACCUMULATE = 1
# (new) Iterations between log lines.
_C.SOLVER.LOG_PERIOD = 20

# ---- testing
_C.TEST = CN()
# (new) Of the backbone in testing and validation: "float32", or "bfloat16" with scores that differ by about 1 %.
_C.TEST.PRECISION = "float32"
_C.TEST.VIDEOS_PER_BATCH = 16
# Boxes are enlarged for pooling by these fractions of width and height; one number stands for both.
_C.TEST.EXTEND_SCALE = (0.1, 0.05)
# Detected boxes below this score are not used.
_C.TEST.BOX_THRESH = 0.8
# Class scores below this are not written, and do not count for AVA's own evaluation.
_C.TEST.ACTION_THRESH = 0.05
# (new) Detected boxes for every set without a BOX_FILE of its own: JSON [{"image_id", "bbox", "score"}], PySlowFast's
# .csv or MMAction2's .pkl (docs/thermal_data.md); "" tests on ground-truth boxes.
_C.TEST.BOX_FILE = ""
# (new) Thermal: what "bbox" in a JSON file means: "cxcywh" or "xyxy" (fractions of the frame),
# "cxcywh_pixel", "xyxy_pixel" or "xywh_pixel" (pixels of the frame, corners continuous).
_C.TEST.BOX_CONVENTION = "cxcywh"
# (new) Overlay pictures of the most confident hits and mistakes in the test report; 0 draws none.
_C.TEST.OVERLAYS = 8

# Where everything is written.
_C.OUTPUT_DIR = "."

cfg = _C


def get_cfg() -> CN:
    """A fresh copy of the defaults, open for merging."""
    return _C.clone()
