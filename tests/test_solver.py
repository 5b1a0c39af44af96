"""Optimiser groups and learning-rate schedules."""

from __future__ import annotations

import unittest
from collections import Counter

import parity
import torch
from torch import nn

from alphaction.config import get_cfg
from alphaction.modeling.detector import build_detection_model
from alphaction.solver import describe_rate, make_lr_scheduler, make_optimizer


def rates_of(cfg, iterations: set[int]) -> dict[int, list[float]]:
    """Rate of a weight and of a bias after so many completed iterations."""
    model = nn.Linear(1, 1)
    optimizer = make_optimizer(cfg, model)
    scheduler = make_lr_scheduler(cfg, optimizer)
    rates = {}
    for iteration in range(max(iterations) + 1):
        if iteration in iterations:
            rates[iteration] = [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        scheduler.step()
    return rates


@parity.needs_parity
class RecordedSolverTest(unittest.TestCase):
    def test_groups(self):
        for label, expected in parity.load_json("optimizer.json")["param_groups"].items():
            with self.subTest(config=label):
                yaml_name, *overrides = label.replace("|", "").split()
                with torch.device("meta"):
                    model = build_detection_model(parity.make_cfg(yaml_name, overrides))
                optimizer = make_optimizer(parity.make_cfg(yaml_name, overrides), model)
                self.assertEqual(len(optimizer.param_groups), expected["num_groups"])
                names = {id(parameter): name for name, parameter in model.named_parameters()}
                for group, (name, index) in zip(optimizer.param_groups, expected["parameters"], strict=True):
                    distinct = expected["distinct"][index]
                    self.assertEqual([names[id(p)] for p in group["params"]], [name])
                    self.assertAlmostEqual(group["lr"], distinct["lr"], places=12)
                    self.assertAlmostEqual(group["weight_decay"], distinct["weight_decay"], places=12)
                    for key in ("momentum", "nesterov", "dampening"):
                        self.assertEqual(group[key], expected[key])
                counts = Counter(index for _, index in expected["parameters"])
                self.assertEqual(
                    [counts[i] for i in range(len(expected["distinct"]))],
                    [distinct["count"] for distinct in expected["distinct"]],
                )

    def test_schedules(self):
        for schedule in parity.load_json("optimizer.json")["lr_schedules"]:
            with self.subTest(schedule["description"]):
                cfg = get_cfg()
                cfg.merge_from_list([w for k, v in schedule["solver"].items() for w in (f"SOLVER.{k}", v)])
                rows = {row[0]: row[1:] for row in schedule["lr_by_completed_iterations"]}
                # Long schedules are asked directly: stepping through 100000 iterations takes seconds.
                found = rates_of(cfg, set(rows)) if max(rows) <= 2000 else self._asked(cfg, set(rows))
                for iteration, expected in rows.items():
                    for value, target in zip(found[iteration], expected, strict=True):
                        self.assertAlmostEqual(value / target if target else value + 1, 1.0, places=9, msg=iteration)

    def _asked(self, cfg, iterations: set[int]) -> dict[int, list[float]]:
        scheduler = make_lr_scheduler(cfg, make_optimizer(cfg, nn.Linear(1, 1)))
        return {
            i: [base * factor(i) for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
            for i in iterations
        }


class SolverTest(unittest.TestCase):
    def setUp(self):
        self.cfg = get_cfg()
        self.cfg.merge_from_list(
            [
                "SOLVER.MAX_ITER",
                100,
                "SOLVER.BASE_LR",
                1.0,
                "SOLVER.STEPS",
                (40, 80),
                "SOLVER.WARMUP_ITERS",
                10,
                "SOLVER.WARMUP_FACTOR",
                0.5,
                "SOLVER.WEIGHT_DECAY",
                0.1,
                "SOLVER.WEIGHT_DECAY_BN",
                0.2,
                "SOLVER.IA_LR_FACTOR",
                10.0,
            ]
        )

    def test_multi_step(self):
        rates = rates_of(self.cfg, {0, 5, 9, 10, 39, 40, 80})
        self.assertEqual(
            {i: round(rate[0], 6) for i, rate in rates.items()},
            {0: 0.5, 5: 0.75, 9: 0.95, 10: 1.0, 39: 1.0, 40: 0.1, 80: 0.01},
        )
        self.assertEqual(rates[10][1], 2.0)

    def test_rates_scaled_to_the_batch(self):
        """All groups and the whole schedule by VIDEOS_PER_BATCH / REFERENCE_BATCH; decays stay."""
        self.cfg.SOLVER.VIDEOS_PER_BATCH = 16
        plain = rates_of(self.cfg, {0, 5, 10, 40})
        self.cfg.SOLVER.REFERENCE_BATCH = 64
        scaled = rates_of(self.cfg, {0, 5, 10, 40})
        for iteration, rates in plain.items():
            for rate, found in zip(rates, scaled[iteration], strict=True):
                self.assertAlmostEqual(found, rate / 4, places=12)
        optimizer = make_optimizer(self.cfg, nn.Linear(1, 1))
        self.assertEqual([group["weight_decay"] for group in optimizer.param_groups], [0.1, 0.0])
        self.assertEqual(
            describe_rate(self.cfg, 4),
            "Base learning rate 0.25 (SOLVER.BASE_LR 1 x 16 / 64); 16 clips per iteration, 4 processes with 4 each",
        )
        self.cfg.SOLVER.REFERENCE_BATCH = 0
        self.assertRegex(describe_rate(self.cfg, 1), "rate 1 .*as it is.* 16 clips per iteration, 1 process$")

    def test_cosine_jumps_after_the_warm_up(self):
        self.cfg.SOLVER.SCHEDULER = "half_period_cosine"
        rates = rates_of(self.cfg, {9, 10, 50})
        self.assertAlmostEqual(rates[9][0], 0.95)
        self.assertAlmostEqual(rates[10][0], 0.97552826, places=6)
        self.assertAlmostEqual(rates[50][0], 0.5)

    def test_step_within_the_warm_up(self):
        self.cfg.SOLVER.STEPS = (5, 80)
        self.assertAlmostEqual(rates_of(self.cfg, {5})[5][0], 0.075)

    def test_groups(self):
        model = nn.Module()
        model.conv = nn.Conv3d(1, 2, 1)
        model.bn = nn.BatchNorm3d(2)
        model.ia_structure = nn.Linear(2, 2)
        model.frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
        found = [(g["lr"], g["weight_decay"]) for g in make_optimizer(self.cfg, model).param_groups]
        self.assertEqual(found, [(1.0, 0.1), (2.0, 0.0), (1.0, 0.2), (1.0, 0.2), (10.0, 0.1), (20.0, 0.0)])

    def test_resumed_schedule(self):
        optimizer = make_optimizer(self.cfg, nn.Linear(1, 1))
        scheduler = make_lr_scheduler(self.cfg, optimizer)
        for _ in range(45):
            optimizer.step()
            scheduler.step()
        other = make_optimizer(self.cfg, nn.Linear(1, 1))
        resumed = make_lr_scheduler(self.cfg, other)
        other.load_state_dict(optimizer.state_dict())
        resumed.load_state_dict(scheduler.state_dict())
        self.assertEqual(resumed.get_last_lr(), scheduler.get_last_lr())
        other.step()
        resumed.step()
        self.assertAlmostEqual(other.param_groups[0]["lr"], 0.1)


if __name__ == "__main__":
    unittest.main()
