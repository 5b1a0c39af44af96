"""RGB movies; imports without torch.

clips        windows of one-second clips
cut_videos   movies -> clips
csv_rows     rows of AVA's CSV annotations by keyframe and person
csv_to_coco  AVA's CSV annotations -> JSON
"""
