"""Who does what where: class names, packed labels, boxes, and annotation files of thermal recordings and RGB clips."""
