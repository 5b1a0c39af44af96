"""Class templates: what a labeling tool needs to offer the classes of a data set.

The importers read back what is drawn with them: a person has one of the exclusive classes (poses) and any number of the
independent ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

ACTION, ALSO, PERSON = "action", "also", "person"
# CVAT's own value of a select that is not set.
_UNSET = "__undefined__"


@dataclass(frozen=True)
class ExportedPicture:
    """A picture of an export: file name, size of the file in bytes, width and height in pixels."""

    name: str
    bytes: int
    width: int
    height: int


def cvat_labels(exclusive: Sequence[str], independent: Sequence[str], pictures: Sequence[ExportedPicture]) -> str:
    """CVAT's labels, to paste under "Raw": a label with a select and checkboxes, all of which may change in a track."""
    attributes: list[dict[str, object]] = []
    if exclusive:
        attributes.append(_cvat_attribute(ACTION, "select", [_UNSET, *exclusive]))
    attributes += [_cvat_attribute(name, "checkbox", ["false"]) for name in independent]
    label = {"name": PERSON, "type": "rectangle", "attributes": attributes}
    return json.dumps([label], indent=2, ensure_ascii=False)


def _cvat_attribute(name: str, kind: str, values: list[str]) -> dict[str, object]:
    return {"name": name, "input_type": kind, "mutable": True, "values": values, "default_value": values[0]}


def label_studio_config(
    exclusive: Sequence[str], independent: Sequence[str], pictures: Sequence[ExportedPicture]
) -> str:
    """Label Studio's labeling interface: rectangles with a class, and choices for each of them."""
    lines = ["<View>", '  <Image name="image" value="$image" zoom="true" zoomControl="true"/>']
    lines.append(f'  <RectangleLabels name="{ACTION}" toName="image">')
    lines += [f"    <Label value={quoteattr(name)}/>" for name in exclusive or [PERSON]]
    lines.append("  </RectangleLabels>")
    if independent:
        lines.append(f'  <Choices name="{ALSO}" toName="image" perRegion="true" choice="multiple">')
        lines += [f"    <Choice value={quoteattr(name)}/>" for name in independent]
        lines.append("  </Choices>")
    return "\n".join([*lines, "</View>", ""])


def yolo_classes(exclusive: Sequence[str], independent: Sequence[str], pictures: Sequence[ExportedPicture]) -> str:
    """YOLO's classes.txt; a person of several classes has one line, with the same box, for each."""
    return "".join(f"{name}\n" for name in (*exclusive, *independent))


def via_project(exclusive: Sequence[str], independent: Sequence[str], pictures: Sequence[ExportedPicture]) -> str:
    """A project of VIA 2 with the pictures; their sizes are file attributes, since VIA saves none."""
    region: dict[str, object] = {}
    for name, kind, options in ((ACTION, "dropdown", exclusive), (ALSO, "checkbox", independent)):
        if options:
            described = {option: option for option in options}
            region[name] = {"type": kind, "description": "", "options": described, "default_options": {}}
    text = {"type": "text", "description": "pixels of the picture", "default_value": ""}
    metadata = {
        f"{picture.name}{picture.bytes}": {
            "filename": picture.name,
            "size": picture.bytes,
            "regions": [],
            "file_attributes": {"width": str(picture.width), "height": str(picture.height)},
        }
        for picture in pictures
    }
    project = {
        "_via_settings": {
            "ui": {
                "annotation_editor_height": 25,
                "annotation_editor_fontsize": 0.8,
                "leftsidebar_width": 18,
                "image_grid": {
                    "img_height": 80,
                    "rshape_fill": "none",
                    "rshape_fill_opacity": 0.3,
                    "rshape_stroke": "yellow",
                    "rshape_stroke_width": 2,
                    "show_region_shape": True,
                    "show_image_policy": "all",
                },
                "image": {"region_label": "__via_region_id__", "region_label_font": "10px Sans"},
            },
            "core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
            "project": {"name": "thermal"},
        },
        "_via_img_metadata": metadata,
        "_via_attributes": {"region": region, "file": {"width": text, "height": text}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(metadata),
    }
    return json.dumps(project, indent=1, ensure_ascii=False)


# Tool -> file and what writes it.
TEMPLATES: dict[str, tuple[str, Callable[[Sequence[str], Sequence[str], Sequence[ExportedPicture]], str]]] = {
    "cvat": ("cvat_labels.json", cvat_labels),
    "label-studio": ("label_studio.xml", label_studio_config),
    "yolo": ("classes.txt", yolo_classes),
    "via": ("via_project.json", via_project),
}
