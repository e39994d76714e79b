"""A machine and a project -> findings: what is there, what is missing, and what to do about it."""
