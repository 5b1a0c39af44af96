"""What building a data set found, used and left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..annotations import entries
from ..annotations.classes import THERMAL, ClassList
from ..annotations.importers.pictures import LabelReport


@dataclass
class BuildReport(LabelReport):
    """What the records and the folders gave, beside the counts of records and persons that are not used.

    Attributes:
        records: annotation records read.
        unread: reason -> names of files and folders that were not read, as text.
        other_categories: category -> boxes passed over because they are no persons.
        keyframes: split -> keyframes.
        negatives: split -> keyframes without a person.
        persons: split -> persons.
        notes: lines about what looks odd.
        classes: of the persons.
        leakage: lines about how near validation is to training.
    """

    records: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    other_categories: Counter[str] = field(default_factory=Counter)
    keyframes: dict[str, int] = field(default_factory=dict)
    negatives: dict[str, int] = field(default_factory=dict)
    persons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    leakage: list[str] = field(default_factory=list)
    classes: ClassList = THERMAL

    def reasons(self) -> str:
        """Why records were not used, with counts, for the sentence of an error."""
        found = [f"{count} x {reason}" for reason, count in self.unused.most_common(8)]
        if self.other_categories:
            found.append(
                f"{self.other_categories.total()} boxes of other categories than person ({self._categories()})"
            )
        found += [f"{reason} {names}" for reason, names in self.unread.items()]
        return f"of {self.records} records: {'; '.join(found)}" if found else f"{self.records} records"

    def __str__(self) -> str:
        split = ", ".join(
            f"{name} {self.keyframes[name]} keyframes with {self.persons[name]} persons"
            + (f" ({self.negatives[name]} without a person)" if self.negatives.get(name) else "")
            for name in self.keyframes
        )
        lines = [f"{self.records} annotation records read: {split}"]
        if self.classes != THERMAL:
            names = ", ".join(map(entries.short, self.classes.names))
            lines.append(f"{len(self.classes)} classes: {names if len(names) <= 200 else names[:197] + '...'}")
            if self.classes.independent:
                names = ", ".join(map(entries.short, self.classes.independent))
                lines.append(f"independent of the others: {names if len(names) <= 200 else names[:197] + '...'}")
        lines += filter(None, [super().__str__()])
        if self.other_categories:
            lines.append(f"not used: boxes of other categories than person: {self._categories()}")
        lines += [f"not read: {reason}: {names}" for reason, names in self.unread.items()]
        return "\n".join(lines + self.notes + self.leakage)

    def _categories(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in self.other_categories.most_common(8))
