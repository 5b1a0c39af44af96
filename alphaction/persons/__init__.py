"""Finding persons without annotations, and following them; thermal. Imports without torch.

detections  boxes of persons in one frame
room        the room without persons, from a recording or a stream
background  persons as what is warmer than the room, without training
tracker     the same number for the same person from frame to frame

With torch:

detector     a small network that finds persons
center_loss  its losses
augment      its training samples, varied
"""

from .background import BackgroundDetector
from .detections import Detections
from .room import RunningRoom, recording_room, room_picture
from .tracker import Tracker

__all__ = ["BackgroundDetector", "Detections", "RunningRoom", "Tracker", "recording_room", "room_picture"]
