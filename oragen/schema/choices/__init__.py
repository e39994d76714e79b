"""The closed choices of params.yaml, a module for each stage that takes them.

So an added choice runs the stages again that know it, and no others.
"""
