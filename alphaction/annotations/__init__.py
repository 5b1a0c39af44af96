"""Who does what where: class names, packed labels, boxes, and the annotation files of thermal recordings and RGB clips."""
