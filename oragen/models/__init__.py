"""Cached features, waveforms or crops -> gender, age and mask type: all networks of the project.

`layers` are the pieces. `heads` work on cached features, `unimodal` models on one modality,
`published` reads checkpoints of others. `folder` and `state_dict` read and write what is saved.
"""
