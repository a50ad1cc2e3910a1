"""Running: the manifest of chapters, their parameters, and their runs."""
