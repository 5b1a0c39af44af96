"""Labels from the tools that people draw them in.

One module per format reads a file into :class:`~alphaction.annotations.importers.pictures.Picture` objects;
:mod:`~alphaction.annotations.importers.read` recognizes the format and finds recording and frame of each picture by its
name. Nothing here imports torch.
"""
