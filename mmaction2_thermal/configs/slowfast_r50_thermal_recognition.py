"""SlowFast R50 8x8, one action per keyframe, with the settings of the data set's guide.

Start from Kinetics weights with --cfg-options load_from=FILE; add --amp for mixed precision.
"""

_base_ = "_base_/runtime.py"

data_root = "{{$ALPHACTION_THERMAL_ROOT:data/thermal_action_dataset}}"
# Used in train_cfg and param_scheduler below; with --cfg-options, change those two instead.
epochs, warmup_epochs = 60, 10

model = dict(
    type="Recognizer3D",
    backbone=dict(
        type="ResNet3dSlowFast",
        pretrained=None,
        resample_rate=4,
        speed_ratio=4,
        channel_ratio=8,
        slow_pathway=dict(
            type="resnet3d",
            depth=50,
            pretrained=None,
            lateral=True,
            fusion_kernel=7,
            conv1_kernel=(1, 7, 7),
            dilations=(1, 1, 1, 1),
            conv1_stride_t=1,
            pool1_stride_t=1,
            inflate=(0, 0, 1, 1),
            norm_eval=False,
        ),
        fast_pathway=dict(
            type="resnet3d",
            depth=50,
            pretrained=None,
            lateral=False,
            base_channels=8,
            conv1_kernel=(5, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            norm_eval=False,
        ),
    ),
    cls_head=dict(
        type="SlowFastHead",
        in_channels=2304,
        num_classes=14,
        spatial_type="avg",
        dropout_ratio=0.8,
        average_clips="prob",
    ),
    data_preprocessor=dict(
        type="ActionDataPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], format_shape="NCTHW"
    ),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=32, frame_interval=2),
    dict(type="ArrayDecode"),
    dict(type="ScaleTemperature", minimum=5.0, maximum=45.0),
    dict(type="ThermalRandomResizedCrop"),
    dict(type="ThermalFlip", horizontal=0.5),
    dict(type="ThermalBrightnessContrast"),
    dict(type="ThermalRandomErasing"),
    dict(type="ThermalResize", scale=(384, 256)),
    dict(type="FormatShape", input_format="NCTHW"),
    dict(type="PackActionInputs"),
]
val_pipeline = [
    dict(type="SampleFrames", clip_len=32, frame_interval=2, test_mode=True),
    dict(type="ArrayDecode"),
    dict(type="ScaleTemperature", minimum=5.0, maximum=45.0),
    dict(type="ThermalResize", scale=(384, 256)),
    dict(type="FormatShape", input_format="NCTHW"),
    dict(type="PackActionInputs"),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="ThermalHDF5Dataset",
        data_root=data_root,
        ann_file="annotations/train.json",
        data_prefix=dict(hdf5="frames"),
        frame_window=64,
        num_classes=14,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="ThermalHDF5Dataset",
        data_root=data_root,
        ann_file="annotations/val.json",
        data_prefix=dict(hdf5="frames"),
        frame_window=64,
        num_classes=14,
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type="AccMetric")
test_evaluator = val_evaluator

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=epochs, val_begin=1, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.005, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=40, norm_type=2),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=True, begin=0, end=warmup_epochs, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        T_max=epochs - warmup_epochs,
        eta_min=0,
        by_epoch=True,
        begin=warmup_epochs,
        end=epochs,
        convert_to_iter_based=True,
    ),
]
# For --auto-scale-lr: the learning rate above is for 8 samples on one GPU.
auto_scale_lr = dict(enable=False, base_batch_size=8)

default_hooks = dict(checkpoint=dict(save_best="acc/top1", rule="greater"))
custom_hooks = [
    dict(type="ThermalClassWeights"),
    dict(type="EarlyStoppingHook", monitor="acc/top1", rule="greater", min_delta=0.001, patience=20),
]
