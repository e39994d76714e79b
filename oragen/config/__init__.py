"""params.yaml -> typed, checked parameters; a corpus, an encoder, a head -> its paths in data/."""
