"""The sources of clips: one module a corpus, each a tree of files -> records of clips."""
