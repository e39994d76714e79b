"""The stages of dvc.yaml: each reads artefacts and parameters, calls the library, and writes."""
