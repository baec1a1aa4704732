"""The control plane: watches lines, decides what each needs next and runs rounds as Jobs.

Never imports torch or `treering_trainer`: its image has neither. The folder above has no `__init__.py`, ever, because
it would shadow the standard library's `operator`.
"""
