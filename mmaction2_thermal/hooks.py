"""Class weights for the loss of a recognizer, computed from the training set."""

from __future__ import annotations

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


@HOOKS.register_module()
class ThermalClassWeights(Hook):
    """Sets the class weights of ``cls_head.loss_cls`` to ``get_class_weights()`` of the training set."""

    def before_train(self, runner: Runner) -> None:
        """Set the weights and log them."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        dataset = runner.train_dataloader.dataset
        # Wrappers such as RepeatDataset hold the data set that has the method.
        weights = getattr(dataset, "dataset", dataset).get_class_weights()
        model.cls_head.loss_cls.class_weight = weights
        runner.logger.info("Class weights of the loss: " + " ".join(f"{weight:.2f}" for weight in weights))
