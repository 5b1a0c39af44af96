"""Synthetic thermal scenes with annotations; imports without torch.

scenes  a whole data set, one recording after the other
plan    persons of each class in each recording
script  classes -> the steps of a person
motion  steps -> joints over time
body    joints -> warm pixels
room    floor, furniture, lamp and kettle
camera  the sensor's projection
sensor  noise, lost packets, arrival times

The package ``simulation`` makes recordings in metres and seconds for any sensor, to train for real ones.
"""
