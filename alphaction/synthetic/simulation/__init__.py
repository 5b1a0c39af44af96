"""Simulated recordings in metres and seconds; imports without torch.

recording  a room, persons and a sensor of one seed -> frames, boxes, classes
dataset    recordings -> a data set's files
script     what a person does, class after class; actor: where there is space and the way there
motion     the script's intervals -> joints over time
skeleton   angles -> joints; poses: the angles of each posture
body       joints -> warm capsules; pet: those of an animal
room       walls and furniture; heat: lamps, sun, prints of bodies
view       position and lens of the sensor; render: capsules and room -> pictures
array      noise, drift, shutter, dead pixels, lost packets
"""

from .array import ArraySpec, draw_array
from .dataset import write_simulated_set
from .recording import SimulatedPerson, SimulatedRecording, Simulation

__all__ = ["ArraySpec", "SimulatedPerson", "SimulatedRecording", "Simulation", "draw_array", "write_simulated_set"]
