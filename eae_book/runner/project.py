"""Where things lie in a checkout: one object instead of paths typed in many places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eae_core.errors import UsageError


@dataclass(frozen=True)
class Project:
    """A checkout of the book, known by its root folder.

    >>> Project(Path("checkout")).manifest.as_posix()
    'checkout/notebooks/manifest.yml'
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """The table of chapters, their needs and the parameters of each profile."""
        return self.root / "notebooks" / "manifest.yml"

    @property
    def package(self) -> Path:
        """The package's own files."""
        return self.root / "eae_core"

    @property
    def results(self) -> Path:
        """Committed run records."""
        return self.root / "data" / "results"

    @property
    def runs(self) -> Path:
        """Everything that a run leaves behind (ignored by git)."""
        return self.root / "_runs"

    @property
    def html(self) -> Path:
        """The built book."""
        return self.root / "_build" / "html"

    def show(self, path: Path) -> str:
        """`path` as a reader in the root folder would type it."""
        return (
            path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)
        )


def find_project(root: Path | None = None) -> Project:
    """The checkout at `root`; by default the one this package lies in, else around the cwd.

    Raises `UsageError` if there is no `notebooks/manifest.yml`.
    """
    if root is not None:
        candidates = [root.resolve()]
    else:
        here = Path.cwd().resolve()
        candidates = [Path(__file__).resolve().parents[2], here, *here.parents]
    for candidate in candidates:
        project = Project(candidate)
        try:
            project.manifest.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise UsageError(f"cannot read {project.manifest}: {error.strerror}") from error
        return project
    raise UsageError(
        f"no notebooks/manifest.yml in {candidates[0]}: the book's commands need a checkout; "
        "run them in one, or name it with --root"
    )
