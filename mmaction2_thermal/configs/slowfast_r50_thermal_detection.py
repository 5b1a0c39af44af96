"""SlowFast R50 8x8 with an AVA-style head, the actions of each person.

Persons are the annotated ones. To test detected persons, pass their file (docs/thermal_data.md) to data set and metric:
--cfg-options test_dataloader.dataset.proposal_file=FILE test_evaluator.proposal_file=FILE
"""

_base_ = "_base_/runtime.py"

data_root = "{{$ALPHACTION_THERMAL_ROOT:data/thermal_action_dataset}}"
# Used in train_cfg and param_scheduler below; with --cfg-options, change those two instead.
epochs, warmup_epochs = 60, 10

model = dict(
    type="FastRCNN",
    _scope_="mmdet",
    backbone=dict(
        type="mmaction.ResNet3dSlowFast",
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
            spatial_strides=(1, 2, 2, 1),
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
            spatial_strides=(1, 2, 2, 1),
        ),
    ),
    roi_head=dict(
        type="AVARoIHead",
        bbox_roi_extractor=dict(
            type="SingleRoIExtractor3D", roi_layer_type="RoIAlign", output_size=8, with_temporal_pool=True
        ),
        # No background class: column 0 is the first of the 14 actions.
        bbox_head=dict(
            type="BBoxHeadAVA",
            background_class=False,
            in_channels=2304,
            num_classes=14,
            multilabel=True,
            dropout_ratio=0.5,
        ),
    ),
    data_preprocessor=dict(
        type="mmaction.ActionDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape="NCTHW",
    ),
    train_cfg=dict(
        rcnn=dict(
            assigner=dict(type="MaxIoUAssignerAVA", pos_iou_thr=0.9, neg_iou_thr=0.9, min_pos_iou=0.9),
            sampler=dict(type="RandomSampler", num=32, pos_fraction=1, neg_pos_ub=-1, add_gt_as_proposals=True),
            pos_weight=1.0,
        )
    ),
    test_cfg=dict(rcnn=None),
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
    dict(type="FormatShape", input_format="NCTHW", collapse=True),
    dict(type="PackActionInputs"),
]
val_pipeline = [
    dict(type="SampleFrames", clip_len=32, frame_interval=2, test_mode=True),
    dict(type="ArrayDecode"),
    dict(type="ScaleTemperature", minimum=5.0, maximum=45.0),
    dict(type="ThermalResize", scale=(384, 256)),
    dict(type="FormatShape", input_format="NCTHW", collapse=True),
    dict(type="PackActionInputs"),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="ThermalActionDataset",
        data_root=data_root,
        ann_file="annotations/train.json",
        data_prefix=dict(hdf5="frames"),
        frame_window=64,
        num_classes=14,
        pipeline=train_pipeline,
    ),
)
# AVARoIHead tests one sample at a time.
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="ThermalActionDataset",
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

val_evaluator = dict(type="ThermalMeanAP", hdf5_root=data_root, ann_file=f"{data_root}/annotations/val.json")
# With the baselines, which need the training annotations.
test_evaluator = dict(**val_evaluator, train_ann_file=f"{data_root}/annotations/train.json")

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
auto_scale_lr = dict(enable=False, base_batch_size=8)

default_hooks = dict(checkpoint=dict(save_best="thermal/mAP", rule="greater"))
custom_hooks = [dict(type="EarlyStoppingHook", monitor="thermal/mAP", rule="greater", min_delta=0.1, patience=20)]
