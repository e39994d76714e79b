"""Errors that a user can mend."""


class UserError(ValueError):
    """Something that the user can mend; its message is one clear sentence that says how."""
