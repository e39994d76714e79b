"""A stage that DVC starts -> the same stage, by a fork that has the libraries loaded already."""
