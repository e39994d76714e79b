"""Gender, age and mask type of a speaking person, from voice and face."""
