"""Labels drawn in other tools. Imports without torch.

read          files of labels -> labeled frames of recordings or movies
recognize     the format of a file
names         names of pictures and videos, which carry the recording and the frame
pictures      what each format's reader makes of a file: pictures with boxes, and their checks
actions       which actions a box has
sizes         sizes of pictures that the labels do not state
templates     the classes as each tool takes them

cvat, coco, label_studio, via, yolo  one reader per format
"""
