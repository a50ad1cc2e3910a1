"""Verbs called in this process, for the tests of both commands."""


def caller(main, capsys):
    """A function that calls a verb of main; it returns the status and what was written."""

    def said(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return said
