"""RGB movies; imports without torch.

clips        windows of one-second clips
cut_videos   movies -> clips
csv_to_coco  AVA's CSV annotations -> JSON
"""
