"""What a thermal sensor wrote; imports without torch.

recording    ThermalRecording: repaired windows of one file
sensor       presets of thermal arrays, and the description in a file
hdf5         the HDF5 file, opened and checked
times        units and faults of times, rate, pauses, the frame at a time
clock        seconds of frames, frames of a window
repair       raw frames -> frames without holes, by the four modules below
scene        median picture and stuck pixels of a recording
subpages     sensors that refresh one half of their pixels per frame
packets      which packets a frame lost, and where the other pixels belong
holes        fills pixels without a temperature
temperature  degrees Celsius -> 0..1
units        units of temperatures, and the check that frames are temperatures
raw_files    recordings in common formats, found and read
raw_layout   options, shapes and times of raw recordings
raw_arrays   NPY, NPZ and MAT
raw_text     CSV and text dumps
raw_pictures folders of PNG or TIFF
thermal_set  writes the files of a data set
build_set    recordings and annotation records -> a data set
build_report what building found, used and left out
annotation_records  JSON records of annotated frames
split_set    keyframes -> training and validation
compare_sets figures of two data sets side by side
"""
