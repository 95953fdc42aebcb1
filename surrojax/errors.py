"""The one exception that users see."""


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line: it names the file, the row or the field at fault and
    says what to do. The command line prints it without a traceback and exits with
    code 2.
    """
