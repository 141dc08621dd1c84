"""Hold the facts that several packages need, each once: methods, tasks, labels, encoders, and the paper's tables.

Nothing here imports more than the standard library, so `--help` and settings can ask for names and choices.
"""
