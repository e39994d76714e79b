"""params.yaml and the folder data/ -> typed, checked parameters and where everything lies."""
