"""What a thermal sensor wrote; imports without torch.

recording    ThermalRecording: repaired windows of one file
hdf5         the HDF5 file, opened and checked
times        units and faults of times, rate, pauses, the frame at a time
clock        seconds of frames, frames of a window
packets      which packets a frame lost, and where the other pixels belong
holes        fills pixels without a temperature
temperature  degrees Celsius -> 0..1
raw_files    recordings as HDF5, NPY or CSV
thermal_set  writes the files of a data set
build_set    recordings and annotation records -> a data set
compare_sets figures of two data sets side by side
"""
