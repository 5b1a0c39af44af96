"""Annotations: persons, boxes and classes. Imports without torch.

labels               class names, packed labels
thermal_annotations  annotations of thermal recordings, and detected boxes that belong to them
clip_annotations     the same for RGB clips
coco                 the core of both: checked columns, class labels, persons
detections           files of detected boxes
box_formats          their formats: JSON, CSV, PKL
entries              checked values of an entry of a JSON file
boxes                box conventions, and checks of unit and convention
seconds              times of keyframes
text                 text files of any encoding, names in composed form
json_files           JSON files, whole or streamed
ava_csv              AVA's CSV files and label map
"""
