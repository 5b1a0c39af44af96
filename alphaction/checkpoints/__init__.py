"""Weight files: reading, matching, converting, downloading and writing them.

checkpointer     checkpoints of a training run, saved and loaded
last_checkpoint  the newest checkpoint of an OUTPUT_DIR
checkpoint_file  one file, written and read; SHA-256 over its tensors
archive_check    checksums, sizes and names of a file of torch.save, before it is loaded
torch_files      loading without running code
caffe2           pickles of Caffe2
unwrap           the entry that holds the weights, and wrappers and prefixes of their names
weights          which entry each entry of a model receives
optimizer_state  states of optimizer and schedule, checked
convert          weights of other model zoos, converted
layer_names      layer names of these zoos
model_zoo        table of public checkpoints
download         one of them, fetched
"""
