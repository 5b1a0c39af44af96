"""The detector scaled down for a CPU: a narrow SlowFast R18 at 64x96, trained from scratch."""

_base_ = "slowfast_r50_thermal_detection.py"

epochs, warmup_epochs = 20, 2

model = dict(
    backbone=dict(slow_pathway=dict(depth=18, base_channels=32), fast_pathway=dict(depth=18, base_channels=4)),
    roi_head=dict(bbox_head=dict(in_channels=288)),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=32, frame_interval=2),
    dict(type="ArrayDecode"),
    dict(type="ScaleTemperature", minimum=5.0, maximum=45.0),
    dict(type="ThermalRandomResizedCrop"),
    dict(type="ThermalFlip", horizontal=0.5, vertical=0.5),
    dict(type="ThermalBrightnessContrast"),
    dict(type="ThermalRandomErasing"),
    dict(type="ThermalResize", scale=(96, 64)),
    dict(type="FormatShape", input_format="NCTHW", collapse=True),
    dict(type="PackActionInputs"),
]
val_pipeline = [
    dict(type="SampleFrames", clip_len=32, frame_interval=2, test_mode=True),
    dict(type="ArrayDecode"),
    dict(type="ScaleTemperature", minimum=5.0, maximum=45.0),
    dict(type="ThermalResize", scale=(96, 64)),
    dict(type="FormatShape", input_format="NCTHW", collapse=True),
    dict(type="PackActionInputs"),
]

train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=epochs)
optim_wrapper = dict(optimizer=dict(lr=0.05), paramwise_cfg=None)
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
