"""Annotations: persons, boxes and classes. Imports without torch.

thermal_annotations  annotations of thermal recordings, and detected boxes that belong to them
clip_annotations     the same for RGB clips
coco                 the core of both: checked columns, class labels, persons
classes              the classes of a data set, exclusive or independent
class_choice         some of the classes, or several as one
class_settings       the classes that a configuration names, and the groups of the head
labels               the thermal classes, packed labels
importers            labels of CVAT, COCO, Label Studio, VIA and YOLO
detections           files of detected boxes
box_formats          their formats: JSON, CSV, PKL
entries              checked values of an entry of a JSON file
boxes                box conventions, and checks of unit and convention
seconds              times of keyframes
text                 text files of any encoding, names in composed form
json_files           JSON files, whole or streamed
ava_csv              AVA's CSV files and label map
"""
