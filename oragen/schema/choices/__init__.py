"""The closed choices of params.yaml, a module for each noun that is chosen.

So an added choice runs the stages again that know it, and no others.
"""
