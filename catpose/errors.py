"""Wrong input, told to people."""


class InputError(ValueError):
    """Something that the user gave is wrong: one line that names the thing and the remedy.

    The commands in `launch/` print it without a traceback and exit with status 1; any other
    exception is a defect of catpose and keeps its traceback.
    """
