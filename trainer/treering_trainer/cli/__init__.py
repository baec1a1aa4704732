"""The command line: verbs, tables and the way errors are told. Everything it does, `api` does too."""
