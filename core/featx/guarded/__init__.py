"""One supervised child process with limits, for everything that may crash, hang or grow."""
