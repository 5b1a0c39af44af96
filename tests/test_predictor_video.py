"""RGB movies: the scores of testing, any rate, and what is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from clip_files import RATE, annotations, image, person, write_json
from predictor_files import MEMORY, narrow_cfg, save_model
from temporary_folder import Folder
from torch_settings import one_thread

from alphaction import ActionPredictor
from alphaction.annotations.labels import COMMON_AVA_CLASSES
from alphaction.dataset import make_data_loader
from alphaction.engine.inference import inference
from alphaction.engine.video_prediction import _on_screen
from alphaction.persons import Detections
from alphaction.persons.video_detector import VideoDetector
from alphaction.video.movie_stream import MovieStream

SIZE = (64, 48)
SECONDS = 5
NAMES = tuple(f"action {n}" for n in range(14))
RGB = {"input": {"kind": "RGB", "sizes": []}, "class_names": list(NAMES)}


def pictures(rate: int = RATE, seconds: int = SECONDS) -> list[np.ndarray]:
    """A square that moves over noise."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (SIZE[1], SIZE[0], 3), np.uint8)
    frames = []
    for number in range(rate * seconds):
        frame = ground.copy()
        x = int(40 * number / (rate * seconds))
        frame[10:30, x : x + 14] = 250
        frames.append(frame)
    return frames


def write(path: Path, frames: list[np.ndarray], rate: float = RATE) -> Path:
    """Lossless."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), rate, SIZE)
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


class FakeDetector:
    """Finds the bright square."""

    def detect(self, frame: np.ndarray, objects: int = 0) -> tuple[Detections, Detections]:
        rows, columns = np.nonzero(frame.min(axis=2) > 200)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(np.array([box], np.float32), np.array([0.9])), Detections.none()


class Movies(Folder):
    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        one_thread(cls.addClassCleanup)
        cls.folder = Path(holder.name)
        cls.movie = write(cls.folder / "movie.mkv", pictures())
        cls.cfg = narrow_cfg(cls.folder, *MEMORY, "MODEL.IA_STRUCTURE.LENGTH", (2, 2))
        save_model(cls.folder / "model.pth", cls.cfg, **RGB)
        cls.predictor = ActionPredictor.from_checkpoint(cls.folder / "model.pth", device="cpu")


class SameScores(Movies):
    def test_annotated_boxes_have_the_scores_of_testing(self):
        frames = pictures()
        for second in range(SECONDS):
            write(self.folder / "clips" / "movie" / f"{second}.mkv", frames[second * RATE : (second + 1) * RATE])
        images = [image("movie", second, SIZE) for second in range(SECONDS)]
        places = {second: [[5.0 + 4 * n, 6.0, 20.0, 22.0] for n in range(1 + second % 4)] for second in range(SECONDS)}
        persons = [person(images[s]["id"], box, s, plain=True) for s, boxes in places.items() for box in boxes]
        path = write_json(self.folder / "set.json", annotations(images, persons, NAMES, 0))
        cfg = self.cfg.clone()
        entry = {"VIDEO_ROOT": str(self.folder / "clips"), "ANN_FILE": str(path)}
        cfg.merge_from_list(["DATASETS.TEST", ("mine",), "DATASETS.CATALOG", {"mine": entry}])
        loader = make_data_loader(cfg, is_train=False)[0]
        tested = inference(cfg, self.predictor._loaded.model, loader, torch.device("cpu"))
        boxes = {
            float(second): np.array([[x, y, x + w, y + h] for x, y, w, h in rows]) for second, rows in places.items()
        }
        found = self.predictor.predict_video(self.movie, boxes, interval=1.0)
        self.assertEqual([one.time for one in found], list(range(SECONDS)))
        for index, one in enumerate(found):
            expected = tested[index].get_field("scores").numpy()
            np.testing.assert_allclose(one.scores, expected, rtol=0, atol=1e-5)


class AnyMovie(Movies):
    def test_persons_are_found_and_followed(self):
        found = self.predictor.predict_video(self.movie, detector=FakeDetector())
        self.assertEqual([one.time for one in found], list(range(SECONDS)))
        self.assertEqual({person.track for one in found for person in one.persons}, {found[0].persons[0].track})

    def test_clips_of_other_rates_show_the_same_times(self):
        for rate in (10, 50):
            write(self.folder / f"rate{rate}.mkv", pictures(rate), rate)
        scores = [
            np.stack(
                [one.scores[0] for one in self.predictor.predict_video(self.folder / name, detector=FakeDetector())]
            )
            for name in ("movie.mkv", "rate50.mkv", "rate10.mkv")
        ]
        self.assertEqual([len(rows) for rows in scores], [SECONDS] * 3)
        np.testing.assert_allclose(scores[1], scores[0], atol=0.02)
        np.testing.assert_allclose(scores[2], scores[0], atol=0.05)

    def test_ticks_of_the_clip(self):
        frames = [(n / 10, np.full((1, 1, 3), n, np.uint8)) for n in range(10)]
        shown = [(round(time, 3), int(frame[0, 0, 0])) for time, frame in _on_screen(frames, 5.0)]
        self.assertEqual(shown, [(0.0, 0), (0.2, 2), (0.4, 4), (0.6, 6), (0.8, 8)])
        shown = [int(frame[0, 0, 0]) for _, frame in _on_screen(frames[:3], 20.0)]
        self.assertEqual(shown, [0, 0, 1, 1, 2])
        late = [*frames, (100.0, frames[0][1])]
        self.assertLess(len(list(_on_screen(late, 5.0))), 30)  # a stall is not filled with stills

    def test_a_camera_has_results_at_once_and_the_memory_of_before(self):
        stream = MovieStream(self.movie)
        seen = 0.0

        def arriving():
            nonlocal seen
            for time, frame in stream:
                seen = time
                yield time, frame

        results = self.predictor.iter_video(stream, frames=arriving(), detector=FakeDetector(), delay=0.0)
        waited = [seen - one.time for one in results]
        self.assertEqual(len(waited), SECONDS)
        self.assertLess(max(waited), 0.1)

    def test_a_folder_of_pictures(self):
        for number, frame in enumerate(pictures()[:30]):
            folder = self.folder / "frames"
            folder.mkdir(exist_ok=True)
            cv2.imwrite(str(folder / f"{number}.png"), frame)
        (folder / "3.png").write_bytes(b"broken")
        stream = MovieStream(folder)
        times = [time for time, _ in stream]
        self.assertEqual((len(times), stream.broken, stream.count), (29, 1, 30))
        self.assertEqual(times[:4], [0, 1 / 25, 2 / 25, 4 / 25])

    def test_some_classes(self):
        whole = self.predictor.predict_video(self.movie, detector=FakeDetector())[0]
        some = self.predictor.only([NAMES[5], NAMES[2]])
        found = some.predict_video(self.movie, detector=FakeDetector())[0]
        np.testing.assert_array_equal(found.scores, whole.scores[:, [5, 2]])
        self.assertEqual(found.class_names, (NAMES[5], NAMES[2]))
        again = some.only([NAMES[2]]).predict_video(self.movie, detector=FakeDetector())[0]
        np.testing.assert_array_equal(again.scores, whole.scores[:, [2]])
        self.refused("did you mean", self.predictor.only, ["action"])
        self.refused("each once", self.predictor.only, [NAMES[2], NAMES[2]])
        self.assertEqual(len(set(COMMON_AVA_CLASSES)), 15)


class BadMovies(Movies):
    def test_movies_without_frames(self):
        (self.root / "empty.mp4").write_bytes(b"")
        (self.root / "text.mp4").write_text("no movie")
        (self.root / "folder").mkdir()
        self.refused("empty.mp4 is an empty file", MovieStream, self.root / "empty.mp4")
        self.refused("text.mp4 has no readable frames", MovieStream, self.root / "text.mp4")
        self.refused("folder has no pictures", MovieStream, self.root / "folder")
        self.refused("nothing.mp4 does not exist", MovieStream, self.root / "nothing.mp4")

    def test_a_camera_that_is_not_there(self):
        self.refused("Camera 97 cannot be opened", list, MovieStream(97))

    def test_an_address_that_does_not_answer(self):
        stream = MovieStream("http://127.0.0.1:9/nothing", patience=0.1)
        self.refused("gave no frame for 0.1 s", list, stream)

    def test_models_of_the_other_kind(self):
        save_model(self.root / "thermal.pth", narrow_cfg(self.root))
        thermal = ActionPredictor.from_checkpoint(self.root / "thermal.pth", device="cpu")
        self.refused("trained on thermal recordings", thermal.predict_video, self.movie)
        self.refused("trained on RGB clips", self.predictor.predict_recording, self.movie)
        self.refused("is no thermal recording", thermal.predict_recording, self.movie)

    def test_person_weights(self):
        self.refused("person model is 'yolo'", VideoDetector, "yolo")
        self.refused("does not exist", VideoDetector, "ssdlite", self.root / "no.pth")
        torch.save({"a": torch.zeros(1)}, self.root / "other.pth")
        self.refused("do not fit torchvision's ssdlite", VideoDetector, "ssdlite", self.root / "other.pth")

    def test_a_file_of_person_weights(self):
        from torchvision.models.detection import ssdlite320_mobilenet_v3_large

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2)
        torch.save(model.state_dict(), self.root / "persons.pth")
        detector = VideoDetector("ssdlite", self.root / "persons.pth", classes=2, threshold=0.0)
        persons, objects = detector.detect(pictures()[0], 3)
        self.assertEqual(persons.boxes.shape[1], 4)
        self.assertEqual(len(objects), 0)
