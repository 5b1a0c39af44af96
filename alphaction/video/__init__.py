"""RGB movies; imports without torch.

movies          where the frames of a movie are: clips or pictures
clips           windows of one-second clips
pictures        windows of numbered pictures
rates           frame rates against those of published models
cut_videos      movies -> clips
movie_files     which files of a folder are movies
movie_frames    frames of a movie with their times
csv_to_coco     AVA's CSV annotations -> JSON
csv_rows        their rows by keyframe and person
labels_to_coco  labels of a labeling tool -> JSON
coco_file       the JSON, written
"""
