"""Studies behind single chapters, one question a file."""
