"""What a thermal sensor wrote; imports without torch.

Reading:

recording           ThermalRecording: repaired windows of one file
keyframes           the recordings of a data set's keyframes
hdf5                the HDF5 file, opened and checked
hdf5_arrays         its arrays: in the file itself, and complete
sensor              presets of thermal arrays, and the description in a file
times               units and faults of times, rate, pauses, the frame at a time
clock               seconds of frames, frames of a window
units               units of temperatures, and the check that frames are temperatures
temperature         degrees Celsius -> 0..1

Repair:

repair              raw frames -> frames without holes, by the four modules below
scene               median picture and stuck pixels of a recording
subpages            sensors that refresh one half of their pixels per frame
packets             which packets a frame lost, and where the other pixels belong
holes               fills pixels without a temperature

Other formats:

raw_files           recordings in common formats, found and read
raw_layout          options and shapes of raw recordings
raw_times           their times: numbers in any unit, ISO 8601, or a rate
raw_arrays          NPY, NPZ and MAT
raw_text            CSV and text dumps
raw_pictures        folders of PNG or TIFF

Data sets:

build_set           recordings and annotation records -> a data set
annotation_records  JSON records of annotated frames
record_classes      the classes that records name
split_set           keyframes -> training and validation
build_report        what building found, used and left out
thermal_set         writes the files of a data set
compare_sets        figures of two data sets side by side
export_pictures     frames as pictures or videos for a labeling tool
"""
