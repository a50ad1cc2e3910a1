"""Of the two packages, the wheel holds `eae_core` alone; an editable checkout shows both.

Everything else about the build stands in pyproject.toml.
"""

from setuptools import setup
from setuptools.command.build_py import build_py


class WithoutTheBook(build_py):
    """Leaves the book's machinery out of what is installed for strangers."""

    def finalize_options(self) -> None:
        """Drop the packages of the book, except for an editable install."""
        super().finalize_options()
        if not self.editable_mode:
            kept = [name for name in self.packages or [] if name.split(".")[0] != "eae_book"]
            self.packages = kept


setup(cmdclass={"build_py": WithoutTheBook})
