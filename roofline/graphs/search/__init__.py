"""Searches of collaboration graphs, one file a method; all ask a ledger for evaluations."""
