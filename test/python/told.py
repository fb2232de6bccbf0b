"""Every warning that is given while `Told` is entered."""

import logging
import warnings


class Told:
    """Warnings of the libraries' loggers and of Python."""

    def __enter__(self):
        self.messages = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.messages.append(record.getMessage())
        self.handler = handler
        # The library's logger keeps its records from the root.
        self.loggers = [logging.getLogger(), logging.getLogger("transformers")]
        for logger in self.loggers:
            logger.addHandler(handler)
        self.caught = warnings.catch_warnings(record=True)
        self.recorded = self.caught.__enter__()
        warnings.simplefilter("always")
        return self

    def __exit__(self, *error):
        self.messages += [str(warning.message) for warning in self.recorded]
        self.caught.__exit__(*error)
        for logger in self.loggers:
            logger.removeHandler(self.handler)
