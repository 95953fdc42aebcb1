"""The one exception that users see, and the words of others within it."""


class InputError(ValueError):
    """Something that the user gave cannot be used.

    The message is one line: it names the file, the row or the field at fault and
    says what to do. The command line prints it without a traceback and exits with
    code 2.
    """


class StrandedError(InputError):
    """The same of one of several processes, which must not wait for the others.

    They wait for it, and JAX would wait for them at this process's end.
    """


def one_line(error: BaseException, most: int | None = None) -> str:
    """What an exception says, in one line; its class, where it says nothing.

    Args:
      error: of another library, or of the system.
      most: characters; what is longer is cut off.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if most is None or len(text) <= most else f"{text[:most]}..."
